"""The frame of the tab: header, the person's menu, help, and navigation with red dots."""

import re

import pytest
from playwright.async_api import expect

from tests.support.browser import OpenTab, overflow
from tests.support.world import ANNA, BEN, CLARA, World

NO_CLIPBOARD = (
    "navigator.clipboard.writeText = async () => { throw new DOMException('', 'NotAllowedError'); };"
)
"""A host that gives its tabs no permission for the clipboard."""


async def test_the_menu_names_the_person_and_leads_to_the_settings(world: World, open_tab: OpenTab) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    anna = await open_tab(ANNA)
    account = anna.button("Account of Anna Berger")
    await expect(account).to_have_attribute("data-initials", "AB")
    await account.focus()
    await anna.page.keyboard.press("Enter")
    menu = anna.view.get_by_role("group", name="Your account")
    await expect(menu).to_contain_text("1001 · pbx.example.com")
    assert await anna.violations() == []
    await anna.page.keyboard.press("Escape")
    await expect(menu).to_be_hidden()
    await expect(account).to_be_focused()
    await anna.page.keyboard.press("Enter")
    await anna.page.keyboard.press("Tab")
    await anna.page.keyboard.press("Enter")
    await expect(anna.view.get_by_role("heading", name="Settings", level=1)).to_be_visible()
    await expect(menu).to_be_hidden()
    await anna.page.reload()
    await expect(anna.view.get_by_role("heading", name="Settings", level=1)).to_be_visible()


async def test_a_sign_out_that_fails_reports_it_in_the_menu(world: World, open_tab: OpenTab) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    anna = await open_tab(ANNA)
    await anna.page.route("**/sign-out", lambda route: route.abort())
    await anna.sign_out()
    await anna.is_alerted("The service cannot be reached")
    await anna.page.unroute("**/sign-out")
    await anna.button("Sign out").click()
    await expect(anna.field("PBX name")).to_be_visible()


@pytest.mark.parametrize(
    ("locale", "help_", "heading", "news", "close"),
    [
        ("en-US", "Help", "Where do I find the PBX name and the key?", "What is new", "Close"),
        ("de-DE", "Hilfe", "Name und Schlüssel der Telefonanlage", "Was ist neu", "Schließen"),
    ],
)
async def test_help_is_there_before_one_has_signed_in_and_nothing_typed_is_lost(
    world: World, open_tab: OpenTab, locale: str, help_: str, heading: str, news: str, close: str
) -> None:
    await world.client(ANNA).sign_out()
    anna = await open_tab(ANNA, locale=locale, width=320)
    await anna.view.locator("#pbx-name").fill("pbx.example.com")
    await anna.button(help_).click()
    drawer = anna.view.get_by_role("dialog", name=help_)
    for name in (heading, news):
        await expect(drawer.get_by_role("heading", name=name)).to_be_visible()
    assert await anna.violations() == []
    assert await overflow(anna) <= 0
    await drawer.get_by_role("button", name=close).click()
    await expect(drawer).to_be_hidden()
    await expect(anna.button(help_)).to_be_focused()
    await expect(anna.view.locator("#pbx-name")).to_have_value("pbx.example.com")


@pytest.mark.parametrize("script", [None, NO_CLIPBOARD], ids=["clipboard", "no clipboard"])
async def test_help_has_the_reference_of_what_failed(
    world: World, open_tab: OpenTab, script: str | None
) -> None:
    await world.client(ANNA).sign_out()
    anna = await open_tab(ANNA, script=script)
    await anna.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await anna.button("Help").click()
    await anna.sees("Nothing has failed since this page was opened.")
    await anna.page.keyboard.press("Escape")
    await anna.enter_pbx("pbx.example.com", "1" * 36)
    async with anna.page.expect_response("**/sign-in/challenge") as answered:
        await anna.enter_pbx("unknown.example.com", world.key)
    problem = await (await answered.value).json()
    await anna.button("Help").click()
    await anna.button("Copy reference").press("Enter")
    await anna.sees("Copied.")
    await expect(anna.button("Copy reference")).to_be_focused()
    copied = await anna.frame().evaluate("navigator.clipboard.readText()")
    assert problem["requestId"] in copied
    assert problem["code"] in copied


async def test_a_host_that_forbids_the_clipboard_copies_all_the_same(world: World, open_tab: OpenTab) -> None:
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    clara = await open_tab(CLARA, page="connection", script=NO_CLIPBOARD)
    await clara.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await clara.button("Copy for support").press("Enter")
    await clara.sees("Copied.")
    await expect(clara.button("Copy for support")).to_be_focused()
    assert "link: " in await clara.frame().evaluate("navigator.clipboard.readText()")


async def test_a_lost_connection_is_a_red_dot_with_words(world: World, open_tab: OpenTab) -> None:
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    clara = await open_tab(CLARA)
    await expect(clara.link("Connection")).to_have_accessible_name("Connection")
    await world.demo.stop_part("connector")
    try:
        await expect(clara.link("Connection")).to_have_accessible_name(
            re.compile("Connection ?: Not connected")
        )
        await expect(clara.view.locator("#situation")).to_have_text(
            re.compile("You are signed in, but pbx.example.com cannot be reached.")
        )
        assert await clara.violations() == []
        await clara.button("Check the connection").click()
        await expect(clara.link("Connection")).to_have_attribute("aria-current", "page")
    finally:
        await world.demo.start_connector()
    await expect(clara.link("Connection")).to_have_accessible_name("Connection")


async def test_people_who_wait_are_a_red_dot_for_administrators(world: World, open_tab: OpenTab) -> None:
    await world.pbx("PATCH", f"users/{BEN.login}", {"permissions": []})
    for person in (CLARA, BEN):
        await world.client(person).sign_in(world.pbx_name, world.key)
    clara = await open_tab(CLARA)
    await expect(clara.link("Licences")).to_be_visible()
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    try:
        await world.client(ANNA).call("POST", "waiting")
        await expect(clara.link("Licences")).to_have_accessible_name(
            re.compile("Licences ?: one person is waiting for a licence")
        )
    finally:
        await world.client(ANNA).call("DELETE", "waiting")
    await expect(clara.link("Licences")).to_have_accessible_name("Licences")
