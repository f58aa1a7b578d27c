"""How the built client is served."""

import os
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tab import web_app

BUILT = 1_700_000_000
"""In seconds; the same time for all files, as in an image."""


def build(directory: Path, script: str) -> None:
    page = directory / "index.html"
    page.write_text(f'<script type="module" src="/tab/assets/{script}.js"></script>')
    os.utime(page, (BUILT, BUILT))


async def test_a_browser_never_keeps_the_page_of_the_build_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_app, "DIST", tmp_path)
    app = web.Application()
    app.add_subapp("/tab", web_app.pages())
    async with TestClient(TestServer(app)) as client:
        build(tmp_path, "index-1111")
        async with client.get("/tab/") as first:
            assert "index-1111" in await first.text()
            assert first.headers["Cache-Control"] == "no-cache"
        kept = {
            "If-None-Match": first.headers.get("ETag", ""),
            "If-Modified-Since": first.headers.get("Last-Modified", ""),
        }
        build(tmp_path, "index-2222")
        async with client.get("/tab/", headers=kept) as second:
            assert second.status == 200
            assert "index-2222" in await second.text()
