"""The Linux reader against real PulseAudio and PipeWire servers: what it sees, how soon, and what happens when the server goes away."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import pulsectl
import pytest

from probe.errors import NoSoundSystemError
from probe.programs import Recogniser
from probe.readers.linux import PulseReader
from probe.snapshot import Snapshot, report
from tests.support.sound import HEADSET, LAPTOP, SoundServer, pipewire_server, program, sound_server
from tests.support.world import eventually

TEAMS, UCC = "Microsoft Teams", "STARFACE UCC Client"


SERVERS = {"pulseaudio": sound_server, "pipewire": pipewire_server}


@pytest.fixture(params=SERVERS)
async def sound(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SoundServer]:
    with SERVERS[request.param](tmp_path) as server:
        monkeypatch.setenv("PULSE_SERVER", server.environment["PULSE_SERVER"])
        yield await server.ready()


def uses(snapshot: Snapshot) -> set[tuple[str, str, str]]:
    return {(use.program, use.kind, use.device.label) for use in report(snapshot, Recogniser()).uses}


class Watching:
    """The reader in its thread, as the probe runs it."""

    def __init__(self, reader: PulseReader | None = None) -> None:
        self.reader = reader or PulseReader()
        self.seen: list[set[tuple[str, str, str]]] = []
        self._thread = threading.Thread(
            target=self.reader.watch, args=(lambda snapshot: self.seen.append(uses(snapshot)),)
        )

    async def __aenter__(self) -> Self:
        self._thread.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self.reader.stop()
        await asyncio.to_thread(self._thread.join, 10)
        assert not self._thread.is_alive(), "it stops when it is told to"

    async def sees(self, *wanted: tuple[str, str, str], seconds: float = 20) -> None:
        async def is_seen() -> bool:
            return bool(self.seen) and self.seen[-1] == set(wanted)

        await eventually(is_seen, f"it sees {wanted}", seconds)


async def test_programs_come_move_and_go(sound: SoundServer) -> None:
    async with Watching() as watching:
        await watching.sees()
        async with program(sound, TEAMS, speaker="headset_out", microphone="headset_in"):
            await watching.sees(("teams", "input", HEADSET), ("teams", "output", HEADSET))
            sound.move(TEAMS, speaker="laptop_out", microphone="headset_in")
            await watching.sees(("teams", "input", HEADSET), ("teams", "output", LAPTOP))
            async with program(sound, "Some Player", speaker="headset_out", microphone="headset_in"):
                pass
        await watching.sees()


async def test_what_changes_while_the_reader_reads_is_not_slept_through(sound: SoundServer) -> None:
    class Slow(PulseReader):
        moved = False

        def _read(self, pulse: pulsectl.Pulse) -> Snapshot:
            snapshot = super()._read(pulse)
            if len(snapshot.streams) == 2 and not self.moved:  # the speaker's and the microphone's
                self.moved = True
                sound.move(TEAMS, speaker="laptop_out", microphone="laptop_in")
                for _ in range(5):  # the events come in with these answers
                    pulse.server_info()
            return snapshot

    async with (
        program(sound, TEAMS, speaker="headset_out", microphone="headset_in"),
        Watching(Slow()) as watching,
    ):
        await watching.sees(("teams", "input", LAPTOP), ("teams", "output", LAPTOP))


async def test_ids_and_defaults_of_the_server(sound: SoundServer) -> None:
    async def is_default() -> bool:
        # WirePlumber, which keeps PipeWire's defaults, may start after the devices.
        with sound.client() as pulse, suppress(pulsectl.PulseOperationFailed):
            pulse.default_set(pulse.get_sink_by_name("laptop_out"))
        default = PulseReader().snapshot().defaults.get("output")
        return default is not None and default.endpoint_id == "laptop_out"

    await eventually(is_default, "the laptop's speakers are the default")
    snapshot = PulseReader().snapshot()
    assert snapshot.defaults["output"].label == LAPTOP
    # The virtual microphones are streams of the server itself, and no programs.
    assert snapshot.streams == ()


async def test_a_server_that_goes_away_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sound_server(tmp_path) as first:
        monkeypatch.setenv("PULSE_SERVER", first.environment["PULSE_SERVER"])
        await first.ready()
        watching = Watching()
        async with watching:
            async with program(first, UCC, speaker="laptop_out", microphone="laptop_in"):
                await watching.sees(("softphone", "input", LAPTOP), ("softphone", "output", LAPTOP))
                first.kill()
                await watching.sees()
            with sound_server(tmp_path) as second:
                await second.ready()
                async with program(second, UCC, speaker="headset_out", microphone="headset_in"):
                    await watching.sees(
                        ("softphone", "input", HEADSET), ("softphone", "output", HEADSET), seconds=30
                    )


def test_without_a_server_the_reason_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/none")
    with pytest.raises(NoSoundSystemError, match="session of the person"):
        PulseReader().snapshot()
