"""Takes the pictures of `docs/screenshots`: the pages, two languages, three themes, from the running world; and the
connector's set-up.

make screenshots
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import async_playwright, expect

from simulator.people import PBX_NAME
from tests.support import history
from tests.support.browser import Tab, launch
from tests.support.connector_peer import Peer, connected, say
from tests.support.playground import playground
from tests.support.setup_pictures import take_setup
from tests.support.sound import HEADSET, sound_server
from tests.support.world import ANNA, BEN, CLARA, World
from wire.doctor import STEPS

STRANGER = Peer(PBX_NAME)
OUT = Path(__file__).parents[2] / "docs" / "screenshots"


async def main() -> int:
    OUT.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as state,
        tempfile.TemporaryDirectory() as for_sound,
        sound_server(Path(for_sound)) as sound,
    ):
        await sound.ready()
        world = World(Path(state), seats=2)
        await world.start()
        try:
            async with async_playwright() as playwright:
                # A separate sound server, so that the audio page lists the same devices on every machine.
                browser = await launch(
                    playwright, "--use-fake-ui-for-media-stream", environment=sound.environment, whole=True
                )
                history.write(world)
                # Somebody else claims the name: this comes last, because other pages show it for a day too.
                for step in (take, examine):
                    for locale in ("de-DE", "en-US"):
                        for theme in ("default", "dark", "contrast"):
                            await world.reset()
                            await step(world, browser, locale, theme)
                await world.reset()
                await world.client(ANNA).sign_in(world.pbx_name, world.key)
                for locale, word in (("de-DE", "Lizenz"), ("en-US", "licence")):
                    async with playground(world, browser, ANNA.object_id, locale) as chat:
                        await chat.say("status")
                        await chat.shows("Anna Berger (1001)")
                        await chat.say(word)
                        await chat.shows("Floating" if locale == "de-DE" else "floating licence")
                        await chat.page.screenshot(path=OUT / f"bot-{locale[:2]}.png")
                await take_setup(world, browser, OUT)
                await browser.close()
        finally:
            await world.stop()
    print(f"Wrote {len(list(OUT.glob('*.png')))} pictures to {OUT}")
    return 0


async def take(world: World, browser, locale: str, theme: str) -> None:
    suffix = f"{locale[:2]}-{theme}"
    tab = await Tab.open(browser, world, ANNA, locale=locale, theme=theme, width=1000, height=720)
    await expect(tab.view.locator("#pbx-name")).to_be_visible()
    await tab.page.screenshot(path=OUT / f"sign-in-{suffix}.png")
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    await clara.call("PUT", "trust", {"trusted": True, "entry": "one-click", "primary": True})
    await tab.page.reload()
    await expect(tab.view.locator("pbx-offers fluent-button")).to_be_visible()
    await tab.page.screenshot(path=OUT / f"one-click-{suffix}.png")
    for person in (ANNA, BEN, CLARA):
        await world.client(person).sign_in(world.pbx_name, world.key)
    await expect(tab.view.locator("#seats")).to_contain_text("2")
    await tab.page.screenshot(path=OUT / f"state-{suffix}.png")
    await tab.close()
    admin = await Tab.open(
        browser, world, CLARA, locale=locale, theme=theme, width=1100, height=1640, page="licences"
    )
    await expect(admin.view.locator("pbx-advice table")).to_be_visible()
    await admin.page.screenshot(path=OUT / f"licences-{suffix}.png")
    await admin.page.set_viewport_size({"width": 1100, "height": 820})
    await admin.view.locator("section p fluent-button").first.click()
    await admin.view.get_by_role("dialog").get_by_role("button").first.click()
    await admin.page.screenshot(path=OUT / f"rules-{suffix}.png")
    await admin.close()
    for page, ready in (("audit", "table"), ("security", "#entry-one-click")):
        admin = await Tab.open(
            browser, world, CLARA, locale=locale, theme=theme, width=1100, height=900, page=page
        )
        await expect(admin.view.locator(ready)).to_be_visible()
        await admin.page.screenshot(path=OUT / f"{page}-{suffix}.png")
        await admin.close()
    await share_a_headset(world, browser, locale, theme, OUT / f"audio-{suffix}.png")
    await wait_for_a_seat(world, browser, locale, theme, OUT / f"waiting-{suffix}.png")


async def examine(world: World, browser, locale: str, theme: str) -> None:
    """Clara runs the connector's diagnostics while UCI is off, and another installation claims the name."""
    for person in (ANNA, BEN, CLARA):
        await world.client(person).sign_in(world.pbx_name, world.key)
    async with connected(world) as (socket, nonce):
        await say(socket, STRANGER.hello(nonce))
    await world.pbx("PATCH", "settings", {"uci": False})
    tab = await Tab.open(
        browser, world, CLARA, locale=locale, theme=theme, width=1000, height=1900, page="connection"
    )
    await tab.view.locator("#examine").click()
    await expect(tab.view.locator("#findings li")).to_have_count(len(STEPS))
    await tab.page.screenshot(path=OUT / f"connection-{locale[:2]}-{theme}.png")
    await tab.close()
    await world.pbx("PATCH", "settings", {"uci": True})


async def share_a_headset(world: World, browser, locale: str, theme: str, out: Path) -> None:
    """Anna declares that both programs use her headset."""
    anna = world.client(ANNA)
    uses = [
        {"program": program, "device": {"kind": kind, "label": HEADSET}}
        for program in ("teams", "softphone")
        for kind in ("input", "output")
    ]
    await anna.call("PUT", "audio/declared", {"uses": uses})
    tab = await Tab.open(
        browser, world, ANNA, locale=locale, theme=theme, width=1000, height=1700, page="audio"
    )
    await expect(tab.view.locator("#finding ol").first).to_be_visible()
    await expect(tab.view.locator("#teams-input")).to_have_value(HEADSET)
    await tab.page.screenshot(path=out)
    await tab.close()
    await anna.call("DELETE", "audio")


async def wait_for_a_seat(world: World, browser, locale: str, theme: str, out: Path) -> None:
    """Ben, who has no user-assigned licence, finds all seats taken, and waits."""
    await world.client(BEN).sign_out()
    await world.pbx("PATCH", f"users/{BEN.login}", {"permissions": []})
    await world.client(BEN).sign_in(world.pbx_name, world.key)
    await world.client(BEN).call("POST", "waiting")
    tab = await Tab.open(browser, world, BEN, locale=locale, theme=theme, width=1000, height=720)
    await expect(tab.view.locator("#waiting")).to_be_visible()
    await tab.page.screenshot(path=out)
    await tab.close()
    await world.client(BEN).call("DELETE", "waiting")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
