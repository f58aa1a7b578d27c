"""The page *Audit*: in words, filtered, page by page, exported as filtered, in a real browser."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import expect

from tests.support import history
from tests.support.browser import OpenTab, Tab, overflow
from tests.support.world import ANNA, CLARA, World


async def opened(world: World, open_tab: OpenTab, **options: object) -> Tab:
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    clara = await open_tab(CLARA, page="audit", **options)
    await expect(clara.view.get_by_role("table")).to_be_visible()
    return clara


async def choose(clara: Tab, group: str) -> None:
    await clara.field("Kind").select_option(label=group)


async def test_the_audit_says_in_words_what_happened(world: World, open_tab: OpenTab) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    clara = await opened(world, open_tab)
    row = clara.view.get_by_role("row").nth(1)
    await expect(row).to_contain_text("Signed in")
    await expect(row).to_contain_text("Clara Vogt")
    await expect(row).to_contain_text("floating licence")
    assert await clara.violations() == []


async def test_filters_narrow_the_audit_and_can_be_cleared(world: World, open_tab: OpenTab) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    clara = await opened(world, open_tab)
    await choose(clara, "Signing in and out")
    await clara.field("Person").fill("berger")
    await expect(clara.view.get_by_role("row").nth(1)).to_contain_text("Anna Berger")
    await expect(clara.view.get_by_role("table")).not_to_contain_text("Exported")
    await clara.field("Person").fill("nobody at all")
    await expect(clara.view.get_by_text("No entry fits these filters.")).to_be_visible()
    assert await clara.violations() == []
    await clara.button("Clear the filters").press("Enter")
    await expect(clara.view.get_by_role("table")).to_be_visible()
    await expect(clara.field("Person")).to_have_value("")
    await expect(clara.view.get_by_role("heading", name="Audit")).to_be_focused()


async def test_ten_thousand_entries_are_turned_page_by_page(world: World, open_tab: OpenTab) -> None:
    history.fill_a_day(world, datetime(2001, 5, 4, 12, tzinfo=UTC), 10_010)
    clara = await opened(world, open_tab)
    await clara.field("From (day)").fill("2001-05-04")
    await clara.field("To (day)").fill("2001-05-04")
    count = clara.view.locator("#audit-count")
    await expect(count).to_have_text("1 to 50 of more than 10,000")
    await expect(clara.view.get_by_role("row").nth(1)).to_contain_text("Guest 10009")
    await clara.button("Older").click()
    await expect(count).to_have_text("51 to 100 of more than 10,000")
    await expect(clara.view.get_by_role("row").nth(1)).to_contain_text("Guest 9959")
    await clara.button("Newer").click()
    await expect(count).to_have_text("1 to 50 of more than 10,000")
    await clara.field("Person").fill("guest 77")
    await expect(clara.view.get_by_role("row").nth(1)).to_contain_text("Guest 7799")
    await expect(count).to_have_text("1 to 50 of 111")


async def test_the_audit_is_exported_by_days(world: World, open_tab: OpenTab) -> None:
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    clara = await open_tab(CLARA, page="audit")
    since, until, export = (
        clara.field("From (day)"),
        clara.field("To (day)"),
        clara.button("Export as CSV"),
    )
    assert await until.input_value() == datetime.now(ZoneInfo("Europe/Berlin")).date().isoformat()
    first = await since.input_value()
    await since.fill(await until.input_value())
    await until.fill(first)
    await clara.sees("The first day is after the last one.")
    await expect(export).to_have_attribute("aria-disabled", "true")
    assert await clara.violations() == []
    history.fill_a_day(world, datetime(2001, 5, 5, 12, tzinfo=UTC), 50_001)
    try:
        await since.fill("2001-05-05")
        await until.fill("2001-05-05")
        async with clara.page.expect_download(timeout=120_000) as download:
            await export.press("Enter")
        content = Path(await (await download.value).path()).read_text()
        assert "Guest 50000" in content and '"Guest 1",' in content and '"Guest 0",' not in content
        await clara.sees("The file has the newest 50,000 entries of these days; there are older ones.")
        await expect(clara.view.get_by_text("The first day is after")).to_have_count(0)
        assert await clara.violations() == []
    finally:
        history.forget(world)


@pytest.mark.parametrize("locale", ["de-DE", "en-US"])
@pytest.mark.parametrize("width", [320, 550, 1024])
async def test_nothing_is_wider_than_the_window(
    world: World, open_tab: OpenTab, locale: str, width: int
) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    clara = await opened(world, open_tab, locale=locale, width=width)
    assert await overflow(clara) == 0
    assert await clara.violations() == []
