"""The module page of a running connector, in a real browser."""

import asyncio
import json
import re
import sys
from pathlib import Path

from playwright.async_api import Browser, expect

from tests.support.setup import open_page, violations
from tests.support.world import World, eventually, free_ports


async def test_an_administrator_repairs_the_connector_without_an_editor(
    world: World, browser: Browser, tmp_path: Path
) -> None:
    name, port = "module.example.com", free_ports(1)
    code = await world.enrolment_code(name)
    key = await world.demo.licence_key(3, "MODULE-1")
    file = tmp_path / "connector.toml"
    file.touch(mode=0o600)
    file.write_text(
        f"""# our comment
state_directory = {json.dumps(str(tmp_path / "state"))}
[service]
url = "{world.demo.service_url}"
enrolment_code = "{code}"
[pbx]
name = "{name}"
url = "{world.starface_url}"
login = "0001"
password = "foobar"
[status]
port = 0
[page]
port = {port}
"""
    )
    command = (sys.executable, "-m", "connector.cli", "--config", str(file))
    log = tmp_path / "run.log"
    with log.open("wb") as stderr:
        connector = await asyncio.create_subprocess_exec(*command, "run", stderr=stderr)
    try:

        async def is_linked() -> bool:
            assert connector.returncode is None, log.read_text()
            return "link open" in log.read_text()

        await eventually(is_linked, "the connector is linked", seconds=40)
        asked = await asyncio.create_subprocess_exec(*command, "page", stdout=asyncio.subprocess.PIPE)
        said, _ = await asked.communicate()
        link = re.search(r"http://\S+", said.decode())
        assert link is not None
        page = await open_page(browser, link.group())

        async def press(action: str) -> None:
            await page.locator(f"[name=action][value={action}]").click()

        await expect(page.get_by_role("heading", level=1)).to_contain_text(name)
        assert await violations(page) == []
        await press("inactive")
        await expect(page.get_by_text("is switched off")).to_be_visible()
        assert "active = false" in file.read_text() and "# our comment" in file.read_text()
        await press("active")
        await expect(page.get_by_text("The configuration is active")).to_be_visible()
        await press("uci-off")
        await press("uci-on")
        await press("uci-restart")
        await expect(page.get_by_text("Done.")).to_be_visible()
        await page.get_by_label("Add a key").fill("nonsense")
        await press("add-licence")
        await expect(page.get_by_role("alert")).to_contain_text("not a licence key")
        await page.get_by_label("Add a key").fill(key)
        await press("add-licence")
        await expect(page.get_by_text("MODULE-1: 3 seats")).to_be_visible()
        await page.get_by_label("Add a key").fill(await world.demo.licence_key(2, "MODULE-2"))
        await press("add-licence")
        await expect(page.get_by_text("MODULE-2: 2 seats")).to_be_visible()
        stale = await page.context.new_page()
        await stale.goto(page.url)
        for shown in (page, stale):  # somebody presses the button twice, or on a page that is out of date
            await shown.get_by_role("button", name="MODULE-1").click()
            await expect(shown.get_by_text("Done.")).to_be_visible()
            await expect(shown.get_by_text("MODULE-1")).to_have_count(0)
            await expect(shown.get_by_text("MODULE-2: 2 seats")).to_be_visible()
        await stale.close()
        await press("key")
        before = await page.locator("#pbx-key").inner_text()
        await press("new-key")
        await expect(page.locator("#pbx-key")).not_to_have_text(before)
        await expect(page.get_by_text("The old key is valid until")).to_be_visible()
        await press("log")
        await expect(page.locator("pre")).to_contain_text("audit: an act on the module page")
        await press("doctor")
        await expect(page.get_by_role("heading", name="Diagnostics", exact=True)).to_be_visible()
        text = await page.content()
        assert "foobar" not in text and key not in text and code not in text
        async with page.expect_download() as download:
            await page.get_by_role("button", name="Download the support file").click()
        assert (await download.value).suggested_filename == "pbx-connector-support.zip"
        assert await violations(page) == []
        await page.context.close()
    finally:
        connector.terminate()
        await connector.wait()
