"""An administrator without a licence, in a browser: an explanation, and a way to get a licence."""

import pytest
from playwright.async_api import expect

from tests.support.browser import OpenTab
from tests.support.world import ANNA, BEN, CLARA, World


@pytest.mark.parametrize(
    ("locale", "title", "licences", "again"),
    [
        ("en-US", "You are signed in for administration only", "Licences", "Sign in again"),
        ("de-DE", "Sie sind nur zur Verwaltung angemeldet", "Lizenzen", "Neu anmelden"),
    ],
)
async def test_it_is_reported_and_leads_to_a_licence(
    world: World, open_tab: OpenTab, locale: str, title: str, licences: str, again: str
) -> None:
    await world.pbx("PATCH", f"users/{BEN.login}", {"permissions": []})
    for person in (ANNA, BEN):
        await world.client(person).sign_in(world.pbx_name, world.key)
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    clara = await open_tab(CLARA, locale=locale)
    await expect(clara.view.locator("#administration")).to_contain_text(title)
    assert await clara.violations() == []
    await clara.goes_to(licences)
    await expect(clara.view.get_by_role("row")).to_have_count(4)
    assert await clara.violations() == []
    await world.client(BEN).sign_out()
    await clara.links.first.click()
    await clara.button(again).click()
    await expect(clara.view.locator("#pbx-name")).to_be_visible()
