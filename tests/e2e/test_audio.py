"""The audio advisor from end to end: a real sound server, two real programs, the real probe, the tab in Chromium."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Playwright, expect

from tests.support.browser import Tab, launch
from tests.support.sound import HEADSET, LAPTOP, SoundServer, probe, probe_command, program, sound_server
from tests.support.world import ANNA, World

WORDS = {
    "de-DE": {
        "nav": "Audiogeräte",
        "show": "Meine Geräte anzeigen",
        "pair": "Computer koppeln",
        "conflict": "Teams und das Softphone teilen sich ein Audiogerät",
        "clear": "Teams und das Softphone verwenden verschiedene Geräte",
        "step": f"„{LAPTOP}“ wählen",
        "connected": "Verbunden",
    },
    "en-US": {
        "nav": "Audio devices",
        "show": "Show my devices",
        "pair": "Pair a computer",
        "conflict": "Teams and the softphone share an audio device",
        "clear": "Teams and the softphone use different devices",
        "step": f"choose “{LAPTOP}”",
        "connected": "Connected",
    },
}
TEAMS, UCC = "Microsoft Teams", "STARFACE UCC Client"
ON_HEADSET = {"speaker": "headset_out", "microphone": "headset_in"}
ON_LAPTOP = {"speaker": "laptop_out", "microphone": "laptop_in"}


@pytest.fixture
async def sound(tmp_path: Path) -> AsyncIterator[SoundServer]:
    with sound_server(tmp_path) as server:
        yield await server.ready()


@pytest.fixture
async def hearing(playwright: Playwright, sound: SoundServer) -> AsyncIterator[Browser]:
    """A Chromium on that sound server. The permission is given, as a person would give it."""
    browser = await launch(playwright, "--use-fake-ui-for-media-stream", environment=sound.environment)
    yield browser
    await browser.close()


@pytest.mark.parametrize("locale", ["de-DE", "en-US"])
async def test_two_programs_on_one_headset_are_found_and_moving_one_clears_it(
    world: World, hearing: Browser, sound: SoundServer, tmp_path: Path, locale: str
) -> None:
    words = WORDS[locale]
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    tab = await Tab.open(hearing, world, ANNA, locale=locale, page="audio")
    # Chromium lists the very devices of the sound server.
    await expect(tab.view.get_by_role("listitem").filter(has_text=HEADSET)).to_have_count(2)
    await tab.button(words["pair"]).click()
    code = await tab.view.locator("#pairing-code").inner_text()
    config = tmp_path / "probe"
    returned, printed = await probe_command(
        sound, config, "pair", world.demo.service_url, code.lower(), "--no-autostart"
    )
    assert returned == 0, printed
    async with program(sound, TEAMS, **ON_HEADSET), program(sound, UCC, **ON_HEADSET), probe(sound, config):
        await tab.sees(words["connected"])
        finding = tab.view.locator("#finding")
        await expect(finding).to_contain_text(words["conflict"])
        await expect(finding).to_contain_text(HEADSET)
        await expect(finding).to_contain_text(words["step"])
        table = tab.view.get_by_role("table")
        await expect(table.get_by_role("row").filter(has_text=HEADSET)).to_have_count(4)
        await tab.page.set_viewport_size({"width": 1000, "height": 2000})
        await tab.page.screenshot(path=f"/tmp/audio-{locale}.png")
        begun = time.monotonic()
        sound.move(UCC, **ON_LAPTOP)
        await expect(finding).to_contain_text(words["clear"])
        assert time.monotonic() - begun < 2
        await expect(table.get_by_role("row").filter(has_text=LAPTOP)).to_have_count(2)
        assert await tab.violations() == []
    await tab.close()
