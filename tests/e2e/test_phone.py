"""The telephone page in Chromium, with the whole service and a simulated STARFACE."""

from typing import Any

import pytest
from playwright.async_api import expect

from simulator.starface.telephony import Right
from tests.support.browser import OpenTab, Tab, overflow
from tests.support.licences import revoke_session
from tests.support.telephone import call_from_outside, list_pbx_calls, wait_for_line
from tests.support.world import ANNA, CLARA, World, eventually

WORDS: dict[str, dict[str, str]] = {
    "de-DE": {
        "title": "Telefon",
        "use": "Auch mein Telefon hier benutzen",
        "begin": "Mein Telefon hier benutzen …",
        "key": "Schlüssel zur Anlage",
        "password": "Passwort",
        "on": "Einschalten",
        "rejected": "stimmt nicht",
        "off": "Telefon hier ausschalten",
        "dial": "Wählen",
        "rings": "Heben Sie ab, dann wählen wir",
        "hang-up": "Auflegen",
        "ringing": "ruft an",
        "reject": "Ablehnen",
        "connected": "Verbunden mit",
        "missed": "Verpasster Anruf",
        "none": "Zurzeit kein Anruf.",
        "emergency": "Notrufnummer",
        "cancel": "Abbrechen",
        "number": "Nummer oder Name",
        "quiet": "Nicht stören",
        "change": "Ändern …",
        "no-answer": "Wenn niemand abhebt",
        "save": "Speichern und einschalten",
        "was-missed": "verpasst",
        "play": "Auf meinem Telefon abspielen",
        "playing": "dann wird die Nachricht abgespielt",
        "write-missed": "Mir schreiben, wenn ich einen Anruf verpasst habe",
    },
    "en-US": {
        "title": "Phone",
        "use": "Use my telephone here as well",
        "begin": "Use my telephone here …",
        "key": "PBX key",
        "password": "Password",
        "on": "Switch on",
        "rejected": "Login or password is not right",
        "off": "Switch the telephone off here",
        "dial": "Dial",
        "rings": "pick it up, and we dial",
        "hang-up": "Hang up",
        "ringing": "is calling",
        "reject": "Reject",
        "connected": "Connected with",
        "missed": "Missed call",
        "none": "No calls at the moment.",
        "emergency": "emergency number",
        "cancel": "Cancel",
        "number": "Number or name",
        "quiet": "Do not disturb",
        "change": "Change …",
        "no-answer": "When not answered",
        "save": "Save and switch on",
        "was-missed": "missed",
        "play": "Play on my phone",
        "playing": "the message is played",
        "write-missed": "Write to me when I have missed a call",
    },
}


async def signed_in(world: World, *, phone: bool = True) -> Any:
    anna = world.client(ANNA)
    assert (await anna.sign_in(world.pbx_name, world.key)).status == 200
    if phone:
        assert (await anna.switch_phone_on(world.pbx_name, world.key)).status == 200
        await wait_for_line(anna, lambda line: line["state"] == "up")
    return anna


def call(tab: Tab) -> Any:
    """Those that go on: how one ended is shown for some seconds."""
    return tab.view.locator("pbx-phone-calls li.live")


@pytest.mark.parametrize("locale", WORDS)
async def test_a_person_switches_their_telephone_on_dials_and_hangs_up(
    world: World, open_tab: OpenTab, locale: str
) -> None:
    words = WORDS[locale]
    await signed_in(world, phone=False)
    tab = await open_tab(ANNA, locale=locale, page="")
    await expect(tab.view.get_by_role("heading", name=words["title"], exact=True)).to_be_visible()
    assert await tab.violations() == []
    await tab.button(words["begin"]).click()
    await expect(tab.field(words["key"])).to_be_focused()
    await tab.button(words["on"]).click()
    await expect(tab.view.get_by_role("alert")).to_be_visible()
    assert await tab.violations() == []
    await tab.field(words["key"]).fill(world.key)
    await tab.field(words["password"]).fill("wrong")
    await tab.page.keyboard.press("Enter")
    await tab.is_alerted(words["rejected"])
    await tab.field(words["password"]).fill(ANNA.password)
    await tab.page.keyboard.press("Enter")
    number = tab.view.locator("#number")
    await expect(number).to_be_focused()
    assert await tab.violations() == []
    await number.fill("0721 151042")
    await tab.page.keyboard.press("Enter")
    await expect(tab.view.locator("#dialling, pbx-phone-calls li").first).to_be_visible()
    await expect(call(tab)).to_have_count(1)
    assert await tab.violations() == []
    await tab.view.get_by_role("button", name=words["hang-up"]).click()

    async def is_over() -> bool:
        return not await list_pbx_calls(world)

    await eventually(is_over, "the PBX has ended it")
    await tab.button(words["off"]).click()
    await expect(tab.button(words["begin"])).to_be_visible()
    await tab.page.reload()
    await expect(tab.button(words["begin"])).to_be_visible()


