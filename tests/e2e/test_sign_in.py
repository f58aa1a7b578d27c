"""Signing in, in a real browser: the ways in, and every refusal."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from playwright.async_api import Request, expect

from simulator.people import TENANT_ID
from tests.support.browser import OpenTab, Tab, overflow
from tests.support.world import ANNA, BEN, CLARA, World
from wire.pbxkey import grouped, new_key, parse_key


def calls_of(tab: Tab) -> list[str]:
    """The API calls that the tab makes from now on."""
    made: list[str] = []

    def note(request: Request) -> None:
        if "/api/v1/sign-in" in request.url:
            made.append(request.url.rsplit("/", 1)[-1])

    tab.page.on("request", note)
    return made


async def test_by_typing_name_and_key(world: World, open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA)
    await tab.sign_in()
    await tab.sees("Floating licence (FL)")
    await tab.sees("1 of 2")
    await tab.sees("Connected")
    await tab.sees(world.pbx_name)


async def test_by_dropping_the_key_file_and_with_the_keyboard_alone(world: World, open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA, locale="de-DE")
    await expect(tab.view.get_by_role("heading", name="An der Telefonanlage anmelden")).to_be_visible()
    content = world.demo.key_file.read_text()
    await tab.frame().evaluate(
        """(content) => {
          const files = new DataTransfer();
          files.items.add(new File([content], "pbx.pbxkey", { type: "application/json" }));
          const drop = document.querySelector("pbx-app").shadowRoot.querySelector("pbx-sign-in")
            .shadowRoot.querySelector(".drop");
          drop.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
        }""",
        content,
    )
    await tab.sees("Die Schlüsseldatei ist gelesen")
    await expect(tab.view.get_by_role("heading", name=f"bei {world.pbx_name} anmelden")).to_be_focused()
    await tab.page.keyboard.press("Tab")
    await tab.page.keyboard.type(ANNA.login)
    await tab.page.keyboard.press("Tab")
    await tab.page.keyboard.type(ANNA.password)
    await tab.page.keyboard.press("Enter")
    await expect(tab.view.get_by_role("heading", name="Übersicht")).to_be_visible()


async def test_the_whole_first_step_by_tab_and_enter(world: World, open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA)
    await expect(tab.field("PBX name")).to_be_visible()
    await tab.frame().evaluate("document.body.focus()")
    await tab.field("PBX name").focus()
    await tab.page.keyboard.type(world.pbx_name)
    await tab.page.keyboard.press("Tab")
    await tab.page.keyboard.type(world.key)
    await tab.page.keyboard.press("Tab")
    await expect(tab.button("Choose key file")).to_be_focused()
    await tab.page.keyboard.press("Tab")
    await expect(tab.button("Continue")).to_be_focused()
    await tab.page.keyboard.press("Enter")
    await expect(tab.field("Login")).to_be_visible()


async def test_choosing_the_key_file(world: World, open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA)
    await tab.view.locator("input[type=file]").set_input_files(world.demo.key_file)
    await tab.sees("The key file was read")
    await expect(tab.field("Login")).to_be_visible()
    await tab.button("Back").click()
    await expect(tab.field("PBX name")).to_have_value(world.pbx_name)
    await expect(tab.field("PBX key")).to_have_value(world.key)


async def test_a_mistyped_key_is_reported_before_anything_is_sent(world: World, open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA)
    calls = calls_of(tab)
    mistyped = ("B" if world.key[0] != "B" else "C") + world.key[1:]
    await tab.enter_pbx(world.pbx_name, mistyped)
    await tab.is_alerted("There is a typo in the key")
    await expect(tab.field("PBX key")).to_be_focused()
    await expect(tab.field("PBX key")).to_have_attribute("aria-invalid", "true")
    await expect(tab.field("PBX key")).to_have_value(mistyped)
    assert calls == []


async def test_empty_fields_are_reported(world: World, open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA)
    await tab.button("Continue").click()
    await tab.is_alerted("The PBX name is missing")
    await tab.field("PBX name").fill(world.pbx_name)
    await tab.button("Continue").click()
    await tab.is_alerted("The PBX key is missing")
    await tab.field("PBX key").fill(world.key)
    await tab.button("Continue").click()
    await tab.button("Sign in").click()
    await tab.is_alerted("Login and password are missing")


async def test_a_pasted_address_is_understood_and_a_bad_name_is_reported(
    world: World, open_tab: OpenTab
) -> None:
    tab = await open_tab(ANNA)
    await tab.enter_pbx("anna@example.com", world.key)
    await tab.is_alerted("This is not a PBX name")
    await expect(tab.field("PBX name")).to_be_focused()
    await tab.enter_pbx(f"https://{world.pbx_name.upper()}:8443/login?x=1", world.key)
    await tab.sees(f"Sign in to {world.pbx_name} with your STARFACE user")


@pytest.mark.parametrize("name", ["pbx.example.com", "unknown.example.com"])
async def test_a_wrong_key_and_an_unknown_name_get_the_same_answer(open_tab: OpenTab, name: str) -> None:
    tab = await open_tab(ANNA)
    await tab.enter_pbx(name, grouped(new_key()))
    await tab.is_alerted("PBX name or key is not right")
    await tab.is_alerted(f"no open connection to STARFACE {name}")
    await expect(tab.field("PBX name")).to_have_value(name)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"this is a letter to my aunt", "does not hold name and key"),
        (json.dumps({"format": "pbx-key-file.v1", "pbxName": "x"}).encode(), "does not hold name and key"),
        (
            json.dumps({"format": "pbx-key-file.v1", "pbxName": "x", "pbxKey": "AAAA"}).encode(),
            "does not hold",
        ),
        (b"\x00\xff" * 100, "does not hold name and key"),
        (b"", "does not hold name and key"),
        (b"{" * 5_000_000, "larger than a key file can be"),
    ],
)
async def test_a_file_that_is_no_key_file(open_tab: OpenTab, content: bytes, text: str) -> None:
    tab = await open_tab(ANNA)
    await tab.field("PBX name").fill("kept.example.com")
    file = {"name": "something.pbxkey", "mimeType": "application/json", "buffer": content}
    await tab.view.locator("input[type=file]").set_input_files(files=[file])
    await tab.is_alerted("This is not a key file")
    await tab.is_alerted(text)
    await expect(tab.field("PBX name")).to_have_value("kept.example.com")


async def test_a_connector_that_did_not_make_the_key_file_gets_no_password(
    world: World, open_tab: OpenTab
) -> None:
    tab = await open_tab(ANNA)
    content = json.loads(world.demo.key_file.read_text()) | {"connectorIdentity": "A" * 43}
    file = {"name": "pbx.pbxkey", "mimeType": "application/json", "buffer": json.dumps(content).encode()}
    await tab.view.locator("input[type=file]").set_input_files(files=[file])
    await tab.is_alerted("The PBX could not be recognised")
    await expect(tab.field("PBX name")).to_have_value(world.pbx_name)


async def test_an_edit_clears_the_message_about_a_key_file(world: World, open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA)
    content = json.loads(world.demo.key_file.read_text())
    content |= {"pbxName": "other.example.com", "pbxKey": grouped(new_key()), "connectorIdentity": "A" * 43}
    file = {"name": "pbx.pbxkey", "mimeType": "application/json", "buffer": json.dumps(content).encode()}
    await tab.view.locator("input[type=file]").set_input_files(files=[file])
    await tab.is_alerted("PBX name or key is not right")
    await tab.enter_pbx(world.pbx_name, world.key)
    await expect(tab.field("Login")).to_be_visible()


async def test_a_wrong_password_can_be_tried_again_at_once(world: World, open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA)
    await tab.enter_pbx(world.pbx_name, world.key)
    await tab.enter_user(ANNA.login, "wrong")
    await tab.is_alerted("Login or password is not right")
    await expect(tab.field("Password")).to_be_focused()
    await expect(tab.field("Login")).to_have_value(ANNA.login)
    await tab.field("Password").fill(ANNA.password)
    await tab.button("Sign in").click()
    await expect(tab.view.get_by_role("heading", name="Overview")).to_be_visible()


async def test_the_way_back_keeps_name_and_key(world: World, open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA)
    await tab.enter_pbx(world.pbx_name, world.key)
    await tab.button("Back").click()
    await expect(tab.field("PBX name")).to_have_value(world.pbx_name)
    await expect(tab.field("PBX key")).to_have_value(world.key)


async def test_an_exhausted_pool_says_how_many_are_taken(world: World, open_tab: OpenTab) -> None:
    await world.pbx("PATCH", f"users/{BEN.login}", {"permissions": []})
    for person in (ANNA, CLARA):
        await world.client(person).sign_in(world.pbx_name, world.key)
    tab = await open_tab(BEN)
    await tab.try_to_sign_in()
    await tab.is_alerted("All licences are in use")
    await tab.is_alerted("2 of 2 floating licences are taken")


async def test_an_expired_token_of_teams_is_reported(open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA, tokenSeconds="-600")
    await tab.is_alerted("Your proof of identity was not accepted")
    await expect(tab.button("Try again")).to_be_visible()


async def test_a_pbx_that_goes_away_in_the_middle(world: World, open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA)
    await tab.enter_pbx(world.pbx_name, world.key)
    await expect(tab.field("Login")).to_be_visible()
    await world.pbx("PATCH", "settings", {"reachable": False})
    await tab.enter_user(ANNA.login, ANNA.password)
    await tab.is_alerted("The connector does not reach the PBX")
    await expect(tab.field("Login")).to_have_value(ANNA.login)
    await world.pbx("PATCH", "settings", {"reachable": True})
    await tab.button("Sign in").click()
    await expect(tab.view.get_by_role("heading", name="Overview")).to_be_visible()


async def test_a_service_that_is_gone_loses_nothing_that_was_typed(world: World, open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA)
    await expect(tab.field("PBX name")).to_be_visible()
    await world.demo.stop_part("service")
    await tab.enter_pbx(world.pbx_name, world.key)
    await tab.is_alerted("The service cannot be reached")
    await expect(tab.field("PBX key")).to_have_value(world.key)
    await world.demo.start_service()
    await world.connected()
    await tab.button("Continue").click()
    await expect(tab.field("Login")).to_be_visible()


async def test_a_second_microsoft_account_is_asked_before_it_takes_over(
    world: World, open_tab: OpenTab
) -> None:
    anna = await open_tab(ANNA)
    await anna.sign_in()
    ben = await open_tab(BEN)
    await ben.enter_pbx(world.pbx_name, world.key)
    await ben.enter_user(ANNA.login, ANNA.password)
    question = ben.view.get_by_role("alertdialog", name="Take over the session?")
    await expect(question).to_contain_text("Anna Berger is signed in as Anna Berger")
    # One question at a time.
    await expect(ben.button("Sign in")).to_be_hidden()
    await expect(ben.field("Login")).to_be_hidden()
    assert await ben.violations() == []
    await ben.page.keyboard.press("Escape")
    await expect(ben.field("Login")).to_have_value(ANNA.login)
    await expect(ben.field("Login")).to_be_focused()
    await ben.button("Sign in").click()
    await expect(ben.button("Take over")).to_be_focused()
    await ben.page.keyboard.press("Enter")
    await ben.sees("Overview")
    await anna.sees("Your session was taken over")


async def test_by_email_in_a_trusted_tenant(world: World, open_tab: OpenTab) -> None:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    await clara.call("PUT", "trust", {"trusted": True})
    tab = await open_tab(BEN)
    await tab.enter_pbx(world.pbx_name, world.key)
    await tab.button(f"Sign in as {BEN.email}").click()
    await tab.sees("User licence (UAL)")


@pytest.fixture
async def other_connector(world: World) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """Restarts the connector with another configuration; afterwards with its own."""

    async def restart(**changes: str) -> None:
        await world.demo.stop_part("connector")
        await world.demo.start_connector(**changes)

    yield restart
    await restart()
    await world.connected()


async def is_refused(tab: Tab, *texts: str) -> None:
    await tab.enter_pbx(tab.world.pbx_name, tab.world.key)
    await tab.enter_user(tab.person.login, tab.person.password)
    for text in texts:
        await tab.is_alerted(text)


async def test_no_licence_at_all_names_what_to_ask_for(open_tab: OpenTab, other_connector) -> None:
    await other_connector(keys="[]")
    await is_refused(
        await open_tab(ANNA), "No licence is available for you", "has no floating licences", "permission"
    )


async def test_an_expired_licence_key(world: World, open_tab: OpenTab, other_connector) -> None:
    dates = ("--from", "2020-01-01", "--until", "2020-12-31")
    await other_connector(keys=json.dumps([await world.demo.licence_key(2, "OLD-1", *dates)]))
    await is_refused(await open_tab(ANNA), "The floating licences have expired", "valid until")


async def test_a_licence_key_that_is_not_genuine(open_tab: OpenTab, other_connector) -> None:
    await other_connector(keys='["eyJhbGciOiJFZERTQSIsImtpZCI6ImRlbW8ifQ.e30.AAAA"]')
    await is_refused(await open_tab(ANNA), "The licence key is not accepted")


async def test_a_module_that_is_switched_off(world: World, open_tab: OpenTab, other_connector) -> None:
    await other_connector(active="false")
    tab = await open_tab(ANNA, locale="de-DE")
    await tab.field("Name der Telefonanlage").fill(world.pbx_name)
    await tab.field("Schlüssel zur Anlage").fill(world.key)
    await tab.button("Weiter").click()
    await tab.is_alerted("Der Connector ist ausgeschaltet")
    await tab.is_alerted("active = true")


async def test_a_link_that_is_down(world: World, open_tab: OpenTab, other_connector) -> None:
    await world.demo.stop_part("connector")
    tab = await open_tab(ANNA)
    await tab.enter_pbx(world.pbx_name, world.key)
    await tab.is_alerted("No open connection to the PBX")
    await tab.is_alerted("has been down since")


async def test_a_pbx_that_refuses_the_connectors_own_login(
    world: World, open_tab: OpenTab, other_connector
) -> None:
    tab = await open_tab(ANNA)
    await tab.enter_pbx(world.pbx_name, world.key)
    await expect(tab.field("Login")).to_be_visible()
    await world.pbx("PATCH", "users/0001", {"password": "changed"})
    await world.pbx("POST", "tokens/expire")
    await tab.enter_user(ANNA.login, ANNA.password)
    try:
        await tab.is_alerted("The connector cannot log in to the PBX")
    finally:
        # The fixture restarts the connector: one whose login was refused waits a minute before the next try.
        await world.pbx("PATCH", "users/0001", {"password": "foobar"})


async def test_outside_teams_the_page_reports_it(world: World, browser) -> None:
    page = await browser.new_page()
    await page.goto(f"{world.demo.teams_url}/tab/")
    await expect(page.get_by_role("heading")).to_contain_text("Microsoft Teams", timeout=20_000)
    await page.close()


async def test_too_many_attempts(world: World, open_tab: OpenTab) -> None:
    try:
        for _ in range(10):
            await world.client(BEN).prepare(world.pbx_name, grouped(new_key()))
        tab = await open_tab(BEN)
        await tab.enter_pbx(world.pbx_name, grouped(new_key()))
        await tab.is_alerted("Too many attempts")
        await tab.is_alerted("seconds and try again")
    finally:
        await world.forget_throttles()


async def test_who_wants_to_be_remembered_needs_their_password_alone(world: World, open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA)
    await tab.enter_pbx(world.pbx_name, world.key)
    await tab.field("Login").fill(ANNA.login)
    await tab.field("Password").fill(ANNA.password)
    await tab.view.get_by_label("Remember PBX, key and login on this device").press("Space")
    await tab.button("Sign in").click()
    await tab.sign_out()
    await tab.page.reload()
    await expect(tab.view.get_by_role("heading", name="Welcome back, Anna Berger")).to_be_visible()
    await expect(tab.field("Login")).to_have_value(ANNA.login)
    assert ANNA.password not in await tab.frame().evaluate("JSON.stringify({...localStorage})")
    assert await tab.violations() == []
    await tab.field("Password").fill(ANNA.password)
    # No longer wanted.
    await tab.view.get_by_label("Remember PBX, key and login on this device").press("Space")
    await tab.page.keyboard.press("Enter")
    await expect(tab.view.locator("#account")).to_be_visible()
    assert world.key.replace("-", "") not in await tab.frame().evaluate("JSON.stringify({...localStorage})")
    await tab.sign_out()
    await expect(tab.field("PBX key")).to_have_value("")
    await tab.page.reload()
    await expect(tab.field("PBX name")).to_have_value("")


async def test_another_pbx_or_user_is_one_press_away_from_the_remembered_ones(
    world: World, open_tab: OpenTab
) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    tab = await open_tab(ANNA, locale="de-DE", width=320)
    await expect(tab.view.locator("#seats")).to_be_visible()
    remembered = {
        "who": f"{TENANT_ID} {ANNA.object_id}",
        "pbxName": world.pbx_name,
        "login": "1001",
        "pbxKey": parse_key(world.key),
    }
    await tab.frame().evaluate(
        "(value) => localStorage.setItem('pbx-teams.last', JSON.stringify(value))", remembered
    )
    await world.client(ANNA).sign_out()
    await tab.page.reload()
    await tab.sees("Willkommen zurück")
    assert await overflow(tab) <= 0
    assert await tab.violations() == []
    await tab.button("Andere Anlage oder anderer Benutzer").press("Enter")
    await expect(tab.field("Name der Telefonanlage")).to_have_value("")
    await expect(tab.field("Schlüssel zur Anlage")).to_have_value("")


async def test_a_remembered_key_that_is_no_longer_good_is_asked_for(world: World, open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA)
    await expect(tab.field("PBX name")).to_be_visible()
    remembered = {
        "who": f"{TENANT_ID} {ANNA.object_id}",
        "pbxName": world.pbx_name,
        "login": "1001",
        "pbxKey": parse_key(grouped(new_key())),
    }
    await tab.frame().evaluate(
        "(value) => localStorage.setItem('pbx-teams.last', JSON.stringify(value))", remembered
    )
    await tab.page.reload()
    await tab.is_alerted("PBX name or key is not right")
    await expect(tab.field("PBX name")).to_have_value(world.pbx_name)
    await tab.page.reload()
    await expect(tab.field("PBX name")).to_have_value("")
    await expect(tab.view.get_by_role("alert")).to_have_count(0)
