"""`pbx-connector setup` in a real browser: a technician sets a connector up without an editor."""

import asyncio
import json
import stat
import sys
import tomllib
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from connector.config import load
from connector.setup.draft import FILE
from tests.support.setup import (
    PASSWORD,
    SetupProcess,
    Technician,
    is_at,
    open_page,
    running_setup,
    violations,
)
from tests.support.world import World, eventually

NAME = "new.example.com"


async def links_open(process: asyncio.subprocess.Process, log: Path) -> bool:
    assert process.returncode is None, log.read_text()
    return "link open" in log.read_text()


async def test_a_technician_sets_a_connector_up_and_it_links(
    world: World, browser: Browser, tmp_path: Path
) -> None:
    code = await world.enrolment_code(NAME)
    key = await world.demo.licence_key(3, "SETUP-1")
    async with running_setup(tmp_path) as setup:
        page = await open_page(browser, await setup.start())
        assert setup.said.count("http://127.0.0.1:") == 1
        technician = Technician(page, world, NAME)
        await technician.service(code)
        await technician.pbx()
        await technician.name_()
        await technician.licences(key)
        await expect(page.locator("[name='uci.callback_host']")).to_have_value("127.0.0.1")
        await technician.uci()
        assert not setup.file.exists(), "nothing is saved before the end"
        await expect(page.locator("dl")).to_contain_text(NAME)
        text = await page.content()
        assert PASSWORD not in text and code not in text and key not in text
        await technician.press("save")
        await is_at(page, "finish")
        await expect(page.get_by_text("is not linked yet")).to_be_visible()
        await technician.press("key")
        shown = await page.locator("#pbx-key").inner_text()
        config = load(setup.file)
        assert (config.pbx.name, config.pbx.read_password()) == (NAME, PASSWORD)
        assert config.licences.keys == (key,) and config.service.enrolment_code == code
        assert config.uci.enabled and config.uci.callback_host == "127.0.0.1"
        assert stat.S_IMODE(setup.file.stat().st_mode) == 0o600, "it holds the password"
        assert not (setup.state / FILE).exists()
        log = tmp_path / "run.log"
        with log.open("wb") as stderr:
            connector = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "connector.cli", "--config", str(setup.file), "run"), stderr=stderr
            )
        try:
            await eventually(lambda: links_open(connector, log), "the new connector is linked", seconds=40)
            answer = await world.client().prepare(NAME, shown)
            assert answer.status == 200, answer.body
            await page.reload()
            await expect(page.get_by_text("its link to the service is open")).to_be_visible()
        finally:
            connector.terminate()
            await connector.wait()
        await technician.press("end")
        await expect(page.get_by_text("The set-up has ended")).to_be_visible()
        async with asyncio.timeout(20):
            assert await setup.process.wait() == 0
        for secret in (PASSWORD, code, key, shown):
            assert secret not in setup.log() + setup.said
    await page.context.close()


async def test_a_fault_is_explained_and_corrected(world: World, browser: Browser, tmp_path: Path) -> None:
    async with running_setup(tmp_path) as setup:
        page = await open_page(browser, await setup.start(), locale="de-DE")
        technician = Technician(page, world)
        await technician.press("check")
        await expect(page.get_by_role("alert")).to_contain_text("Bitte berichtigen Sie Ihre Eingaben")
        await expect(page.locator("#service-url-wrong")).to_contain_text("Tragen Sie die")
        await technician.fill("service.url", "https://nowhere.invalid")
        await technician.press("check")
        await expect(page.get_by_role("alert")).to_contain_text("Das funktioniert noch nicht")
        await expect(page.get_by_role("alert")).to_contain_text("nowhere.invalid")
        await expect(page.get_by_role("alert")).to_contain_text("→")
        await expect(page.locator("[name='service.url']")).to_have_value("https://nowhere.invalid")
        assert await violations(page) == []
        await technician.service()
        await technician.pbx(password="wrong")
        await expect(page.get_by_role("alert")).to_contain_text("Prüfen Sie Login und Passwort")
        assert "wrong" not in await page.locator("[name='pbx.password']").input_value()
        await technician.pbx()
        await is_at(page, "name")
    await page.context.close()