@pytest.mark.parametrize("locale", WORDS)
async def test_a_call_is_shown_as_it_happens(world: World, open_tab: OpenTab, locale: str) -> None:
    words = WORDS[locale]
    await signed_in(world)
    tab = await open_tab(ANNA, locale=locale, page="phone", theme="dark")
    other = await open_tab(ANNA, locale=locale)  # on another page
    await tab.sees(words["none"])
    first = await call_from_outside(world, name="Erika <b>Beispiel</b>")
    await expect(call(tab)).to_contain_text("Erika <b>Beispiel</b>")
    await expect(call(tab)).to_contain_text(words["ringing"])
    await other.sees(words["ringing"])
    assert await tab.violations() == []
    await tab.view.get_by_role("button", name=words["reject"]).click()

    async def is_over() -> bool:
        return first not in [one["id"] for one in await list_pbx_calls(world)]

    await eventually(is_over, "the PBX has ended it")
    await expect(tab.view.get_by_role("button", name=words["reject"])).to_have_count(0)
    second = await call_from_outside(world)
    await world.pbx("POST", f"calls/{second}/connect", {"later": 3})
    await expect(tab.view.get_by_role("timer")).to_be_visible()
    await tab.sees(words["connected"])
    assert await tab.violations() == []
    await world.pbx("POST", f"calls/{second}/hangup", {"later": 63})
    await expect(tab.view.get_by_role("button", name=words["hang-up"])).to_have_count(0)


@pytest.mark.parametrize("locale", WORDS)
async def test_an_emergency_number_is_dialled_after_a_yes_alone(
    world: World, open_tab: OpenTab, locale: str
) -> None:
    words = WORDS[locale]
    await signed_in(world)
    tab = await open_tab(ANNA, locale=locale, page="phone")
    number = tab.view.locator("#number")
    dialog = tab.view.get_by_role("dialog")
    await number.fill("112")
    await number.press("Enter")
    await expect(dialog).to_contain_text(words["emergency"])
    assert await tab.violations() == []
    await dialog.get_by_role("button", name=words["cancel"], exact=True).click()
    await expect(dialog).to_be_hidden()
    assert await list_pbx_calls(world) == []
    await number.press("Enter")
    await dialog.get_by_role("button", name=words["dial"], exact=True).click()
    await expect(call(tab).filter(has_text="112")).to_have_count(1)


async def test_a_link_fills_the_number_in_and_dials_nothing(world: World, open_tab: OpenTab) -> None:
    await signed_in(world)
    tab = await open_tab(ANNA, page="dial:0721 151042")
    await expect(tab.view.locator("#number")).to_have_value("0721 151042")
    await expect(tab.view.locator("#from-link")).to_contain_text("Nothing is dialled until")
    assert await list_pbx_calls(world) == []
    await tab.view.locator("#number").press("Enter")
    await expect(call(tab)).to_have_count(1)
    await expect(tab.view.locator("#from-link")).to_have_count(0)
    async with world.http.get(f"{world.demo.service_url}/tab/dial?n=0721") as page:
        assert page.status == 200 and "pbx-app" in await page.text()


async def test_losing_the_licence_takes_the_calls_from_the_page_at_once(
    world: World, open_tab: OpenTab
) -> None:
    await signed_in(world)
    assert (await world.client(CLARA).sign_in(world.pbx_name, world.key)).status == 200
    tab = await open_tab(ANNA, page="phone")
    going_on = await call_from_outside(world, name="Erika Beispiel")
    await world.pbx("POST", f"calls/{going_on}/connect")
    await tab.sees("Connected with")
    await revoke_session(world, ANNA)
    await expect(tab.view.locator("#pbx-name")).to_be_visible()
    await expect(tab.view.get_by_text("Erika Beispiel")).to_have_count(0)
    assert [one["id"] for one in await list_pbx_calls(world)] == [going_on]
    await world.pbx("POST", f"calls/{going_on}/hangup")


