"""Text from a hostile connector in a real browser: it stays text on every page, and does not reverse other text."""

from typing import Final

import pytest
from playwright.async_api import expect

from tests.support.browser import OpenTab, Tab
from tests.support.connector_peer import enrolled
from tests.support.scripted_pbx import HOLDER, MALLORY, scripted_pbx, sign_in_at
from tests.support.world import BEN, CLARA, World
from wire.link import RestState, Status, UciState

MARKUP: Final = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
TURNED: Final = "\u202eesrever\u2066 Left"
"""A right-to-left override and an isolate that nobody closes."""
PAGES: Final = ("Overview", "Audio", "Licences", "Sign-in and security", "Connection", "Audit")

WATCH: Final = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) => violations.push(`${event.violatedDirective} ${event.blockedURI}`));
addEventListener("error", (event) => event.message && violations.push(event.message));
"""


@pytest.mark.parametrize("locale", ["en-US", "de-DE"])
async def test_what_a_connector_says_stays_text(world: World, open_tab: OpenTab, locale: str) -> None:
    peer, mallory, clara = (
        await enrolled(world, f"markup-{locale.lower()}.example.com"),
        world.client(BEN),
        world.client(CLARA),
    )
    status = Status(
        module_active=True,
        uci=UciState.FAILED,
        rest=RestState.UNREACHABLE,
        pbx_version="<b>6.7.3</b>",
        detail=MARKUP + "\u202e",
        permission_found=False,
        permission_name=MARKUP,
    )
    key = await world.demo.licence_key(2, f"MARKUP-{locale}")
    async with scripted_pbx(
        world, peer, licence_keys=[key], status=status, connector_version="<i>1</i>"
    ) as pbx:
        for client, person in ((mallory, MALLORY), (clara, HOLDER)):
            await client.sign_out()
            pbx.logs_in = pbx.users[person["userId"]] = {
                **person,
                "displayName": f"{MARKUP} {TURNED} {person['userId']}",
                "login": f"<u>{person['userId']}</u>",
            }
            assert (await sign_in_at(client, peer)).status == 200
        tab = await open_tab(BEN, locale=locale, script=WATCH)
        tabs = tab.links
        await expect(tabs).to_have_count(len(PAGES))
        for number in range(len(PAGES)):
            await tabs.nth(number).click()
            await expect(tab.view.get_by_role("heading", level=1)).to_be_visible()
            await expect(tab.view.locator("pbx-skeleton")).to_have_count(0)
            if number == PAGES.index("Licences"):
                await expect(tab.view.get_by_role("row")).to_have_count(3)
                await tab.sees('<img src=x onerror="document.title=1">')
            text, elements = await shown(tab)
            assert elements == []
            assert "Left" in text or number != PAGES.index("Licences")
            assert "\u202e" not in text and "\u2066" not in text
        assert await tab.frame().evaluate("violations") == []
        for client in (mallory, clara):
            await client.sign_out()


async def shown(tab: Tab) -> tuple[str, list[str]]:
    """All text of the page, and the elements in it that none of our templates has."""
    text, elements = await tab.frame().evaluate(
        """() => {
          const texts = [], elements = [];
          const look = (root) => {
            texts.push(root.textContent);
            for (const element of root.querySelectorAll("*")) {
              if (["IMG", "U", "B", "I"].includes(element.tagName)) elements.push(element.outerHTML);
              if (element.tagName === "SCRIPT" && element.textContent !== "") elements.push(element.outerHTML);
              if (element.shadowRoot) look(element.shadowRoot);
            }
          };
          look(document.documentElement);
          return [texts.join("\\n"), elements];
        }"""
    )
    return text, elements
