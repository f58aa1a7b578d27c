"""Signing in without the PBX key, in the browser; switching between two PBXs; the settings of the bot's messages."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Dialog, expect

from simulator.demo import Site
from simulator.people import TENANT_ID
from tests.support.browser import OpenTab
from tests.support.keyless import (
    ONE_CLICK_PRIMARY,
    forget_session,
    second_pbx,
    set_trust,
    sign_in_without_key,
)
from tests.support.world import ANNA, BEN, CLARA, World


@pytest.fixture
async def branch(world: World) -> AsyncIterator[Site]:
    async with second_pbx(world) as site:
        yield site


async def test_one_click_signs_in(world: World, open_tab: OpenTab) -> None:
    await set_trust(world, **ONE_CLICK_PRIMARY)
    tab = await open_tab(BEN)
    await tab.sees("you need neither key nor password")
    assert await tab.violations() == []
    await tab.button(f"Sign in to {world.pbx_name}").click()
    await tab.sees("User licence (UAL)")


async def test_the_first_click_is_the_consent_and_the_next_opening_signs_in_automatically(
    world: World, open_tab: OpenTab
) -> None:
    await set_trust(world, trusted=True, entry="automatic", primary=True)
    tab = await open_tab(ANNA, locale="de-DE")
    await tab.sees("Mit Ihrem ersten Klick stimmen Sie zu")
    assert await tab.violations() == []
    await tab.button(f"Bei {world.pbx_name} anmelden").click()
    await tab.sees("Anna Berger")
    forget_session(world, ANNA)
    tab = await open_tab(ANNA, locale="de-DE")
    await tab.sees("Anna Berger")
    await expect(tab.view.locator("#connected")).to_have_text("Verbunden")


async def test_when_the_first_opening_fails_there_is_a_word_and_a_way(
    world: World, open_tab: OpenTab
) -> None:
    await set_trust(world, trusted=True, entry="automatic", primary=True)
    await sign_in_without_key(world, ANNA)
    forget_session(world, ANNA)
    await world.pbx("PATCH", "users/1001", {"email": "nobody@example.com"})
    tab = await open_tab(ANNA)
    await tab.is_alerted("No PBX user has your e-mail address")
    await expect(tab.field("PBX key")).to_be_visible()
    await world.pbx("PATCH", "users/1001", {"email": ANNA.email})
    await tab.button(f"Sign in to {world.pbx_name}").click()
    await tab.sees("Floating licence (FL)")


async def test_the_refusal_goes_when_a_seat_is_kept(world: World, open_tab: OpenTab) -> None:
    await set_trust(world, **ONE_CLICK_PRIMARY)
    await world.pbx("PATCH", f"users/{BEN.login}", {"permissions": []})
    assert (await sign_in_without_key(world, ANNA)).status == 200
    tab = await open_tab(BEN)
    await tab.button(f"Sign in to {world.pbx_name}").click()
    await tab.is_alerted("2 of 2 floating licences are taken")
    await tab.button("Notify me").click()
    await world.client(ANNA).sign_out()
    await tab.sees("A licence is free for you")
    await expect(tab.view.get_by_role("alert")).not_to_be_visible()
    await tab.button(f"Sign in to {world.pbx_name}").click()
    await tab.sees("Floating licence (FL)")


async def test_the_administrator_decides_in_the_tab(world: World, open_tab: OpenTab) -> None:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    tab = await open_tab(CLARA, page="security")
    automatic = tab.view.get_by_role(
        "radio", name="Automatic sign-in: from the second time on, the tab signs them in"
    )
    with_key = tab.view.get_by_role("radio", name="The PBX key")
    await tab.view.get_by_role("checkbox", name="Sign-in by e-mail for my organisation").check()
    # By keyboard: looking at the choices decides nothing, and the last has no effect without the main PBX.
    await with_key.press("ArrowDown")
    await expect(tab.view.get_by_role("radio", name="One click, no key")).to_be_checked()
    await expect(automatic).to_be_disabled()
    await tab.view.get_by_role("checkbox", name="Main PBX of my organisation").check()
    await expect(automatic).to_be_enabled()
    assert await tab.violations() == []
    view = (await clara.call("GET", "licences")).body
    assert (view["tenantTrusted"], view["entry"], view["isPrimary"]) == (False, "with-key", False)
    save = tab.view.locator("#save-trust")
    await save.press("Enter")
    await tab.sees("The sign-in settings are saved.")
    await expect(save).to_be_focused()
    await expect(save).to_have_attribute("aria-disabled", "true")
    assert await tab.violations() == []
    offer = {"pbxName": world.pbx_name, "isPrimary": True, "automatic": False, "asksConsent": False}
    assert (await world.client(ANNA).state())["offers"] == [offer]


async def test_unsaved_choices_are_kept_and_said(world: World, open_tab: OpenTab) -> None:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    tab = await open_tab(CLARA, page="security")
    trust_box = tab.view.get_by_role("checkbox", name="Sign-in by e-mail for my organisation")
    await trust_box.check()
    await tab.sees("Your changes are not saved yet.")
    assert await tab.violations() == []
    await tab.goes_to("Overview")
    await tab.sees("They are kept on the page “Sign-in and security”.")
    await tab.goes_to("Sign-in and security")
    await expect(trust_box).to_be_checked()
    assert (await clara.call("GET", "licences")).body["tenantTrusted"] is False
    await tab.button("Discard changes").press("Enter")
    await expect(trust_box).not_to_be_checked()
    await expect(tab.view.get_by_role("heading", name="Sign-in for my organisation")).to_be_focused()
    await tab.goes_to("Overview")
    await tab.goes_to("Sign-in and security")
    await expect(trust_box).not_to_be_checked()
    await tab.sees("A session has no maximum age.")


async def test_leaving_the_app_with_unsaved_choices_asks(world: World, open_tab: OpenTab) -> None:
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    tab = await open_tab(CLARA, page="security")
    await tab.view.get_by_role("checkbox", name="Sign-in by e-mail for my organisation").click()
    asked: list[str] = []

    async def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        await dialog.accept()

    tab.page.on("dialog", answer)
    await tab.page.reload()
    await expect(tab.view.get_by_role("heading", name="Sign-in and security")).to_be_visible()
    assert asked == ["beforeunload"]


async def test_a_trusted_organisation_is_seen_and_removed_in_the_tab(world: World, open_tab: OpenTab) -> None:
    await set_trust(world, **ONE_CLICK_PRIMARY)
    await sign_in_without_key(world, BEN)
    tab = await open_tab(CLARA, page="security", theme="dark")
    await tab.sees("Organisations that this PBX trusts")
    await tab.button(f"Remove … {TENANT_ID}").click()
    dialog = tab.view.get_by_role("dialog")
    await expect(dialog).to_contain_text("Signed out at once: 1.")
    assert await tab.violations() == []
    await dialog.get_by_role("button", name="Remove trust").click()
    await tab.sees("The organisation is no longer trusted.")
    ben = await world.client(BEN).state()
    assert ben["sessionEnd"]["cause"] == "trust-withdrawn"


async def test_an_administrator_by_email_is_informed_how_to_administer(
    world: World, open_tab: OpenTab
) -> None:
    await set_trust(world, **ONE_CLICK_PRIMARY)
    await world.client(CLARA).sign_out()
    await sign_in_without_key(world, CLARA)
    tab = await open_tab(CLARA)
    await tab.sees("Administration needs your password")
    await expect(tab.links).to_have_text(["Phone", "Overview", "Audio devices"])
    assert await tab.violations() == []
    await tab.button("Sign in with password").click()
    await tab.sign_in()
    await expect(tab.link("Licences")).to_be_visible()


async def test_switching_in_the_tab(world: World, open_tab: OpenTab, branch: Site) -> None:
    await set_trust(world, **ONE_CLICK_PRIMARY)
    await set_trust(world, branch.pbx_name, world.demo.pbx_key(branch), trusted=True, entry="one-click")
    await sign_in_without_key(world, ANNA)
    tab = await open_tab(ANNA)
    await tab.button(f"Switch to {branch.pbx_name}").click()
    await tab.is_alerted("All licences are in use")
    await world.client(CLARA).sign_out()
    await tab.button(f"Switch to {branch.pbx_name}").click()
    await expect(tab.button(f"Switch to {world.pbx_name}")).to_be_visible()
    await tab.go_elsewhere()
    await expect(tab.field("PBX key")).to_be_visible()
    await tab.button("Back to the overview").click()
    await tab.button(f"Switch to {world.pbx_name}").click()
    await expect(tab.button(f"Switch to {branch.pbx_name}")).to_be_visible()


async def test_the_settings_of_the_bots_messages(world: World, open_tab: OpenTab) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    tab = await open_tab(ANNA, page="settings")
    await tab.sees("In your time zone, Europe/Berlin.")
    await tab.field("Teams and the softphone share an audio device").uncheck()
    await tab.field("Until").fill("08:30")
    await tab.button("Save").click()
    await tab.sees("Saved.")
    assert await tab.violations() == []
    settings = (await world.client(ANNA).call("GET", "notices")).body
    assert settings["muted"] == ["audio"] and settings["quietUntil"] == 8 * 60 + 30
    again = await open_tab(ANNA, page="settings")
    await expect(again.field("Teams and the softphone share an audio device")).not_to_be_checked()
    await expect(again.field("Until")).to_have_value("08:30")