@pytest.mark.parametrize("width", [320, 375])
async def test_the_page_fits_a_phones_width(world: World, open_tab: OpenTab, width: int) -> None:
    await signed_in(world)
    tab = await open_tab(ANNA, locale="de-DE", width=width, page="phone")
    await call_from_outside(world, name="Maximiliane-Alexandra von Schwarzenberg-Hohenlohe")
    await expect(call(tab)).to_have_count(1)
    assert await overflow(tab) <= 0
    assert await tab.violations() == []


@pytest.mark.parametrize("locale", WORDS)
async def test_somebody_is_found_as_one_types_and_called_by_the_keyboard_alone(
    world: World, open_tab: OpenTab, locale: str
) -> None:
    await signed_in(world)
    tab = await open_tab(ANNA, locale=locale, page="phone")
    number = tab.view.get_by_role("combobox", name=WORDS[locale]["number"])
    options = tab.view.get_by_role("option").filter(has_text="Lindner")
    await number.fill("lind")
    await expect(options.first).to_be_visible()
    await expect(number).to_have_attribute("aria-expanded", "true")
    assert await tab.violations() == []
    await tab.page.keyboard.press("ArrowDown")
    await expect(options.first).to_have_attribute("aria-selected", "true")
    await tab.page.keyboard.press("Escape")
    await expect(options).to_have_count(0)
    await number.fill("lindn")
    await expect(options.first).to_be_visible()
    await tab.page.keyboard.press("ArrowDown")
    await tab.page.keyboard.press("Enter")
    await expect(number).to_have_value("Jürgen Lindner")
    assert await list_pbx_calls(world) == [], "chosen, not dialled"
    await tab.page.keyboard.press("Enter")
    await expect(call(tab)).to_have_count(1)


@pytest.mark.parametrize("locale", WORDS)
async def test_switches_show_what_the_pbx_has_done(world: World, open_tab: OpenTab, locale: str) -> None:
    words = WORDS[locale]
    anna = await signed_in(world)
    tab = await open_tab(ANNA, locale=locale, page="phone")
    quiet = tab.field(words["quiet"])
    await expect(quiet).not_to_be_checked()
    await quiet.click()
    await wait_for_line(anna, lambda line: line["doNotDisturb"] is True)
    await expect(quiet).to_be_checked()
    await anna.call("PUT", "phone/do-not-disturb", {"isOn": False})  # from elsewhere
    await expect(quiet).not_to_be_checked()
    change = tab.view.get_by_role("button", name=f"{words['change']}: {words['no-answer']}").first
    await change.click()
    await tab.view.locator("#redirect-target").select_option(index=0)
    await tab.view.locator("#redirect-number").fill("0721 151042")
    await tab.view.locator("#redirect-seconds").select_option("30")
    assert await tab.violations() == []
    await tab.button(words["save"]).click()
    row = tab.view.locator("pbx-phone-switches li").filter(has_text="721151042")
    await expect(row).to_contain_text("30")
    await expect(row.get_by_role("checkbox")).to_be_checked()
    await row.get_by_role("checkbox").click()
    await expect(row.get_by_role("checkbox")).not_to_be_checked()
    await row.get_by_role("button").click()
    await tab.view.locator("#redirect-target").select_option(index=1)
    await tab.button(words["save"]).click()
    await expect(row).to_have_count(0)
    await tab.view.locator("pbx-phone-switches li").nth(2).get_by_role("checkbox").click()


@pytest.mark.parametrize("locale", WORDS)
async def test_messages_about_calls_are_chosen_on_the_page(
    world: World, open_tab: OpenTab, locale: str
) -> None:
    words = WORDS[locale]
    anna = await signed_in(world)
    nothing = {"callsInChat": False, "missedCalls": False, "numbersInChat": False}
    await anna.call("PUT", "phone/notices", nothing)
    tab = await open_tab(ANNA, locale=locale, page="phone")
    missed, numbers = tab.field(words["write-missed"]), tab.view.locator("#numbersInChat")
    await expect(numbers).to_be_disabled()  # without messages there is nothing to show it in
    await missed.click()
    await expect(numbers).to_be_enabled()
    await expect(missed).to_be_checked()
    assert await tab.violations() == []
    await tab.page.reload()
    await expect(missed).to_be_checked()
    assert (await anna.call("GET", "phone/notices")).body["missedCalls"] is True
    await anna.call("PUT", "phone/notices", nothing)


