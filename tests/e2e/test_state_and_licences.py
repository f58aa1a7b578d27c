"""Overview and the licence view, live, in a real browser."""

import json
from contextlib import closing

import pytest
from playwright.async_api import expect

from tests.support import history
from tests.support.browser import OpenTab, overflow
from tests.support.world import ANNA, BEN, CLARA, World


async def test_revoking_signs_the_user_out_in_the_open_tab(world: World, open_tab: OpenTab) -> None:
    anna = await open_tab(ANNA)
    await anna.sign_in()
    clara = await open_tab(CLARA)
    await clara.sign_in()
    await clara.goes_to("Licences")
    await expect(clara.view.get_by_role("row")).to_have_count(3)
    await clara.sees("2 of 2 in use")
    await clara.button("Revoke the licence of Anna Berger (1001)").click()
    dialog = clara.view.get_by_role("dialog", name="Revoke the licence?")
    await expect(dialog).to_contain_text("Anna Berger (1001) will be signed out at once")
    await expect(clara.field("Reason (the user reads it)")).to_be_focused()
    await clara.page.keyboard.type("Please call me")
    await clara.page.keyboard.press("Enter")
    await anna.sees("You have been signed out")
    await anna.sees("Clara Vogt ended your session at STARFACE pbx.example.com")
    await anna.sees("Reason: Please call me")
    await clara.sees("1 of 2 in use")
    await expect(clara.view.get_by_role("row")).to_have_count(2)
    # The row is gone with its button; the next one has the focus. The answer stands in the window.
    await expect(clara.view.get_by_role("checkbox", name="Select Clara Vogt")).to_be_focused()
    told = clara.view.get_by_role("status").filter(has_text="Anna Berger (1001) was signed out.")
    await expect(told).to_be_visible()
    await expect(told.locator("p")).to_be_in_viewport()


async def test_a_revocation_that_fails_keeps_the_dialog_and_the_reason(
    world: World, open_tab: OpenTab
) -> None:
    for person in (ANNA, CLARA):
        await world.client(person).sign_in(world.pbx_name, world.key)
    clara = await open_tab(CLARA, page="licences")
    await clara.view.get_by_role("checkbox", name="Select Anna Berger").check()
    await clara.view.get_by_role("checkbox", name="Select Clara Vogt").check()
    await clara.button("Revoke selected (2)").click()
    dialog = clara.view.get_by_role("dialog", name="Revoke 2 licences?")
    await expect(dialog.get_by_role("listitem")).to_have_text(["Anna Berger (1001)", "Clara Vogt (1003)"])
    await expect(dialog).to_contain_text("You are signed out, too.")
    await clara.page.route("**/licences/revoke", lambda route: route.abort())
    await clara.field("Reason (the user reads it)").fill("Please call me")
    await dialog.get_by_role("button", name="Revoke", exact=True).click()
    await expect(dialog.get_by_role("alert")).to_contain_text("The service cannot be reached")
    await expect(clara.field("Reason (the user reads it)")).to_have_value("Please call me")
    assert await clara.violations() == []
    await clara.page.unroute("**/licences/revoke")
    await dialog.get_by_role("button", name="Cancel").click()
    assert (await world.client(ANNA).state())["signedIn"]


async def test_the_page_shows_what_it_receives_and_asks_for_nothing(world: World, open_tab: OpenTab) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    anna = await open_tab(ANNA)
    await expect(anna.view.locator("#seats")).to_have_text("1 of 2")
    asked: list[str] = []
    anna.page.on("request", lambda request: asked.append(request.url))
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    await expect(anna.view.locator("#seats")).to_have_text("2 of 2")
    await world.demo.stop_part("connector")
    await expect(anna.view.locator("#connected")).to_have_text("Not connected")
    await world.demo.start_connector()
    await expect(anna.view.locator("#connected")).to_have_text("Connected")
    assert [url for url in asked if "/api/" in url] == []


