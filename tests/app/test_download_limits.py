"""Limits of downloads, with a clock that the test moves: links that are over or changed, slow readers, ranges, no packages."""

import asyncio
import hashlib
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from core.administration.downloads import LINK_LIFE, Downloads
from core.diagnosis.finding import RefusedError
from tab.downloads import AT_ONCE, PATH, SEND_SECONDS, files
from tab.operation import TOKEN_IS_GOOD
from tests.support.world import eventually
from wire.packages import INDEX, BuiltPackage, PackageKind

FILE, OTHER = "pbx-connector_9.9.9_amd64.deb", "pbx-audio-helper_9.9.9_x64.zip"
SIZE = 32 * 1024 * 1024
"""More than the socket buffers of both ends hold."""
MADE = datetime(2026, 11, 28, 8, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = MADE

    def __call__(self) -> datetime:
        return self.now


def fill(folder: Path) -> None:
    kinds = {FILE: PackageKind.CONNECTOR_DEBIAN, OTHER: PackageKind.AUDIO_HELPER_WINDOWS}
    packages = []
    for name, kind in kinds.items():
        content = bytes(range(256)) * (SIZE // 256)
        (folder / name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        one = BuiltPackage(
            kind=kind, file=name, version="9.9.9", architecture="x", size=SIZE, sha256=digest, sbom="s"
        )
        packages.append(one.model_dump(mode="json", by_alias=True))
    (folder / INDEX).write_text(json.dumps({"packages": packages}))


def downloads_of(folder: Path | None, clock: Callable[[], datetime], pepper: bytes = b"pepper") -> Downloads:
    return Downloads(folder, pepper, guard=None, overview=None, clock=clock)  # type: ignore[arg-type]


class Door:
    def __init__(self, port: int, http: aiohttp.ClientSession, downloads: Downloads) -> None:
        self.port = port
        self._http = http
        self.downloads = downloads

    async def path(self, file: str = FILE) -> str:
        link = await self.downloads.sign(file)
        assert link is not None
        return f"{PATH}/{link.ticket}/{link.file}"

    async def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
        async with self._http.request(
            method, f"http://127.0.0.1:{self.port}{path}", headers=headers
        ) as answer:
            return answer.status, await answer.read(), dict(answer.headers)


async def opens(downloads: Downloads, ticket: str) -> bool:
    """Return whether a ticket permits to download `FILE`."""
    try:
        await downloads.find(ticket, FILE)
    except RefusedError:
        return False
    return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def _nothing_failed(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [one.getMessage() for one in caplog.get_records("call") if one.levelname == "ERROR"] == []


@asynccontextmanager
async def door(folder: Path | None, clock: Clock) -> AsyncIterator[Door]:
    downloads = downloads_of(folder, clock)
    app = web.Application()
    app[TOKEN_IS_GOOD] = lambda _request: None
    app.add_subapp(PATH, files(downloads))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as http:
            yield Door(runner.addresses[0][1], http, downloads)
    finally:
        await runner.cleanup()


class SlowReader:
    """Asks for a file, reads the head of the answer, and then nothing."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.setblocking(False)

    async def ask(self, path: str) -> int:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._socket, ("127.0.0.1", self._door.port))
        await loop.sock_sendall(self._socket, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = b""
        while b"\r\n" not in head:
            head += await loop.sock_recv(self._socket, 64)
        return int(head.split()[1])

    async def is_cut(self) -> bool:
        """Read what is left; return whether the connection ended before the whole file had come."""
        loop, received = asyncio.get_running_loop(), 0
        try:
            while received < SIZE and (portion := await loop.sock_recv(self._socket, 1 << 20)):
                received += len(portion)
        except ConnectionResetError:
            pass
        return received < SIZE

    def close(self) -> None:
        self._socket.close()


async def test_slow_readers_take_all_places_and_lose_them_after_a_quarter_of_an_hour(
    tmp_path: Path, clock: Clock, later: Callable[[float], None]
) -> None:
    fill(tmp_path)
    async with door(tmp_path, clock) as there:
        path = await there.path()
        readers = [SlowReader(there) for _ in range(AT_ONCE)]
        assert [await one.ask(path) for one in readers] == [HTTPStatus.OK] * AT_ONCE
        status, words, headers = await there.ask(path)
        assert (status, headers["Retry-After"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "60"), words
        # Nobody learns by it whether a wrong link would do.
        assert (await there.ask(path.replace(FILE, OTHER)))[0] == HTTPStatus.NOT_FOUND
        readers.pop().close()

        async def has_place() -> bool:
            return (await there.ask(path, Range="bytes=0-0"))[0] == HTTPStatus.PARTIAL_CONTENT

        await eventually(has_place, "a reader that is gone leaves its place", 20)
        late = SlowReader(there)
        later(SEND_SECONDS / 2)
        assert await late.ask(path) == HTTPStatus.OK
        assert not await has_place()
        later(SEND_SECONDS / 2 + 1)
        await eventually(has_place, "the slow readers have lost their places", 20)
        assert all([await one.is_cut() for one in readers])
        # The one that came later has its own quarter of an hour.
        assert not await late.is_cut()
        for one in (*readers, late):
            one.close()


async def test_a_link_ends_with_its_hour_for_every_request(tmp_path: Path, clock: Clock) -> None:
    fill(tmp_path)
    async with door(tmp_path, clock) as there:
        path = await there.path()
        clock.now = MADE + LINK_LIFE
        assert (await there.ask(path))[0] == HTTPStatus.OK
        clock.now += timedelta(seconds=1)
        for method, headers in (("GET", {}), ("HEAD", {}), ("GET", {"Range": "bytes=5-"})):
            status, words, _ = await there.ask(path, method, **headers)
            assert status == HTTPStatus.GONE and (method == "HEAD" or b"expired" in words)
        # Another one is good again.
        assert (await there.ask(await there.path(), "HEAD"))[0] == HTTPStatus.OK


async def test_a_link_with_one_changed_character_opens_nothing(tmp_path: Path, clock: Clock) -> None:
    fill(tmp_path)
    downloads = downloads_of(tmp_path, clock)
    link = await downloads.sign(FILE)
    assert link is not None
    assert await downloads.find(link.ticket, FILE) == tmp_path / FILE
    changed = {
        f"{link.ticket[:at]}{other}{link.ticket[at + 1 :]}"
        for at in range(len(link.ticket))
        for other in "0123456789abcdefABCDEF-_+ g"
    } - {link.ticket}
    assert len(changed) > 900
    more = {link.ticket.upper(), f" {link.ticket}", f"0{link.ticket}", f"+{link.ticket}", f"{link.ticket} "}
    opened = [one for one in changed | more if await opens(downloads, one)]
    assert opened == []


async def test_a_link_of_another_service_or_for_another_content_opens_nothing(
    tmp_path: Path, clock: Clock
) -> None:
    """A link belongs to a service and a file. It carries no person and no organisation: anyone who has it may use it."""
    fill(tmp_path)
    here, elsewhere = downloads_of(tmp_path, clock), downloads_of(tmp_path, clock, b"another pepper")
    link = await elsewhere.sign(FILE)
    assert link is not None and not await opens(here, link.ticket)
    mine, helper = await here.sign(FILE), await here.sign(OTHER)
    assert mine is not None and helper is not None
    assert not await opens(here, helper.ticket)
    # A later package of the same name is not what was offered.
    index = (tmp_path / INDEX).read_text()
    (tmp_path / FILE).write_bytes(b"another build")
    digest = hashlib.sha256(b"another build").hexdigest()
    packages = json.loads(index)["packages"]
    packages[0] |= {"sha256": digest, "size": 13}
    (tmp_path / INDEX).write_text(json.dumps({"packages": packages}))
    assert await here.sign(FILE) is not None
    assert not await opens(here, mine.ticket)


@pytest.mark.parametrize(
    ("ranges", "status", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        (f"bytes={SIZE - 3}-", 206, slice(SIZE - 3, SIZE)),
        ("bytes=-4", 206, slice(SIZE - 4, SIZE)),
        (f"bytes=5-{SIZE * 2}", 206, slice(5, SIZE)),
        (f"bytes={SIZE}-", 416, None),
        ("bytes=9-3", 416, None),
        ("bytes=0-1,5-6", 416, None),
        ("bytes=x-", 416, None),
        ("lines=1-2", 416, None),
    ],
)
async def test_a_part_of_a_file_is_sent_or_refused(
    tmp_path: Path, clock: Clock, ranges: str, status: int, part: slice | None
) -> None:
    fill(tmp_path)
    content = (tmp_path / FILE).read_bytes()
    async with door(tmp_path, clock) as there:
        answered, sent, headers = await there.ask(await there.path(), Range=ranges)
        assert answered == status
        assert sent == content[part] if part is not None else len(sent) < 1000
        if part is not None:
            assert headers["Content-Range"] == f"bytes {part.start}-{part.stop - 1}/{SIZE}"
        # The place is free again, whatever the answer was.
        for _ in range(AT_ONCE + 1):
            assert (await there.ask(await there.path(), Range="bytes=0-0"))[0] == 206


async def test_the_head_of_a_file_is_that_of_the_file(tmp_path: Path, clock: Clock) -> None:
    fill(tmp_path)
    async with door(tmp_path, clock) as there:
        path = await there.path()
        status, content, headers = await there.ask(path, "HEAD")
        assert (status, content, headers["Content-Length"]) == (200, b"", str(SIZE))
        assert headers["Accept-Ranges"] == "bytes" and FILE in headers["Content-Disposition"]
        _, _, of_get = await there.ask(path)
        assert {name: value for name, value in headers.items() if name != "Date"} == {
            name: value for name, value in of_get.items() if name != "Date"
        }
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert (await there.ask(path, method))[0] == 405


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_folder_without_packages_offers_nothing_and_breaks_nothing(
    tmp_path: Path, clock: Clock, is_there: bool
) -> None:
    """`make packages` has not run yet, has failed, or somebody has emptied its folder since."""
    folder = tmp_path / "dist"
    folder.mkdir()
    fill(folder)
    async with door(folder, clock) as there:
        path = await there.path()
        for one in folder.iterdir():
            one.unlink()
        if not is_there:
            folder.rmdir()
        assert await there.downloads.sign(FILE) is None and there.downloads.is_configured
        status, words, _ = await there.ask(path)
        assert status == 404 and b"no such download" in words
        assert (await there.ask(f"{PATH}/"))[0] == 200
    async with door(None, clock) as nothing:
        assert not nothing.downloads.is_configured and await nothing.downloads.sign(FILE) is None
        assert (await nothing.ask(path))[0] == 404
