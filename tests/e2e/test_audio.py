"""The audio advisor from end to end: a real sound server, two real programs, the real probe, the tab in Chromium."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Playwright, expect

from tests.support.browser import OpenTab, Tab, launch
from tests.support.sound import HEADSET, LAPTOP, SoundServer, probe, probe_command, program, sound_server
from tests.support.world import ANNA, CLARA, World, eventually

WORDS = {
    "de-DE": {
        "nav": "Audiogeräte",
        "pair": "Computer koppeln",
        "conflict": "Teams und das Softphone teilen sich ein Audiogerät",
        "clear": "Teams und das Softphone verwenden verschiedene Geräte",
        "step": f"„{LAPTOP}“ wählen",
        "connected": "Verbunden",
    },
    "en-US": {
        "nav": "Audio devices",
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
    browser = await launch(
        playwright, "--use-fake-ui-for-media-stream", environment=sound.environment, whole=True
    )
    yield browser
    await browser.close()


@pytest.mark.parametrize("locale", ["de-DE", "en-US"])
async def test_two_programs_on_one_headset_are_found_and_moving_one_clears_it(
    world: World, hearing: Browser, sound: SoundServer, tmp_path: Path, locale: str
) -> None:
    words = WORDS[locale]
    await fresh(world, ANNA)
    tab = await Tab.open(hearing, world, ANNA, locale=locale, page="audio")
    # Chromium lists the very devices of the sound server.
    await expect(tab.view.get_by_role("listitem").filter(has_text=HEADSET)).to_have_count(2)
    await tab.button(words["pair"]).click()
    # The very command that the page shows.
    command = (await tab.view.locator("pbx-audio-probes code").inner_text()).split()
    assert command[:2] == ["pbx-audio-probe", "pair"]
    config = tmp_path / "probe"
    returned, printed = await probe_command(sound, config, *command[1:], "--no-autostart")
    assert returned == 0, printed
    async with program(sound, TEAMS, **ON_HEADSET), program(sound, UCC, **ON_HEADSET), probe(sound, config):
        await tab.sees(words["connected"])
        finding = tab.view.locator("#finding")
        await expect(finding).to_contain_text(words["conflict"])
        await expect(finding).to_contain_text(HEADSET)
        await expect(finding).to_contain_text(words["step"])
        table = tab.view.get_by_role("table")
        await expect(table.get_by_role("row").filter(has_text=HEADSET)).to_have_count(4)
        begun = time.monotonic()
        sound.move(UCC, **ON_LAPTOP)
        await expect(finding).to_contain_text(words["clear"])
        assert time.monotonic() - begun < 2
        await expect(table.get_by_role("row").filter(has_text=LAPTOP)).to_have_count(2)
        assert await tab.violations() == []
    await tab.close()


async def test_a_person_without_the_probe_chooses_by_keyboard(
    world: World, hearing: Browser, sound: SoundServer
) -> None:
    await fresh(world, ANNA)
    tab = await Tab.open(hearing, world, ANNA, page="audio")
    finding = tab.view.locator("#finding")
    await expect(finding).to_contain_text("Not enough is known yet")
    for label in ("Speaker of Teams", "Microphone of Teams", "Speaker of the softphone"):
        await tab.field(label).select_option(HEADSET)
    await expect(finding).to_contain_text("Teams and the softphone share an audio device")
    last = tab.field("Microphone of the softphone")
    await last.focus()
    await tab.page.keyboard.type(LAPTOP[:5])
    await expect(last).to_have_value(LAPTOP)
    await tab.field("Speaker of the softphone").select_option(LAPTOP)
    await expect(finding).to_contain_text("Teams and the softphone use different devices")
    # It is still so in another window, and after a reload.
    await tab.page.reload()
    await expect(tab.field("Speaker of Teams")).to_have_value(HEADSET)
    await tab.view.get_by_text("Show everything that is stored about me").click()
    await tab.sees(f"On this computer: {HEADSET}")
    await tab.button("Delete everything …").click()
    await tab.view.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(finding).to_contain_text("Not enough is known yet")
    await expect(tab.field("Speaker of Teams")).to_have_value("")
    await tab.close()


async def test_the_first_page_warns_live_and_leads_to_the_cure(world: World, open_tab: OpenTab) -> None:
    await fresh(world, ANNA)
    tab = await open_tab(ANNA)
    await tab.sees("Overview")
    device = {"kind": "output", "label": "Headset (Jabra Evolve2 65)"}
    uses = [{"program": program, "device": device} for program in ("teams", "softphone")]
    await world.client(ANNA).call("PUT", "audio/declared", {"uses": uses})
    await tab.sees("Teams and your softphone share an audio device")
    assert await tab.violations() == []
    await tab.button("What to change").click()
    await expect(tab.view.locator("#finding")).to_contain_text("Both use Jabra Evolve2 65")
    await world.client(ANNA).call("DELETE", "audio")
    await tab.goes_to("Overview")
    await expect(tab.button("What to change")).to_have_count(0)


async def test_the_list_follows_what_is_plugged_in(
    world: World, hearing: Browser, sound: SoundServer
) -> None:
    await fresh(world, ANNA)
    tab = await Tab.open(hearing, world, ANNA, page="audio")
    items = tab.view.get_by_role("listitem")
    await expect(items.filter(has_text=HEADSET)).to_have_count(2)
    with sound.client() as pulse:
        module = pulse.module_load(
            "module-null-sink", "sink_name=new sink_properties=\"device.description='Poly Sync 20'\""
        )
        await expect(items.filter(has_text="Poly Sync 20")).to_have_count(1, timeout=15_000)
        pulse.module_unload(module)
    await expect(items.filter(has_text="Poly Sync 20")).to_have_count(0, timeout=15_000)
    await tab.close()


async def test_a_tone_is_played_on_the_device_itself_and_a_level_is_shown(
    world: World, hearing: Browser, sound: SoundServer
) -> None:
    await fresh(world, ANNA)
    tab = await Tab.open(hearing, world, ANNA, page="audio")
    await tab.button(f"Test tone: {HEADSET}").click()

    async def plays() -> bool:
        with sound.client() as pulse:
            headset = pulse.get_sink_by_name("headset_out").index
            return any(stream.sink == headset for stream in pulse.sink_input_list())

    await eventually(plays, "the tone is on the headset")
    await tab.button(f"Show level: {HEADSET}").click()
    await expect(tab.view.get_by_label(f"Level of {HEADSET}")).to_be_visible()
    assert await tab.violations() == []
    await tab.button(f"Stop: {HEADSET}").click()
    await expect(tab.view.get_by_label(f"Level of {HEADSET}")).to_have_count(0)

    async def is_released() -> bool:
        with sound.client() as pulse:
            # The virtual microphones themselves listen to what feeds them.
            return not any(
                "Chrom" in out.proplist.get("application.name", "") for out in pulse.source_output_list()
            )

    await eventually(is_released, "the microphone is free again")
    await tab.close()


async def test_a_refused_microphone_has_a_way_back(
    world: World, playwright: Playwright, sound: SoundServer
) -> None:
    await fresh(world, ANNA)
    browser = await launch(playwright, environment=sound.environment, whole=True)
    tab = await Tab.open(browser, world, ANNA, page="audio")
    await tab.sees("the browser asks for the microphone. Nothing is recorded")
    assert await tab.violations() == []
    await tab.button("Show my devices").click()
    await tab.sees("Access to the microphone was refused")
    await expect(tab.button("Try again")).to_be_visible()
    await expect(tab.field("Speaker of Teams")).to_be_disabled()
    await tab.page.context.grant_permissions(["microphone"])
    await tab.button("Try again").click()
    await expect(tab.view.get_by_role("listitem").filter(has_text=HEADSET)).to_have_count(2)
    await browser.close()


async def test_help_with_calls_by_keyboard_with_a_typo_and_back(world: World, open_tab: OpenTab) -> None:
    await fresh(world, ANNA)
    tab = await open_tab(ANNA, page="audio")
    await tab.button("Switch on …").focus()
    await tab.page.keyboard.press("Enter")
    await expect(tab.field("PBX key")).to_be_focused()
    await tab.page.keyboard.type(world.key[:-1])
    await tab.page.keyboard.press("Tab")
    await tab.page.keyboard.press("Tab")
    await tab.page.keyboard.type("wrong")
    await tab.page.keyboard.press("Enter")
    await tab.is_alerted("The key is not complete")
    await expect(tab.field("PBX key")).to_be_focused()
    await tab.field("PBX key").fill(world.key)
    await tab.page.keyboard.press("Enter")
    await tab.is_alerted("Login or password is not right")
    await expect(tab.field("Password")).to_be_focused()
    assert await tab.violations() == []
    await tab.field("Password").fill(ANNA.password)
    await tab.page.keyboard.press("Enter")
    await tab.sees("On since")
    assert ANNA.login in (await world.pbx("GET", "state"))["uciLogins"]
    await tab.button("Stop").click()
    await expect(tab.button("Switch on …")).to_be_visible()


async def fresh(world: World, person) -> None:
    """Signed in, and nothing known about their devices."""
    await world.client(person).sign_in(world.pbx_name, world.key)
    await world.client(person).call("DELETE", "audio")


async def test_an_administrator_sees_conflicts_by_device_and_names_with_consent(
    world: World, open_tab: OpenTab
) -> None:
    device = {"kind": "output", "label": "Headset (Jabra Evolve2 65)"}
    for person in (ANNA, CLARA):
        await fresh(world, person)
        uses = [{"program": program, "device": device} for program in ("teams", "softphone")]
        await world.client(person).call("PUT", "audio/declared", {"uses": uses})
    clara = await open_tab(CLARA, page="audio")
    row = clara.view.get_by_role("table", name="Conflicts at your PBX").get_by_role("row").nth(1)
    await expect(row).to_contain_text("Jabra Evolve2 65")
    await expect(row.get_by_role("cell").nth(1)).to_have_text("2")
    await expect(row).not_to_contain_text("Anna")
    anna = await open_tab(ANNA, page="audio")
    await expect(anna.view.get_by_text("Conflicts at your PBX")).to_have_count(0)
    await anna.view.get_by_role("checkbox", name="Administrators may see my name").check()
    await clara.page.reload()
    await expect(row).to_contain_text("Anna Berger (1001)")
    for person in (ANNA, CLARA):
        await world.client(person).call("DELETE", "audio")