async def test_the_licence_view_follows_sign_ins_automatically_and_can_be_searched(
    world: World, open_tab: OpenTab
) -> None:
    clara = await open_tab(CLARA)
    await clara.sign_in()
    await clara.goes_to("Licences")
    await expect(clara.view.get_by_role("row")).to_have_count(2)
    for person in (ANNA, BEN):
        await world.client(person).sign_in(world.pbx_name, world.key)
    await expect(clara.view.get_by_role("row")).to_have_count(4)
    await clara.field("Search").fill("ual")
    await expect(clara.view.get_by_role("row")).to_have_count(2)
    await clara.sees("1 to 1 of 1")
    await clara.field("Search").fill("nobody")
    await clara.sees("No results.")
    await clara.field("Search").fill("")
    for name in ("Anna Berger", "Ben Krüger"):
        await clara.view.get_by_role("checkbox", name=f"Select {name}").check()
    await clara.button("Revoke selected (2)").click()
    await clara.view.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    await clara.sees("2 people were signed out.")
    await expect(clara.view.get_by_role("row")).to_have_count(2)


async def test_a_dialog_closes_with_escape_and_gives_the_focus_back(world: World, open_tab: OpenTab) -> None:
    clara = await open_tab(CLARA)
    await clara.sign_in()
    await clara.goes_to("Licences")
    revoke = clara.button("Revoke the licence of Clara Vogt (1003)")
    await revoke.click()
    await expect(clara.view.get_by_role("dialog")).to_be_visible()
    await clara.page.keyboard.press("Escape")
    await expect(clara.view.get_by_role("dialog")).to_be_hidden()
    await expect(revoke).to_be_focused()


async def test_users_have_no_licence_view(world: World, open_tab: OpenTab) -> None:
    anna = await open_tab(ANNA)
    await anna.sign_in()
    await expect(anna.links).to_have_text(["Phone", "Overview", "Audio devices"])


async def test_signing_out_and_in_again(world: World, open_tab: OpenTab) -> None:
    anna = await open_tab(ANNA)
    await anna.sign_in()
    await anna.sign_out()
    await expect(anna.field("PBX name")).to_be_visible()
    await anna.sign_in()


async def test_a_session_survives_the_browser(world: World, open_tab: OpenTab) -> None:
    first = await open_tab(ANNA)
    await first.sign_in()
    await first.page.close()
    second = await open_tab(ANNA)
    await second.sees("Overview")


async def test_an_open_tab_comes_back_after_a_restart_of_the_service(world: World, open_tab: OpenTab) -> None:
    anna = await open_tab(ANNA)
    await anna.sign_in()
    await world.demo.stop_part("service")
    await expect(anna.view.locator("#not-live")).to_be_visible(timeout=20_000)
    await world.demo.start_service()
    await expect(anna.view.locator("#not-live")).to_have_count(0, timeout=40_000)
    await world.connected()
    await expect(anna.view.locator("#connected")).to_have_text("Connected")


async def test_a_lost_link_is_seen_live_with_its_cure(world: World, open_tab: OpenTab) -> None:
    anna = await open_tab(ANNA)
    await anna.sign_in()
    await world.demo.stop_part("connector")
    await anna.sees("Not connected")
    await anna.is_alerted("No open connection to the PBX")
    await world.demo.start_connector()
    await expect(anna.view.locator("#connected")).to_have_text("Connected")


async def test_theme_and_language_follow_the_host(world: World, open_tab: OpenTab) -> None:
    anna = await open_tab(ANNA)
    await expect(anna.field("PBX name")).to_be_visible()
    root = anna.view.locator("html")
    await expect(root).to_have_attribute("data-theme", "default")
    for theme in ("dark", "contrast", "default"):
        await anna.page.get_by_label("Theme").select_option(theme)
        await expect(root).to_have_attribute("data-theme", theme)
    await anna.page.get_by_label("Language").select_option("de-DE")
    await anna.sees("An der Telefonanlage anmelden")
    await expect(root).to_have_attribute("lang", "de")


