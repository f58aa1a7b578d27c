"""The probe as a program: it comes back after the service was away, and ends when it is removed in the tab."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.sound import SoundServer, probe, probe_command, program, sound_server
from tests.support.world import ANNA, World, eventually


@pytest.fixture
async def sound(tmp_path: Path) -> AsyncIterator[SoundServer]:
    with sound_server(tmp_path) as server:
        yield await server.ready()


@pytest.fixture
async def anna(world: World, sound: SoundServer, tmp_path: Path):
    client = world.client(ANNA)
    await client.sign_in(world.pbx_name, world.key)
    await client.call("DELETE", "audio")
    code = (await client.call("POST", "audio/pairing")).body["code"]
    returned, printed = await probe_command(
        sound, tmp_path / "probe", "pair", world.demo.service_url, code, "--no-autostart"
    )
    assert returned == 0, printed
    assert "Paired with Anna Berger" in printed
    assert "Nothing that is spoken or played" in printed
    return client


async def seen(client: Any) -> dict[str, Any]:
    return (await client.call("GET", "audio")).body


async def test_it_comes_back_with_what_it_sees_after_the_service_was_away(
    world: World, anna, sound: SoundServer, tmp_path: Path
) -> None:
    async with probe(sound, tmp_path / "probe"):

        async def is_connected() -> bool:
            return (await seen(anna))["probes"][0]["connected"]

        await eventually(is_connected, "the probe is connected")
        await world.demo.stop_part("service")
        async with program(sound, "Microsoft Teams", speaker="headset_out", microphone="headset_in"):
            await world.demo.start_service()
            await world.connected()

            async def is_reported() -> bool:
                return {use["program"] for use in (await seen(anna))["uses"] if use["active"]} == {"teams"}

            await eventually(is_reported, "what began meanwhile is reported", seconds=30)


async def test_removed_in_the_tab_it_ends_and_forgets(
    world: World, anna, sound: SoundServer, tmp_path: Path
) -> None:
    async with probe(sound, tmp_path / "probe") as process:

        async def is_connected() -> bool:
            return (await seen(anna))["probes"][0]["connected"]

        await eventually(is_connected, "the probe is connected")
        probe_id = (await seen(anna))["probes"][0]["probeId"]
        await anna.call("POST", "audio/probes/remove", {"probeId": probe_id})
        assert await process.wait() == 1
    assert "removed in the tab" in (tmp_path / "probe" / "log").read_text()
    returned, printed = await probe_command(sound, tmp_path / "probe", "run")
    assert (returned, "not paired yet" in printed) == (1, True)


async def test_a_code_that_was_used_pairs_nobody_else(
    world: World, anna, sound: SoundServer, tmp_path: Path
) -> None:
    code = (await anna.call("POST", "audio/pairing")).body["code"]
    first = await probe_command(
        sound, tmp_path / "one", "pair", world.demo.service_url, code, "--no-autostart"
    )
    second = await probe_command(
        sound, tmp_path / "two", "pair", world.demo.service_url, code, "--no-autostart"
    )
    assert (first[0], second[0]) == (0, 1)
    assert "ask for a new one on the tab's audio page" in second[1]
