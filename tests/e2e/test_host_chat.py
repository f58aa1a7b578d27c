"""The bot in the simulated host: its sign-in button opens the tab's page as a dialog, as Teams does."""

import asyncio
from contextlib import suppress

from playwright.async_api import Error, Route, expect

from tests.support.browser import OpenTab
from tests.support.world import ANNA, World


async def test_signing_in_from_the_chat(world: World, open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA, chat="1")
    page = tab.page
    await expect(page.locator("#messages .message").first).to_be_visible()
    await page.get_by_label("Message to the bot").fill("status")
    await page.keyboard.press("Enter")
    await expect(page.locator("#messages")).to_contain_text("You are not signed in")
    await page.locator("#messages").get_by_role("button", name="Sign in").last.click()
    dialog = page.frame_locator("#dialog-frame iframe")
    await dialog.get_by_label("PBX name", exact=True).fill(world.pbx_name)
    await dialog.get_by_label("PBX key", exact=True).fill(world.key)
    await dialog.get_by_role("button", name="Continue").click()
    await dialog.get_by_label("Login", exact=True).fill(ANNA.login)
    await dialog.get_by_label("Password", exact=True).fill(ANNA.password)
    await dialog.get_by_role("button", name="Sign in", exact=True).click()
    await expect(page.locator("#dialog")).to_be_hidden()
    await expect(page.locator("#messages")).to_contain_text("Your connection to the PBX")
    await tab.sees("Overview")
    await page.locator("#messages").get_by_role("button", name="Sign out").last.click()
    await expect(tab.field("PBX name")).to_be_visible()


async def test_the_dialog_ends_when_the_stream_tells_before_the_answer(
    world: World, open_tab: OpenTab
) -> None:
    tab = await open_tab(ANNA, chat="1")
    page = tab.page
    seen = asyncio.Event()

    async def late(route: Route) -> None:
        answer = await route.fetch()
        await seen.wait()
        with suppress(Error):  # the dialog may be gone
            await route.fulfill(response=answer)

    await page.get_by_label("Message to the bot").fill("status")
    await page.keyboard.press("Enter")
    await page.locator("#messages").get_by_role("button", name="Sign in").last.click()
    dialog = page.frame_locator("#dialog-frame iframe")
    await dialog.get_by_label("PBX name", exact=True).fill(world.pbx_name)
    await dialog.get_by_label("PBX key", exact=True).fill(world.key)
    await dialog.get_by_role("button", name="Continue").click()
    await dialog.get_by_label("Login", exact=True).fill(ANNA.login)
    await dialog.get_by_label("Password", exact=True).fill(ANNA.password)
    await page.route("**/api/v1/sign-in", late)
    await dialog.get_by_role("button", name="Sign in", exact=True).click()
    try:
        await expect(page.locator("#dialog")).to_be_hidden()
    finally:
        seen.set()
    await expect(page.locator("#messages")).to_contain_text("Your connection to the PBX")


async def test_the_telephone_on_the_desk_of_the_person(open_tab: OpenTab) -> None:
    tab = await open_tab(ANNA)
    page = tab.page
    await page.get_by_role("button", name="Telephone").click()
    panel = page.locator("#telephone")
    await expect(panel).to_contain_text("Telephone of Anna Berger (1001)")
    await panel.get_by_label("Caller").fill("Sabine Weiß (00494066969210)")
    await panel.get_by_role("button", name="Let this phone ring").click()
    await expect(panel.get_by_role("listitem")).to_contain_text("Sabine Weiß rings")
    await panel.get_by_role("button", name="Pick up", exact=True).click()
    await expect(panel.get_by_role("listitem")).to_contain_text("Sabine Weiß talks")
    await panel.get_by_role("button", name="Hang up").click()
    await expect(panel).to_contain_text("No call.")