@pytest.mark.parametrize("locale", WORDS)
async def test_the_call_list_and_the_voicemail_call_back(
    world: World, open_tab: OpenTab, locale: str
) -> None:
    words = WORDS[locale]
    await signed_in(world)
    tab = await open_tab(ANNA, locale=locale, page="phone")
    rows = tab.view.locator("pbx-phone-history li")
    await expect(rows.first).to_be_visible()
    everything = await rows.count()
    await tab.view.locator("#filter").select_option("missed")
    await expect(rows.first).to_contain_text(words["was-missed"])
    assert await rows.count() < everything
    await tab.view.get_by_role("button", name=words["play"]).first.click()
    await tab.sees(words["playing"])
    assert await tab.violations() == []
    for one in await list_pbx_calls(world):
        await world.pbx("POST", f"calls/{one['id']}/hangup")
    await expect(tab.view.get_by_role("button", name=words["hang-up"])).to_have_count(0)
    await rows.first.get_by_role("button").click()
    await expect(tab.view.get_by_role("button", name=words["hang-up"])).to_have_count(1)


async def test_what_the_pbx_refuses_is_shown_as_unchangeable_and_as_it_was(
    world: World, open_tab: OpenTab
) -> None:
    without = [right.value for right in Right if right is not Right.SETTING]
    await world.pbx("PATCH", f"users/{ANNA.login}", {"rights": without})
    try:
        await signed_in(world)
        tab = await open_tab(ANNA, page="phone")
        switches = tab.view.locator("pbx-phone-switches")
        quiet = tab.field(WORDS["en-US"]["quiet"])
        await quiet.click()
        await expect(switches.get_by_role("alert")).to_contain_text("does not offer this")
        await expect(quiet).not_to_be_checked()
        await expect(quiet).to_be_disabled()
        await expect(switches).to_contain_text("you cannot change it")
        await expect(switches.get_by_role("checkbox").nth(1)).to_be_enabled()
        assert await tab.violations() == []
    finally:
        await world.pbx("PATCH", f"users/{ANNA.login}", {"rights": [right.value for right in Right]})


@pytest.mark.parametrize("locale", WORDS)
async def test_who_chooses_it_at_sign_in_has_their_telephone_at_once(
    world: World, open_tab: OpenTab, locale: str
) -> None:
    tab = await open_tab(ANNA, locale=locale, page="")
    await tab.view.locator("#pbx-name").fill(world.pbx_name)
    await tab.view.locator("#pbx-key").fill(world.key)
    await tab.page.keyboard.press("Enter")
    await tab.view.locator("#login").fill(ANNA.login)
    await tab.view.locator("#password").fill(ANNA.password)
    await expect(tab.view.locator("#use-phone")).not_to_be_checked()
    await tab.field(WORDS[locale]["use"]).check()
    assert await tab.violations() == []
    await tab.view.locator("#password").press("Enter")
    await expect(tab.view.get_by_role("heading", level=1)).to_be_focused()
    await expect(tab.view.locator("#number")).to_be_visible()
    # Off and on again: the key is known while the page is open.
    await tab.button(WORDS[locale]["off"]).click()
    await tab.button(WORDS[locale]["begin"]).click()
    await expect(tab.field(WORDS[locale]["password"])).to_be_focused()
    await expect(tab.field(WORDS[locale]["key"])).to_have_count(0)
    await tab.page.keyboard.type(ANNA.password)
    await tab.page.keyboard.press("Enter")
    await expect(tab.view.locator("#number")).to_be_focused()


async def test_the_help_with_calls_is_given_by_the_same_form(world: World, open_tab: OpenTab) -> None:
    await signed_in(world, phone=False)
    tab = await open_tab(ANNA, page="audio")
    await tab.button("Switch on …").click()
    await tab.field("PBX key").fill(world.key)
    await tab.field("Password").fill(ANNA.password)
    await tab.button("Switch on").click()
    await tab.sees("On since")
