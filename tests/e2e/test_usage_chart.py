"""The chart of use over time: axes, numbers for each bar by pointer and keyboard, and the table beside it."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import expect

from tests.support import history
from tests.support.browser import OpenTab, Tab, overflow
from tests.support.world import CLARA, World

CONTRAST = """(chart) => {
  const channel = (value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map(Number);
    return 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const style = (one) => getComputedStyle(chart.querySelector(one));
  const card = style(".card").backgroundColor;
  const halo = style(".halo").stroke;
  return {
    peak: ratio(style(".peak").fill, card), refused: ratio(style(".denied").fill, card),
    line: ratio(style(".average").stroke, halo), capacity: ratio(style(".seats").stroke, card),
  };
}"""


@pytest.fixture
async def filled(world: World) -> AsyncIterator[World]:
    history.write(world)
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    yield world
    history.forget(world)


async def opened(open_tab: OpenTab, **options: object) -> Tab:
    clara = await open_tab(CLARA, page="licences", **options)
    await clara.view.locator("pbx-usage input[value=month]").check()
    await expect(clara.view.locator("pbx-usage .peak")).to_have_count(30)
    return clara


async def test_bars_say_their_numbers_by_keyboard_and_by_pointer(filled: World, open_tab: OpenTab) -> None:
    clara = await opened(open_tab)
    chart = clara.view.locator("pbx-usage .plot")
    tip = clara.view.locator("#usage-tip")
    await chart.focus()
    await chart.press("End")
    await expect(tip).to_contain_text("Peak:")
    await expect(chart).to_have_attribute("aria-valuenow", "30")
    last = await tip.inner_text()
    await chart.press("ArrowLeft")
    await expect(chart).to_have_attribute("aria-valuenow", "29")
    assert await tip.inner_text() != last
    said = await chart.get_attribute("aria-valuetext") or ""
    assert "Peak:" in said and "Average:" in said
    await chart.press("Escape")
    await expect(tip).to_have_count(0)
    await chart.hover(position={"x": 2, "y": 80})
    await expect(chart).to_have_attribute("aria-valuenow", "1")
    await expect(tip).to_be_visible()
    assert await clara.violations() == []


async def test_axes_have_whole_numbers_and_times(filled: World, open_tab: OpenTab) -> None:
    clara = await opened(open_tab, locale="de-DE")
    numbers = await clara.view.locator("pbx-usage .y span").all_inner_texts()
    assert numbers[0] == "0" and int(numbers[-1]) >= 2
    assert numbers == [str(number) for number in sorted(map(int, numbers))]
    days = await clara.view.locator("pbx-usage .x span").all_inner_texts()
    assert len(days) == 5 and all("." in day for day in days)
    await expect(clara.view.locator("pbx-usage .capacity")).to_have_text("2 Lizenzen")


@pytest.mark.parametrize("theme", ["default", "dark", "contrast"])
async def test_what_the_chart_draws_stands_out(filled: World, open_tab: OpenTab, theme: str) -> None:
    clara = await opened(open_tab, theme=theme)
    await expect(clara.view.locator("pbx-usage .denied").first).to_be_attached()
    ratios = await clara.view.locator("pbx-usage").evaluate(
        CONTRAST.replace("(chart) =>", "(one) => { const chart = one.shadowRoot; return (() =>", 1) + ")() }"
    )
    assert {name: ratio for name, ratio in ratios.items() if ratio < 3} == {}
    assert await clara.violations() == []


async def test_the_chart_fits_a_phone(filled: World, open_tab: OpenTab) -> None:
    clara = await opened(open_tab, width=320)
    assert await overflow(clara) == 0
    await clara.view.locator("pbx-usage .plot").press("End")
    await expect(clara.view.locator("#usage-tip")).to_be_visible()
    assert await overflow(clara) == 0
