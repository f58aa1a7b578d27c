"""The people of the licence page: filters that stay in the address, and what is done with many of them at once."""

from datetime import timedelta
from typing import Any

from playwright.async_api import expect

from tests.support.browser import OpenTab, Tab, overflow
from tests.support.crowd import crowd
from tests.support.licences import NO_RULES, get_only_pool
from tests.support.world import ANNA, CLARA, World

PAGE = 50


async def opened(world: World, open_tab: OpenTab, **options: Any) -> Tab:
    """Clara's licence page, with Anna as another holder."""
    for person in (ANNA, CLARA):
        await world.client(person).sign_in(world.pbx_name, world.key)
    clara = await open_tab(CLARA, **({"page": "licences"} | options))
    await expect(clara.view.locator("#search")).to_be_visible()
    return clara


async def test_filters_are_kept_in_the_address(world: World, open_tab: OpenTab) -> None:
    clara = await opened(world, open_tab)
    with crowd(world, 60, unseen=timedelta(days=8)):
        await clara.field("Licence").select_option("UAL")
        await clara.field("Last seen").select_option("7")
        await clara.field("Search").fill("ana lima ")
        await clara.sees("1 to 12 of 12")
        await clara.button("Login").click()
        await clara.button("Login").click()
        await expect(clara.view.get_by_role("columnheader", name="Login")).to_have_attribute(
            "aria-sort", "descending"
        )
        await clara.page.reload()
        await clara.sees("1 to 12 of 12")
        await expect(clara.field("Search")).to_have_value("ana lima ")
        await expect(clara.field("Licence")).to_have_value("UAL")
        await expect(clara.field("Last seen")).to_have_value("7")
        await expect(clara.view.get_by_role("columnheader", name="Login")).to_have_attribute(
            "aria-sort", "descending"
        )
        # Back leads to the page before, and forward to the filtered table.
        await clara.goes_to("Audit")
        await expect(clara.view.locator("#audit-count")).to_be_visible()
        await clara.frame().evaluate("history.back()")
        await clara.sees("1 to 12 of 12")
        await clara.field("Search").fill("nobody of that name")
        await clara.sees("No results.")
        await clara.button("Clear filters").press("Enter")
        await clara.sees("1 to 50 of 62")
        await expect(clara.view.get_by_role("heading", name="Signed in")).to_be_focused()
        await expect(clara.field("Search")).to_have_value("")
        await expect(clara.field("Licence")).to_have_value("")


async def test_a_deep_link_names_filters(world: World, open_tab: OpenTab) -> None:
    with crowd(world, 60, unseen=timedelta(days=8)):
        clara = await opened(world, open_tab, page="licences?kind=UAL&unseen=7&from=50")
        await clara.sees("51 to 60 of 60")
        await expect(clara.field("Licence")).to_have_value("UAL")
    # What the address does not know is ignored, and a page beyond the last one leads to the last one.
    strange = await opened(world, open_tab, page="licences?kind=XXL&unseen=-1&sort=id&order=up&from=9e9")
    await strange.sees("1 to 2 of 2")
    beyond = await opened(world, open_tab, page="licences?from=5000")
    await beyond.sees("1 to 2 of 2")


async def test_everybody_is_selected_across_pages_and_revoked(world: World, open_tab: OpenTab) -> None:
    clara = await opened(world, open_tab, width=550)
    with crowd(world, 120):
        await clara.field("Licence").select_option("UAL")
        await clara.sees("1 to 50 of 120")
        await clara.view.get_by_label("Select everybody on this page").press("Space")
        await clara.sees("50 people selected")
        await clara.button("Select all 120").press("Enter")
        await clara.sees("120 people selected")
        assert await clara.violations() == []
        assert await overflow(clara) <= 0
        # One of them signs out meanwhile.
        await clara.button("Next").click()
        await clara.sees("51 to 100 of 120")
        await clara.sees("120 people selected")
        with world.database() as database:
            database.execute("DELETE FROM session WHERE pbx_login = 'c7'")
        await clara.button("Revoke selected (120)").press("Enter")
        dialog = clara.view.get_by_role("dialog", name="Revoke 120 licences?")
        await expect(dialog).to_contain_text("120 of them have a user licence")
        await expect(dialog.get_by_role("listitem")).to_have_count(120)
        await expect(clara.field("Reason (the user reads it)")).to_be_focused()
        await clara.page.keyboard.press("Escape")
        await expect(clara.button("Revoke selected (120)")).to_be_focused()
        await clara.page.keyboard.press("Enter")
        await clara.page.keyboard.press("Enter")
        result = clara.view.get_by_role("group", name="Result")
        await expect(result).to_contain_text("119 people were signed out.")
        await expect(result).to_contain_text("One person was not signed in any more.")
        await expect(result.get_by_text("119 people were signed out.")).to_be_focused()
        await result.get_by_text("What happened to each").press("Enter")
        await expect(result.get_by_role("listitem").first).to_contain_text("(c7)")
        await expect(result.get_by_role("listitem")).to_have_count(120)
        assert await clara.violations() == []
        assert await overflow(clara) <= 0
        await result.get_by_role("button", name="Close").press("Enter")
        await expect(clara.view.get_by_role("heading", name="Signed in")).to_be_focused()
        await clara.sees("No results.")
    assert (await world.client(ANNA).state())["signedIn"]


