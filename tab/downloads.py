"""Packages to download: the operations that offer them, and `/downloads/`, where a link is redeemed."""

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

from core.administration.downloads import Downloads
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, RefusedError
from tab.budgets import Cost
from tab.operation import TOKEN_IS_GOOD, Call, Operation
from wire.packages import BuiltPackage
from wire.tab_downloads import DownloadLinkRequest, DownloadLinkState, DownloadsState, OfferedPackage

PATH: Final = "/downloads"
AT_ONCE: Final = 20
"""Downloads of this process at the same time."""
SEND_SECONDS: Final = 900.0
"""Time-out of one download: 100 MB at one megabit a second. A broken one is continued by another request (Range)."""


async def get_downloads(call: Call) -> DownloadsState:
    return _state(call, await call.services.downloads.offer(call.user))


async def get_helper(call: Call) -> DownloadsState:
    return _state(call, await call.services.downloads.offer_helper(call.user))


async def make_link(call: Call) -> DownloadLinkState:
    link = await call.services.downloads.make_link(call.user, call.body.file)
    url = f"{call.services.public_url}{PATH}/{link.ticket}/{link.file}"
    return DownloadLinkState(url=url, until=link.until)


def _state(call: Call, packages: tuple[BuiltPackage, ...]) -> DownloadsState:
    return DownloadsState(
        configured=call.services.downloads.is_configured,
        packages=[
            OfferedPackage(
                kind=one.kind,
                file=one.file,
                version=one.version,
                architecture=one.architecture,
                size=one.size,
                sha256=one.sha256,
            )
            for one in packages
        ],
    )


def files(downloads: Downloads) -> web.Application:
    """Build the application to mount at `/downloads`."""
    places = asyncio.Semaphore(AT_ONCE)

    async def send(request: web.Request) -> web.StreamResponse:
        try:
            path = await downloads.find(request.match_info["ticket"], request.match_info["file"])
        except RefusedError as refused:
            return _refusal(refused.finding)
        request.config_dict[TOKEN_IS_GOOD](request)
        if places.locked():
            return web.Response(
                text="Too many downloads at once: try again in a minute.\n",
                status=HTTPStatus.SERVICE_UNAVAILABLE,
                headers={"Retry-After": "60"},
            )
        return _Download(path, places)

    app = web.Application()
    app.router.add_get("/{ticket}/{file}", send)
    app.router.add_get("/", _explain)
    return app


class _Download(web.FileResponse):
    """A file that takes one of the places while it is sent. aiohttp sends it within `prepare`, which it calls itself."""

    def __init__(self, path: Path, places: asyncio.Semaphore) -> None:
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f'attachment; filename="{path.name}"',
        }
        super().__init__(path, headers=headers)
        self._places = places

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        try:
            async with asyncio.timeout(SEND_SECONDS), self._places:
                return await super().prepare(request)
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("the download took too long") from None


def _refusal(finding: Finding) -> web.Response:
    if finding.code is Code.PACKAGE_GONE:
        words, status = (
            "This link has expired. Make a new one in the app, on the page Connection.\n",
            HTTPStatus.GONE,
        )
    else:
        words, status = (
            "There is no such download. Make a link in the app, on the page Connection.\n",
            HTTPStatus.NOT_FOUND,
        )
    return web.Response(text=words, status=status)


async def _explain(_request: web.Request) -> web.Response:
    return web.Response(text="Administrators find the packages in the app, on the page Connection.\n")


_ADMINISTRATION: Final = (Code.NOT_SIGNED_IN, Code.NOT_ADMINISTRATOR, Code.PASSWORD_NEEDED)

DOWNLOAD_OPERATIONS: Final = (
    Operation(
        id="getDownloads",
        method="GET",
        path="/api/v1/downloads",
        summary="List the packages that the service offers (administrators)",
        run=get_downloads,
        answer=DownloadsState,
        problems=_ADMINISTRATION,
        cost=Cost.VIEW,
    ),
    Operation(
        id="getHelperDownloads",
        method="GET",
        path="/api/v1/downloads/helper",
        summary="List the packages of the audio helper",
        run=get_helper,
        answer=DownloadsState,
        problems=(Code.NOT_SIGNED_IN,),
    ),
    Operation(
        id="makeDownloadLink",
        method="POST",
        path="/api/v1/downloads/link",
        summary="Create a link to a package, valid for one hour (audio helper: everyone; others: administrators)",
        run=make_link,
        answer=DownloadLinkState,
        body=DownloadLinkRequest,
        problems=(*_ADMINISTRATION, Code.PACKAGE_GONE),
    ),
)
