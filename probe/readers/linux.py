"""Reads PulseAudio, and PipeWire through its PulseAudio interface."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import pulsectl

from probe.errors import NoSoundSystemError
from probe.readers.processes import SCAN_SECONDS, Processes
from probe.snapshot import AudioStream, Kind, Snapshot
from wire.probe import ProbeDevice

logger = logging.getLogger(__name__)

CLIENT: Final = "pbx-audio-probe"
EVENTS: Final = ("sink", "source", "sink_input", "source_output", "server")
LOST: Final = (pulsectl.PulseError, pulsectl.PulseDisconnected, pulsectl.pulsectl.c.pa.CallError)
"""What pulsectl raises if the server does not run or stops during a call."""
RETRY_SECONDS: Final = 5.0
STOP_TRIES: Final = 20
SETTLE_SECONDS: Final = 0.1
"""How long to wait after an event, because one change causes several events."""


class PulseReader:
    def __init__(self) -> None:
        self._processes = Processes()
        self._stopped = threading.Event()
        self._pulse: pulsectl.Pulse | None = None

    def snapshot(self) -> Snapshot:
        try:
            with pulsectl.Pulse(CLIENT) as pulse:
                return self._read(pulse)
        except LOST as fault:
            raise NoSoundSystemError(
                "neither PulseAudio nor PipeWire answers: is the probe started in the session of the person who"
                " telephones?"
            ) from fault

    def watch(self, on_change: Callable[[Snapshot], None]) -> None:
        while not self._stopped.is_set():
            try:
                with pulsectl.Pulse(CLIENT) as pulse:
                    self._pulse = pulse
                    self._follow(pulse, on_change)
            except LOST:
                logger.info("the sound server does not answer; tried again soon")
                on_change(Snapshot())
            finally:
                self._pulse = None
            self._stopped.wait(RETRY_SECONDS)

    def stop(self) -> None:
        self._stopped.set()
        # `event_listen_stop` has no effect before the reader listens (pulsectl's documentation), so it is repeated.
        for _ in range(STOP_TRIES):
            if (pulse := self._pulse) is None:
                return
            pulse.event_listen_stop()
            time.sleep(SETTLE_SECONDS)

    def _follow(self, pulse: pulsectl.Pulse, on_change: Callable[[Snapshot], None]) -> None:
        changed = False
        listening = False

        def heard(_event: Any) -> None:
            nonlocal changed
            changed = True
            if listening:
                raise pulsectl.PulseLoopStop

        pulse.event_mask_set(*EVENTS)
        pulse.event_callback_set(heard)
        while not self._stopped.is_set():
            changed = False
            on_change(self._read(pulse))
            # If an event arrives during the reading, read again instead of waiting for the next event.
            if not changed:
                listening = True
                pulse.event_listen(timeout=SCAN_SECONDS)
                listening = False
            time.sleep(SETTLE_SECONDS)

    def _read(self, pulse: pulsectl.Pulse) -> Snapshot:
        sinks, sources = pulse.sink_list(), pulse.source_list()
        server = pulse.server_info()
        outputs = {sink.index: _device(sink) for sink in sinks}
        inputs = {source.index: _device(source) for source in sources}
        streams = [
            *self._streams(listed=pulse.sink_input_list(), kind="output", devices=outputs, member="sink"),
            *self._streams(listed=pulse.source_output_list(), kind="input", devices=inputs, member="source"),
        ]
        defaults: dict[Kind, ProbeDevice] = {}
        for kind, devices, name in (
            ("input", sources, server.default_source_name),
            ("output", sinks, server.default_sink_name),
        ):
            default = next((device for device in devices if device.name == name), None)
            if default is not None:
                defaults[kind] = _device(default)  # type: ignore[index] # one of the two literals
        return Snapshot(tuple(streams), defaults, self._processes.running())

    def _streams(
        self, listed: list[Any], kind: Kind, devices: dict[int, ProbeDevice], member: str
    ) -> list[AudioStream]:
        streams = []
        for stream in listed:
            properties = stream.proplist
            device = devices.get(getattr(stream, member))
            pid = properties.get("application.process.id", "")
            if device is None or properties.get("application.name") == CLIENT:
                continue
            own = [
                properties.get(name, "")
                for name in ("application.name", "application.process.binary", "application.id")
            ]
            parents = self._processes.names_of(int(pid)) if pid.isdigit() else ()
            names = tuple(name for name in (*own, *parents) if name)
            if names:  # streams of the server's own modules have none
                streams.append(AudioStream(names, kind, device, active=not stream.corked))  # corked: paused
        return streams


def _device(device: Any) -> ProbeDevice:
    properties = device.proplist
    vendor, product = (
        properties.get(f"device.{part}.id", "").lower().removeprefix("0x").zfill(4)
        for part in ("vendor", "product")
    )
    is_usb = properties.get("device.bus") == "usb" and len(vendor) == len(product) == 4
    return ProbeDevice(
        label=(device.description or device.name)[:256],
        endpoint_id=device.name[:256],
        usb_id=f"{vendor}:{product}" if is_usb and "0000" not in (vendor, product) else "",
        serial=properties.get("device.serial", "")[:128] if is_usb else "",
    )
