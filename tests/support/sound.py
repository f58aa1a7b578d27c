"""A real sound server without sound cards: two headsets and a laptop, made of null sinks and virtual sources."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pulsectl

from tests.support.world import eventually

HEADSET, LAPTOP = "Jabra Evolve2 65", "Built-in Audio Analog Stereo"


@dataclass(frozen=True)
class SoundServer:
    socket: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def client(self) -> pulsectl.Pulse:
        return pulsectl.Pulse("tests", server=f"unix:{self.socket}")

    async def ready(self) -> "SoundServer":
        """Wait until all devices exist."""

        async def listed() -> bool:
            try:
                with self.client() as pulse:
                    devices = {device.name for device in (*pulse.source_list(), *pulse.sink_list())}
                    return {"headset_in", "laptop_in", "headset_out", "laptop_out"} <= devices
            except pulsectl.PulseError:
                return False

        await eventually(listed, "the sound server is up")
        return self

    def move(self, name: str, *, speaker: str, microphone: str) -> None:
        """Move a running program to other devices, as its own settings would, and wait until it uses them.

        WirePlumber ignores the move of a stream that it is still linking, so it is repeated.
        """
        ends = time.monotonic() + 15
        with self.client() as pulse:
            while not self._has_moved(pulse, name, speaker, microphone):
                assert time.monotonic() < ends, f"{name} does not move"
                time.sleep(0.05)

    def _has_moved(self, pulse: pulsectl.Pulse, name: str, speaker: str, microphone: str) -> bool:
        """Move those streams of the program that use other devices; return whether there were none."""
        has_moved = True
        for streams, member, device, move in (
            (pulse.sink_input_list(), "sink", pulse.get_sink_by_name(speaker), pulse.sink_input_move),
            (
                pulse.source_output_list(),
                "source",
                pulse.get_source_by_name(microphone),
                pulse.source_output_move,
            ),
        ):
            for stream in streams:
                is_own = stream.proplist.get("application.name") == name
                if is_own and getattr(stream, member) != device.index:
                    move(stream.index, device.index)
                    has_moved = False
        return has_moved


@contextmanager
def sound_server(directory: Path) -> Iterator[SoundServer]:
    """A separate PulseAudio, with its socket in `directory`."""
    socket = directory / "pulse.sock"
    devices = [
        ("headset", HEADSET),
        ("laptop", LAPTOP),
    ]
    modules = [f"module-native-protocol-unix socket={socket} auth-anonymous=1"]
    for name, description in devices:
        modules += [
            f"module-null-sink sink_name={name}_out sink_properties=\"device.description='{description}'\"",
            f"module-null-sink sink_name={name}_feed sink_properties=device.description={name}-feed",
            (
                f"module-virtual-source source_name={name}_in master={name}_feed.monitor"
                f" source_properties=\"device.description='{description}'\""
            ),
        ]
    script = directory / "pulse.pa"
    script.write_text("".join(f"load-module {module}\n" for module in modules))
    environment = {
        **os.environ,
        "XDG_RUNTIME_DIR": str(directory),
        "HOME": str(directory),
        "PULSE_SERVER": f"unix:{socket}",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }
    binary = _binary("pulseaudio")
    log = (directory / "pulse.log").open("w")
    process = subprocess.Popen(
        [
            binary,
            "-n",
            "--daemonize=no",
            "--exit-idle-time=-1",
            "--use-pid-file=no",
            "--disallow-exit",
            "-F",
            str(script),
        ],
        env=environment,
        stdout=log,
        stderr=log,
    )
    try:
        yield SoundServer(socket, environment, process)
    finally:
        process.terminate()
        process.wait(10)
        log.close()


@contextmanager
def pipewire_server(directory: Path) -> Iterator[SoundServer]:
    """A separate PipeWire with WirePlumber and its PulseAudio interface, with the same devices."""
    socket = directory / "pulse" / "native"
    environment = {
        **os.environ,
        "XDG_RUNTIME_DIR": str(directory),
        "PIPEWIRE_RUNTIME_DIR": str(directory),
        "XDG_CONFIG_HOME": str(directory / "config"),
        "XDG_STATE_HOME": str(directory / "state"),
        "HOME": str(directory),
        "PULSE_SERVER": f"unix:{socket}",
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={directory}/bus",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }
    devices = directory / "config/pipewire/pipewire.conf.d/devices.conf"
    devices.parent.mkdir(parents=True)
    devices.write_text(_pipewire_devices())
    processes: list[subprocess.Popen[bytes]] = []
    with (directory / "pipewire.log").open("w") as log:
        try:
            for name, makes, *options in (
                ("dbus-daemon", "bus", "--session", "--nofork", f"--address=unix:path={directory}/bus"),
                ("pipewire", "pipewire-0"),
                ("wireplumber", ""),
                ("pipewire-pulse", "pulse/native"),
            ):
                command = [_binary(name), *options]
                processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
                _wait_for(directory / makes)
            yield SoundServer(socket, environment, processes[-1])
        finally:
            for process in reversed(processes):
                process.terminate()
            for process in processes:
                process.wait(20)


def _wait_for(path: Path) -> None:
    ends = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < ends, f"{path.name} does not appear"
        time.sleep(0.02)


def _pipewire_devices() -> str:
    """Return the configuration of the speakers and the microphones. Source: pipewire.conf(5) and Virtual-Devices of its
    documentation.
    """
    nodes = [
        f"""  {{ factory = adapter args = {{
    factory.name = support.null-audio-sink node.name = {name}_{end} node.description = "{description}"
    media.class = {kind} audio.position = [ FL FR ] object.linger = true
  }} }}"""
        for name, description in (("headset", HEADSET), ("laptop", LAPTOP))
        for end, kind in (("out", "Audio/Sink"), ("in", "Audio/Source/Virtual"))
    ]
    return "\n".join(["context.objects = [", *nodes, "]", ""])


def _binary(name: str) -> str:
    found = shutil.which(name)
    assert found, f"make install-dev fetches {name}"
    return found


@asynccontextmanager
async def program(server: SoundServer, name: str, *, speaker: str, microphone: str) -> AsyncIterator[None]:
    """A real program with that name that plays on one device and records from another."""
    commands = [
        ("pacat", f"--device={speaker}", "/dev/zero"),
        ("parecord", f"--device={microphone}", "--raw", "/dev/null"),
    ]
    processes = [
        await asyncio.create_subprocess_exec(
            tool, device, f"--client-name={name}", *rest, env=server.environment, stdout=subprocess.DEVNULL
        )
        for tool, device, *rest in commands
    ]
    try:
        yield
    finally:
        for process in processes:
            if process.returncode is None:  # it may have ended together with its sound server
                process.terminate()
                await process.wait()


@asynccontextmanager
async def probe(server: SoundServer, config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The real probe, already paired."""
    with (config / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "probe.cli",
            "--config",
            str(config),
            "--verbose",
            "run",
            env=server.environment,
            stderr=log,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def probe_command(server: SoundServer, config: Path, *arguments: str) -> tuple[int, str]:
    """Run one command of the probe; return its exit code and all its output."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "probe.cli",
        "--config",
        str(config),
        *arguments,
        env=server.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    return process.returncode or 0, printed.decode()