async def test_what_failed_is_saved_only_when_the_technician_confirms_it(
    world: World, browser: Browser, tmp_path: Path
) -> None:
    async with running_setup(tmp_path) as setup:
        page = await open_page(browser, await setup.start())
        technician = Technician(page, world)
        await technician.fill("service.url", "https://nowhere.invalid")
        await technician.press("check")
        await expect(page.get_by_role("alert")).to_be_visible()
        root = page.url.rpartition("step/")[0]
        await page.goto(f"{root}step/done")
        await expect(page.get_by_role("alert")).to_contain_text("not been checked")
        await expect(page.locator("[value=save]")).to_have_count(0)
        await page.goto(f"{root}step/service")
        await technician.press("save")
        await is_at(page, "pbx")
    await page.context.close()


async def test_a_crash_loses_no_input_but_secrets(world: World, browser: Browser, tmp_path: Path) -> None:
    code = await world.enrolment_code(NAME)
    async with running_setup(tmp_path) as setup:
        page = await open_page(browser, await setup.start())
        technician = Technician(page, world)
        await technician.service(code)
        await technician.pbx()
        await is_at(page, "name")
        stored = (setup.state / FILE).read_text()
        assert PASSWORD not in stored and code not in stored
        await setup.stop()
        again = SetupProcess(tmp_path)
        try:
            await page.goto(await again.start())
            await is_at(page, "name")
            root = page.url.rpartition("step/")[0]
            await page.goto(f"{root}step/pbx")
            await expect(page.locator("[name='pbx.login']")).to_have_value("0001")
            await expect(page.locator("[name='pbx.password']")).to_have_value("")
        finally:
            await again.stop()
    await page.context.close()


async def test_the_terminal_asks_the_same(world: World, tmp_path: Path) -> None:
    code = await world.enrolment_code("terminal.example.com")
    setup = SetupProcess(tmp_path)
    answers = [
        *(world.demo.service_url, code),
        *(world.starface_url, "0001", "wrong", "a"),
        *(world.starface_url, "0001", PASSWORD),
        "terminal.example.com",
        "",  # no licence keys
        *("y", ""),  # UCI, with the proposed address
        "y",
    ]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "connector.cli", "--config", str(setup.file), "setup", "--no-browser"),
        *("--state-directory", str(setup.state), "--language", "en"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate("\n".join([*answers, ""]).encode())
    said = out.decode()
    assert process.returncode == 0, said
    assert "Check login and password" in said or "login" in said
    config = load(setup.file)
    assert config.pbx.name == "terminal.example.com" and config.pbx.read_password() == PASSWORD
    assert PASSWORD not in said and code not in said
    content = tomllib.loads(setup.file.read_text())
    assert content["uci"] == {"enabled": True, "callback_host": "127.0.0.1"}
    assert json.dumps(content)


async def test_the_end_of_the_input_writes_nothing(world: World, tmp_path: Path) -> None:
    setup = SetupProcess(tmp_path)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "connector.cli", "--config", str(setup.file), "setup", "--no-browser"),
        *("--state-directory", str(setup.state), "--language", "de"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate(f"{world.demo.service_url}\n".encode())
    assert process.returncode == 1 and "Es wurde nichts geschrieben." in out.decode()
    assert not setup.file.exists()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["de-DE", "en-US"])
async def test_axe_finds_nothing_and_a_phone_is_wide_enough(
    world: World, browser: Browser, tmp_path: Path, scheme: str, locale: str
) -> None:
    async with running_setup(tmp_path) as setup:
        page = await open_page(
            browser,
            await setup.start(),
            locale=locale,
            color_scheme=scheme,
            viewport={"width": 320, "height": 700},
        )
        technician = Technician(page, world)

        async def look() -> None:
            assert await violations(page) == []
            width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert await page.evaluate(width) <= 0, page.url

        await look()
        await technician.service()
        await look()
        await technician.pbx(password="wrong")
        await expect(page.get_by_role("alert")).to_be_visible()
        await look()
        await technician.pbx()
        await is_at(page, "name")
        await look()
        root = page.url.rpartition("step/")[0]
        for step in ("licences", "uci", "done"):
            await page.goto(f"{root}step/{step}")
            await look()
    await page.context.close()