async def test_another_person_in_the_hosts_switch(world: World, open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA)
    await tab.sign_in()
    await tab.page.get_by_label("Person").select_option(label="Ben Krüger (user)")
    await expect(tab.field("PBX name")).to_be_visible()


async def test_the_pages_by_keyboard(world: World, open_tab: OpenTab) -> None:
    clara = await open_tab(CLARA)
    await clara.sign_in()
    await clara.link("Overview").focus()
    # Links are links: arrows belong to the page, and Tab leads to the next one.
    await clara.page.keyboard.press("ArrowRight")
    await expect(clara.link("Overview")).to_be_focused()
    await clara.page.keyboard.press("Tab")
    await clara.page.keyboard.press("Enter")
    await expect(clara.view.get_by_role("heading", name="Audio devices", exact=True)).to_be_visible()
    await clara.page.keyboard.press("Tab")
    await clara.page.keyboard.press("Enter")
    await expect(clara.link("Licences")).to_have_attribute("aria-current", "page")
    await expect(clara.view.get_by_role("table")).to_be_visible()


@pytest.mark.parametrize(
    ("locale", "word", "told"),
    [
        ("en-US", "licence", "licence key has expired. No call is cut off"),
        ("de-DE", "Lizenz", "ist abgelaufen. Kein Gespräch wird abgebrochen"),
    ],
)
async def test_an_expired_key_is_reported_while_the_tab_is_open(
    world: World, open_tab: OpenTab, locale: str, word: str, told: str
) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    anna = await open_tab(ANNA, locale=locale)
    await expect(anna.view.locator("#seats")).to_be_visible()
    with world.expired_key():
        await anna.sees(told)
        assert await anna.violations() == []
        before = len(await world.chat(ANNA))
        await world.say(ANNA, locale, type="message", text=word)
        chat = json.dumps((await world.chat(ANNA))[before:], ensure_ascii=False)
        assert told in chat


async def test_waiting_for_a_seat_in_the_browser(world: World, open_tab: OpenTab) -> None:
    await world.pbx("PATCH", f"users/{BEN.login}", {"permissions": []})
    for person in (CLARA, ANNA):
        await world.client(person).sign_in(world.pbx_name, world.key)
    ben = await open_tab(BEN)
    await ben.try_to_sign_in()
    await ben.is_alerted("2 of 2 floating licences are taken")
    # The typed text is still there, together with the offer.
    await ben.button("Notify me").click()
    await ben.sees("You are number 1 at")
    assert await ben.violations() == []
    await world.client(ANNA).sign_out()
    await ben.sees("A licence is free for you")
    # The earlier refusal is gone, because it would contradict the offer; the typed text is still there.
    await expect(ben.view.get_by_role("alert")).not_to_be_visible()
    assert await ben.field("Login").input_value() == BEN.login
    await ben.button("Leave the waiting list").click()
    await expect(ben.button("Notify me")).not_to_be_visible()


async def test_the_rules_of_a_pool_by_keyboard(world: World, open_tab: OpenTab) -> None:
    clara = await open_tab(CLARA, page="licences")
    if not (await world.client(CLARA).state())["signedIn"]:
        await world.client(CLARA).sign_in(world.pbx_name, world.key)
    rules = clara.button("Rules for DEMO-1")
    await rules.focus()
    await clara.page.keyboard.press("Enter")
    dialog = clara.view.get_by_role("dialog")
    await expect(dialog).to_be_visible()
    await clara.field("Release after hours without activity").fill("12")
    await dialog.get_by_role("button", name="Reserve licences").press("Enter")
    await dialog.get_by_label("Name", exact=True).fill("Sales")
    await dialog.get_by_role("checkbox", name="Group Vertrieb").first.press("Space")
    assert await clara.violations() == []
    await dialog.get_by_role("button", name="Save").press("Enter")
    await clara.sees("The rules are saved.")
    await clara.sees("0 free · 1 reserved · 0 on offer")
    await expect(rules).to_be_focused()
    view = (await world.client(CLARA).call("GET", "licences")).body
    (pool,) = view["pools"]
    assert pool["policy"]["idleHours"] == 12
    assert pool["policy"]["reservations"][0]["people"] == {"userIds": [], "groupIds": [1]}
    policy = {"idleHours": None, "reservations": [], "admitted": None}
    await world.client(CLARA).call("PUT", "licences/policy", {"poolId": pool["poolId"], "policy": policy})