async def test_a_failure_in_the_middle_keeps_who_is_left(world: World, open_tab: OpenTab) -> None:
    clara = await opened(world, open_tab)
    with crowd(world, 10_000):
        await clara.field("Licence").select_option("UAL")
        await clara.sees("1 to 50 of 10,000")
        await clara.view.get_by_label("Select everybody on this page").check()
        await clara.button("Select all 10,000").click()
        await clara.button("Revoke selected (10,000)").click()
        dialog = clara.view.get_by_role("dialog")
        await expect(dialog).to_contain_text("and 9,800 more")
        asked = 0

        async def fail_the_third(route: Any) -> None:
            nonlocal asked
            asked += 1
            await (route.abort() if asked == 3 else route.continue_())

        await clara.page.route("**/licences/revoke", fail_the_third)
        await clara.field("Reason (the user reads it)").fill("The end")
        await dialog.get_by_role("button", name="Revoke", exact=True).click()
        await expect(dialog.get_by_role("alert")).to_contain_text("The service cannot be reached")
        await expect(dialog.get_by_role("heading")).to_have_text("Revoke 9,000 licences?")
        await expect(dialog).to_contain_text("1,000 of 10,000 done.")
        await expect(clara.field("Reason (the user reads it)")).to_have_value("The end")
        await dialog.get_by_role("button", name="Revoke", exact=True).click()
        await expect(clara.view.get_by_role("group", name="Result")).to_contain_text(
            "10,000 people were signed out.", timeout=120_000
        )
        with world.database() as database:
            (left,) = database.execute("SELECT count(*) FROM session WHERE tenant_id = 'crowd'").fetchone()
        assert left == 0


async def test_who_revokes_everybody_goes_last(world: World, open_tab: OpenTab) -> None:
    with crowd(world, 700):
        clara = await opened(world, open_tab)
        await clara.sees("1 to 50 of 702")
        await clara.view.get_by_role("checkbox", name="Select everybody on this page").check()
        await clara.button("Select all 702").click()
        await clara.button("Revoke selected (702)").click()
        await expect(clara.view.get_by_role("dialog")).to_contain_text("You are signed out, too.")
        await clara.page.keyboard.press("Enter")
        await expect(clara.field("PBX name")).to_be_visible()
        with world.database() as database:
            (left,) = database.execute("SELECT count(*) FROM session").fetchone()
        assert left == 0


async def test_mistakes_in_rules_are_shown_at_once_and_can_be_undone(world: World, open_tab: OpenTab) -> None:
    clara = await opened(world, open_tab, width=360)
    rules = clara.button("Rules for DEMO-1")
    await rules.click()
    dialog = clara.view.get_by_role("dialog", name="Rules for DEMO-1")
    await expect(dialog).to_contain_text("0 of 2 licences are reserved.")
    hours = dialog.get_by_label("Release after hours without activity")
    await hours.fill("nine")
    await clara.page.keyboard.press("Tab")
    await expect(dialog.get_by_text("Enter a whole number from 1 to 8,760, or nothing.")).to_be_visible()
    await hours.fill("9")
    await expect(dialog).to_contain_text("A licence is released after 9 hours without activity.")
    await dialog.get_by_role("button", name="Reserve licences").click()
    await dialog.locator("input[id^=seats-]").fill("3")
    await clara.page.keyboard.press("Tab")
    await expect(dialog).to_contain_text("3 licences are reserved in all, and the key has 2.")
    assert await clara.violations() == []
    assert await overflow(clara) <= 0
    await dialog.locator("input[id^=seats-]").fill("1")
    await dialog.get_by_role("button", name="Save").press("Enter")
    await clara.sees("The rules are saved.")
    await expect(rules).to_be_focused()
    assert (await get_only_pool(world))["policy"]["idleHours"] == 9
    await clara.button("Undo").focus()
    await clara.page.keyboard.press("Enter")
    await clara.sees("The rules are as before.")
    assert (await get_only_pool(world))["policy"] == NO_RULES
    assert await clara.view.locator("h1").evaluate("(one) => one.getRootNode().activeElement === one")
