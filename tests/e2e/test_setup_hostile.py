"""The set-up's page under attack: a hostile web page in the same browser, DNS rebinding, the network."""

import re
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Browser, Error, Playwright, expect

from connector.setup.draft import FILE
from tests.support.browser import launch
from tests.support.setup import PASSWORD, Technician, is_at, open_page, running_setup
from tests.support.starface import running_starface_with_tls, serving
from tests.support.world import World

ATTACK = """<!doctype html><title>hostile</title>
<iframe name="victim" src="{root}step/service"></iframe>
<img src="{root}step/service">
<form id="blind" method="post" action="{root}step/service" target="away">
<input name="service.url" value="https://evil.example"><input name="action" value="check"></form>
<iframe name="away"></iframe>
"""
FETCH = """async (root) => {
  const said = [];
  for (const mode of ["cors", "no-cors"]) {
    for (const [path, method] of [["step/service", "GET"], ["step/service", "POST"], ["finish", "GET"]]) {
      const body = method === "POST" ? new URLSearchParams({"service.url": "https://evil.example"}) : undefined;
      try {
        const answer = await fetch(root + path, { method, body, mode, credentials: "include" });
        said.push(await answer.text());
      } catch (fault) {
        said.push("");
      }
    }
  }
  return said;
}"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_hostile_page_in_the_same_browser_reads_and_changes_nothing(
    world: World, browser: Browser, tmp_path: Path, host: str
) -> None:
    """The worst case: it even knows the secret path, and on 127.0.0.1 it is of the same site for cookies."""
    async with running_setup(tmp_path) as setup:
        page = await open_page(browser, await setup.start())
        technician = Technician(page, world)
        await technician.service()
        before = (setup.state / FILE).read_text()
        root = page.url.rpartition("step/")[0]

        async def hostile(_request: web.Request) -> web.Response:
            return web.Response(text=ATTACK.replace("{root}", root), content_type="text/html")

        app = web.Application()
        app.router.add_get("/", hostile)
        async with serving(app) as port:
            evil = await page.context.new_page()
            await evil.goto(f"http://{host}:{port}/")
            said = await evil.evaluate(FETCH, root)
            assert said == [""] * len(said)
            await evil.evaluate("document.getElementById('blind').submit()")
            await evil.wait_for_timeout(500)
            for frame in evil.frames[1:]:
                try:
                    assert "Address of the service" not in await frame.content()
                except Error:
                    continue  # an error page of the browser
            # A link that leads there shows the person their own page, and tells the hostile one nothing.
            assert (setup.state / FILE).read_text() == before
            await evil.evaluate(
                "(root) => { const form = document.getElementById('blind'); form.target = ''; form.submit(); }",
                root,
            )
            await expect(evil.locator("body")).to_contain_text("another web page")
            assert (setup.state / FILE).read_text() == before
        # The person's own page works on.
        await technician.pbx()
        await is_at(page, "name")
        assert "audit: a request from another web page was refused" in setup.log()
    await page.context.close()


async def test_a_rebound_name_gets_nothing(world: World, playwright: Playwright, tmp_path: Path) -> None:
    del world
    browser = await launch(playwright, "--host-resolver-rules=MAP evil.example 127.0.0.1")
    try:
        async with running_setup(tmp_path) as setup:
            link = await setup.start()
            page = await browser.new_page()
            answer = await page.goto(link.replace("127.0.0.1", "evil.example"))
            assert answer is not None and answer.status == 421
            answer = await page.goto(re.sub("/start/.*", "/", link).replace("127.0.0.1", "evil.example"))
            assert answer is not None and answer.status == 421
            # The link was not used up by it.
            answer = await page.goto(link)
            assert answer is not None and answer.status == 200
    finally:
        await browser.close()


async def test_over_the_network_with_tls_and_a_password(
    world: World, browser: Browser, tmp_path: Path
) -> None:
    async with running_setup(tmp_path, "--listen", "0.0.0.0") as setup:
        link = await setup.start()
        assert link.startswith("https://")
        while "fingerprint" not in setup.said or not re.search(r"([0-9A-F]{2}:){31}", setup.said):
            setup.said += (await setup.process.stdout.readline()).decode()
        password = re.search(r"Password\s+(\S+)", setup.said).group(1)
        port = re.search(r":(\d+)/", link).group(1)
        page = await open_page(browser, f"https://127.0.0.1:{port}/", ignore_https_errors=True)
        await page.get_by_label("Password").fill("wrong")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert")).to_contain_text("wrong")
        await page.get_by_label("Password").fill(password)
        await page.get_by_role("button", name="Sign in").click()
        await Technician(page, world).service()
        (cookie,) = [one for one in await page.context.cookies() if one["name"].startswith("__Secure-")]
        assert cookie["secure"] and cookie["httpOnly"] and cookie["sameSite"] == "Strict"
        assert password not in setup.log()
    await page.context.close()


async def test_a_certificate_of_its_own_is_compared_and_accepted(
    world: World, browser: Browser, tmp_path: Path
) -> None:
    async with (
        running_starface_with_tls(tmp_path / "tls") as (url, fingerprint),
        running_setup(tmp_path) as setup,
    ):
        page = await open_page(browser, await setup.start(), locale="de-DE")
        technician = Technician(page, world)
        await technician.service()
        await technician.pbx(url)
        await expect(page.get_by_text(fingerprint)).to_be_visible()
        await expect(page.get_by_text("starface.local").first).to_be_visible()
        await technician.press("accept")
        await is_at(page, "name")
        assert fingerprint.replace(":", "").lower() in (setup.state / FILE).read_text()
    await page.context.close()


async def test_oauth_is_asked_for_where_the_version_needs_it(
    world: World, browser: Browser, tmp_path: Path
) -> None:
    from simulator.starface.model import CLIENT_SECRET  # noqa: PLC0415

    await world.pbx("PATCH", "settings", {"version": "10.0.1.6", "oauth": True})
    try:
        async with running_setup(tmp_path) as setup:
            page = await open_page(browser, await setup.start())
            technician = Technician(page, world)
            await technician.service()
            await technician.pbx(password="wrong")
            await expect(page.get_by_label("Client secret")).to_be_visible()
            await technician.fill("pbx.oauth_client_secret", CLIENT_SECRET)
            await technician.pbx(password=PASSWORD)
            await is_at(page, "name")
            assert CLIENT_SECRET not in (setup.state / FILE).read_text() + setup.log()
    finally:
        await world.pbx("PATCH", "settings", {"version": "6.7.3.20", "oauth": False})
    await page.context.close()
