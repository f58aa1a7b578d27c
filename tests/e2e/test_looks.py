"""Every page, in both languages, the three themes and three widths: axe finds nothing, nothing needs sideways scrolling,
and it looks as on the stored reference picture (`make references` takes those again; look at them before you commit).
"""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.async_api import Browser, Playwright

from tests.support import looks
from tests.support.browser import Tab, overflow
from tests.support.looks import View
from tests.support.world import World


@pytest.fixture(scope="module")
async def shown(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A world of its own, so that the pictures show nothing that other tests have left."""
    world = World(tmp_path_factory.mktemp("looks"), seats=2)
    await world.start()
    yield world
    await world.stop()


@pytest.fixture(scope="module")
async def own_browser(playwright: Playwright) -> AsyncIterator[Browser]:
    async with looks.browser_with_own_font(playwright) as browser:
        yield browser


@pytest.fixture(scope="module", params=looks.VIEWS, ids=lambda view: view.name)
async def view(request: pytest.FixtureRequest, shown: World) -> View:
    await looks.arrange(shown, request.param)
    return request.param


@pytest.fixture(scope="module", params=looks.LOCALES)
async def locale(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
async def tab(own_browser: Browser, shown: World, view: View, locale: str) -> AsyncIterator[Tab]:
    tab = await looks.open_view(own_browser, shown, view, locale)
    yield tab
    await tab.close()


@pytest.mark.parametrize("width", looks.WIDTHS)
@pytest.mark.parametrize("theme", looks.THEMES)
async def test_the_page(tab: Tab, view: View, locale: str, theme: str, width: int, tmp_path: Path) -> None:
    await looks.show(tab, theme, width)
    assert await tab.violations() == []
    assert await overflow(tab) <= 0
    picture = await looks.picture(tab, view)
    name = looks.name_of(view, locale, theme, width)
    difference = looks.difference(picture, (looks.REFERENCES / name).read_bytes())
    (tmp_path / name).write_bytes(picture)
    assert difference <= looks.MAX_DIFFERENT, f"{difference:.1%} differ; it now looks like {tmp_path / name}"


def test_there_is_no_picture_without_its_page() -> None:
    expected = {
        looks.name_of(view, locale, theme, width)
        for view in looks.VIEWS
        for locale in looks.LOCALES
        for theme in looks.THEMES
        for width in looks.WIDTHS
    }
    assert {path.name for path in looks.REFERENCES.glob("*")} == expected


@pytest.mark.parametrize(
    ("box", "colour"),
    [
        ((12, 90, 308, 215), "#fafafa"),  # a card is gone
        ((14, 560, 134, 600), "#fafafa"),  # a button is gone
    ],
)
def test_the_comparison_sees_what_is_missing(box: tuple[int, int, int, int], colour: str) -> None:
    reference = (looks.REFERENCES / "state-en-default-320.png").read_bytes()
    assert looks.difference(reference, reference) == 0
    image = Image.open(io.BytesIO(reference))
    ImageDraw.Draw(image).rectangle(box, fill=colour)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    assert looks.difference(buffer.getvalue(), reference) > looks.MAX_DIFFERENT