async def test_use_advice_and_exports(world: World, open_tab: OpenTab) -> None:
    history.write(world)
    try:
        await world.client(CLARA).sign_in(world.pbx_name, world.key)
        clara = await open_tab(CLARA, page="licences")
        await clara.sees("sign-ins failed because no licence was free")
        await clara.view.get_by_role("radio", name="Month").check()
        await clara.view.get_by_text("As a table").click()
        await expect(clara.view.get_by_role("row", name="From Peak Average Refused")).to_be_visible()
        await clara.sees("Dora Constant, on 20 working days")
        await clara.field("Price of a user licence").fill("4")
        await clara.field("Price of a floating licence").fill("6.50")
        await expect(clara.view.get_by_role("row").filter(has_text="As it is")).to_contain_text("13")
        assert await clara.violations() == []
        async with clara.page.expect_download(timeout=120_000) as download:
            await clara.button("Export as CSV").click()
        assert (await download.value).suggested_filename == "licences.csv"
        async with clara.page.expect_download(timeout=120_000) as download:
            await clara.button("Export for Excel").click()
        assert (await download.value).suggested_filename == "licences.xlsx"
        assert (await (await download.value).path()).read_bytes().startswith(b"PK")
    finally:
        history.forget(world)


async def test_what_needs_attention_about_licences_is_seen_at_one_glance(
    world: World, open_tab: OpenTab
) -> None:
    for person in (ANNA, CLARA):
        await world.client(person).sign_in(world.pbx_name, world.key)
    clara = await open_tab(CLARA, page="licences")
    used, until = clara.view.locator("#tile-used"), clara.view.locator("#tile-until")
    await expect(used).to_contain_text("2 of 2")
    await expect(used).to_contain_text("All in use")
    await expect(until).not_to_contain_text("Expire")
    await world.client(ANNA).sign_out()
    await expect(used).to_contain_text("1 of 2")
    await expect(used).not_to_contain_text("All in use")
    with world.expired_key():
        again = await open_tab(CLARA, page="licences", locale="de-DE")
        await expect(again.view.locator("#tile-until")).to_contain_text("Abgelaufen")
        await expect(again.view.locator("section[aria-labelledby=pools]")).to_contain_text("Abgelaufen")
        assert await again.violations() == []


async def test_a_long_name_leaves_the_table_as_it_is(world: World, open_tab: OpenTab) -> None:
    for person in (ANNA, CLARA):
        await world.client(person).sign_in(world.pbx_name, world.key)
    with closing(world.database()) as database, database:
        database.execute(
            "UPDATE session SET display_name = ?, teams_name = ? WHERE pbx_login = ?",
            ("Donaudampfschiff" * 5, "Donaudampfschiff" * 5, ANNA.login),
        )
    for width in (1100, 320):
        clara = await open_tab(CLARA, page="licences", width=width)
        row = clara.view.get_by_role("row").filter(has_text="Donaudampfschiff")
        other = clara.view.get_by_role("row").filter(has_text="Clara Vogt")
        heights = [(await one.bounding_box() or {})["height"] for one in (row, other)]
        assert heights[0] <= heights[1]
        assert await overflow(clara) <= 0
        await expect(row.get_by_role("button")).to_be_visible()
        assert await clara.violations() == []
    await clara.view.get_by_label("Select everybody on this page").press("Space")
    await expect(clara.view.get_by_role("button", name="Revoke selected (2)")).to_be_visible()
