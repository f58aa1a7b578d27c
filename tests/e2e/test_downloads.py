"""The packages on the connection page: a link and commands that work when they are copied."""

import asyncio
import shutil
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.support.browser import OpenTab, overflow
from tests.support.downloads import CONNECTOR_FILE, CONTENT, HELPER_FILE, write_packages
from tests.support.world import ANNA, CLARA, World


async def test_an_administrator_copies_the_commands(world: World, open_tab: OpenTab, tmp_path: Path) -> None:
    folder = world.demo.state / "downloads"
    write_packages(folder)
    try:
        await world.client(CLARA).sign_in(world.pbx_name, world.key)
        clara = await open_tab(CLARA, page="connection")
        await clara.sees("Connector for Debian and Ubuntu")
        await clara.sees("Version 9.9.9, amd64, 2 MB")
        await clara.button(f"Make a link: {CONNECTOR_FILE}").click()
        commands = clara.view.locator("pbx-downloads pre code")
        await expect(commands).to_have_count(3)
        fetch, check, install = await commands.all_inner_texts()
        assert install == f"apt install ./{CONNECTOR_FILE}"
        for command in (fetch, check):
            shell = await asyncio.create_subprocess_shell(command, cwd=tmp_path)
            assert await shell.wait() == 0, command
        assert (tmp_path / CONNECTOR_FILE).read_bytes() == CONTENT[CONNECTOR_FILE]
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("language", "words"),
    [("en-US", "No packages have been built"), ("de-DE", "Für diesen Dienst sind noch keine Pakete gebaut")],
)
async def test_a_service_without_packages_reports_it(
    world: World, open_tab: OpenTab, language: str, words: str
) -> None:
    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    clara = await open_tab(CLARA, locale=language, page="connection")
    await clara.sees(words)


@pytest.mark.parametrize(
    ("language", "words", "button"),
    [
        ("en-US", "double-click pbx-audio-probe.cmd", "Make a link"),
        ("de-DE", "doppelklicken Sie darin auf pbx-audio-probe.cmd", "Link erstellen"),
    ],
)
async def test_everybody_gets_the_audio_helper_on_the_audio_page(
    world: World, open_tab: OpenTab, language: str, words: str, button: str
) -> None:
    folder = world.demo.state / "downloads"
    write_packages(folder)
    try:
        await world.client(ANNA).sign_in(world.pbx_name, world.key)
        anna = await open_tab(ANNA, locale=language, width=360, page="audio")
        await anna.sees(words)
        section = anna.view.locator("pbx-downloads")
        await expect(section.get_by_role("button")).to_have_count(1)  # not the connector
        await section.get_by_role("button", name=f"{button}: {HELPER_FILE}").press("Enter")
        link = await section.get_by_role("link").get_attribute("href")
        assert link is not None and link.endswith(f"/{HELPER_FILE}")
        assert await anna.violations() == []
        assert await overflow(anna) <= 0
    finally:
        shutil.rmtree(folder)
