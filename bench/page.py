"""Measures how soon the tab's first views are usable on a phone, relative to a bare page that loads as many bytes
and does nothing.

Lighthouse measures both, and simulates a slow phone on a slow network. They alternate, and the median of three
counts, so that a busy machine slows both. The bare page's one script has the size of everything that the tab's
first view loads.
"""

import base64
import os
import statistics
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from playwright.async_api import async_playwright

from bench.report import Bar, Report
from tests.support.lighthouse import examine, settings
from tests.support.world import ANNA, CLARA, World

VIEWS: Final = (("sign-in", ANNA), ("state", ANNA), ("licences", CLARA))
BARS: Final = {f"{view}_paint": Bar(2.0, at_most=True) for view, _ in VIEWS} | {
    f"{view}_performance": Bar(0.95) for view, _ in VIEWS
}
"""Largest contentful paint, the tab's by the bare page's: 1.46, 1.49 and 1.84 when the bar was set. Lighthouse's score for
performance as a part of its best, 95 of 100: it is of the machine, so it counts only where nothing else runs.
"""
ROUNDS: Final = 3
BARE_BYTES: Final = 84_000
PAINT: Final = "largest-contentful-paint"
BARE: Final = """<!doctype html><html lang="de"><meta charset="utf-8"><title>Bare</title>
<meta name="viewport" content="width=device-width"><meta name="description" content="Bare"><body><script src="/bare.js"></script>"""


async def run() -> Report:
    report = Report("page", BARS)
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory))
        await world.start()
        runner, bare = await bare_page()
        try:
            async with async_playwright() as playwright:
                for view, person in VIEWS:
                    if view != "sign-in":
                        answer = await world.client(person).sign_in(world.pbx_name, world.key)
                        assert answer.status == 200, answer.body
                    ours: list[dict[str, Any]] = []
                    theirs: list[dict[str, Any]] = []
                    for _ in range(ROUNDS):
                        theirs.append(
                            await examine(address=bare, surroundings={}, form="mobile", playwright=playwright)
                        )
                        surroundings = await settings(world, person, view)
                        address = f"{world.demo.service_url}/tab/"
                        ours.append(
                            await examine(
                                address=address,
                                surroundings=surroundings,
                                form="mobile",
                                playwright=playwright,
                            )
                        )
                    paint, bare_paint = median(ours, PAINT), median(theirs, PAINT)
                    report.ratios[f"{view}_paint"] = paint / bare_paint
                    scores = [found["categories"]["performance"] for found in ours]
                    report.ratios[f"{view}_performance"] = statistics.median(scores) / 100
                    report.figures |= {
                        f"{view}_paint_ms": round(paint),
                        f"{view}_bare_paint_ms": round(bare_paint),
                        f"{view}_blocked_ms": round(median(ours, "total-blocking-time")),
                    }
        finally:
            await runner.cleanup()
            with suppress(ProcessLookupError):
                await world.stop()
    return report


def median(found: list[dict[str, Any]], metric: str) -> float:
    return statistics.median(one["metrics"][metric]["value"] for one in found)


async def bare_page() -> tuple[web.AppRunner, str]:
    """Create a page whose only script is as large as the tab's first view and writes one heading."""
    dead = base64.b64encode(os.urandom(BARE_BYTES * 3 // 4)).decode()
    script = f'const dead = "{dead}"; document.body.innerHTML = "<h1>" + dead.slice(0, 8) + "</h1>";'

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=BARE, content_type="text/html")

    async def bare_js(_: web.Request) -> web.Response:
        return web.Response(text=script, content_type="text/javascript")

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/bare.js", bare_js)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}/"
