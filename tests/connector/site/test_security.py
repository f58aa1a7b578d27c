"""Who may see the connector's pages: hosts, origins, tokens, tickets, passwords, sessions."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from connector.site.security import (
    IDLE_SECONDS,
    TICKET_SECONDS,
    WHOLE_SECONDS,
    WRONG_PASSWORDS,
    WRONG_WINDOW_SECONDS,
    Door,
    Session,
    leave_ticket,
    new_password,
)
from connector.site.server import BODY_SECONDS, MAX_BODY, Site
from connector.state import ConnectorState

Answer = tuple[int, str, Any]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Visitor:
    """A client without the rules of a browser: it sends what a test wants."""

    def __init__(self, http: aiohttp.ClientSession, base: str) -> None:
        self.http = http
        self.base = base
        self.origin = base

    async def get(self, path: str, **headers: str) -> Answer:
        return await self._ask("GET", path, None, headers)

    async def post(self, path: str, form: dict[str, str] | None = None, **headers: str) -> Answer:
        return await self._ask("POST", path, form or {}, {"Origin": self.origin, **headers})

    async def _ask(
        self, method: str, path: str, form: dict[str, str] | None, headers: dict[str, str]
    ) -> Answer:
        async with self.http.request(
            method,
            f"{self.base}{path}",
            data=form,
            headers={name.replace("_", "-"): value for name, value in headers.items() if value != "-"},
            allow_redirects=False,
            ssl=False,
        ) as answer:
            return answer.status, await answer.text(), answer.headers


@asynccontextmanager
async def site(door: Door, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Visitor, list[str]]]:
    """A site with one page and one action; yields a visitor, and the list of acts that were done."""
    acts: list[str] = []

    async def page(_request: web.Request, session: Session) -> web.StreamResponse:
        return web.Response(text=f"inside {session.csrf}")

    async def act(_request: web.Request, _session: Session) -> web.StreamResponse:
        acts.append("done")
        return web.Response(text="done")

    built = Site(door, "pbx-connector page")
    built.get("", page)
    built.get("poll", page, is_person=False)
    built.post("act", act)
    listening = await built.listen("127.0.0.1", 0, tls)
    try:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as http:
            yield Visitor(http, f"{'https' if tls else 'http'}://127.0.0.1:{listening.port}"), acts
    finally:
        await listening.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def enter(visitor: Visitor, door: Door) -> tuple[str, str]:
    """Open the one-time link; return the session's path and its token."""
    status, _, headers = await visitor.get(f"/start/{door.new_ticket()}")
    assert status == 303
    root = headers["Location"]
    _, text, _ = await visitor.get(root)
    return root, text.removeprefix("inside ")


async def test_a_one_time_link_opens_once_and_not_for_long(clock: Clock) -> None:
    door = Door(clock=clock)
    async with site(door) as (visitor, _):
        ticket = door.new_ticket()
        assert (await visitor.get(f"/start/{ticket}"))[0] == 303
        status, text, _ = await visitor.get(f"/start/{ticket}")
        assert status == 403 and "used already" in text
        late = door.new_ticket()
        clock.now += TICKET_SECONDS + 1
        assert (await visitor.get(f"/start/{late}"))[0] == 403
        assert (await visitor.get("/start/guessed"))[0] == 403


async def test_a_ticket_of_another_process_opens_once(clock: Clock, tmp_path: Path) -> None:
    state = ConnectorState(tmp_path)
    async with site(Door(state, clock)) as (visitor, _):
        ticket = leave_ticket(state)
        assert ticket.encode() not in state.read("page-ticket")
        assert (await visitor.get(f"/start/{ticket}x"))[0] == 403
        assert (await visitor.get(f"/start/{ticket}"))[0] == 303
        assert (await visitor.get(f"/start/{ticket}"))[0] == 403


async def test_a_form_needs_the_token_of_its_session(clock: Clock) -> None:
    door = Door(clock=clock)
    async with site(door) as (visitor, acts):
        root, csrf = await enter(visitor, door)
        for form in ({}, {"csrf": ""}, {"csrf": "guessed"}):
            assert (await visitor.post(f"{root}act", form))[0] == 403
        other = door.enter_with_ticket(door.new_ticket())
        assert other is not None
        assert (await visitor.post(f"{root}act", {"csrf": other[0].csrf}))[0] == 403
        assert acts == []
        assert (await visitor.post(f"{root}act", {"csrf": csrf}))[0] == 200
        assert acts == ["done"]


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1", "-"]
)
async def test_a_form_of_another_page_is_refused_even_with_the_token(clock: Clock, origin: str) -> None:
    door = Door(clock=clock)
    async with site(door) as (visitor, acts):
        root, csrf = await enter(visitor, door)
        status, _, _ = await visitor.post(f"{root}act", {"csrf": csrf}, Origin=origin)
        assert status == 403 and acts == []


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "192.0.2.1", "127.0.0.1.evil.example", "[", ""]
)
@pytest.mark.parametrize("path", ["/", "/static/site.css", "/start/x"])
async def test_a_foreign_host_is_refused(clock: Clock, host: str, path: str) -> None:
    """After DNS rebinding the browser sends the name of the attacker's site."""
    async with site(Door(clock=clock)) as (visitor, _):
        status, text, _ = await visitor.get(path, Host=host)
        assert status in (400, 421) and "<html" not in text


async def test_the_network_is_let_in_under_own_names_and_addresses_only(clock: Clock, tmp_path: Path) -> None:
    door = Door(ConnectorState(tmp_path), clock, is_network=True)
    for host in ("127.0.0.1:1", "192.0.2.1:8443", "[2001:db8::1]", next(iter(door._names))):
        assert door.is_own_host(host), host
    for host in ("evil.example", "192.0.2.1.evil.example", ""):
        assert not door.is_own_host(host), host


async def test_every_answer_forbids_frames_scripts_and_storage(clock: Clock) -> None:
    door = Door(clock=clock)
    async with site(door) as (visitor, _):
        root, _ = await enter(visitor, door)
        for path in ("/", root, "/static/site.css", "/nothing", "/start/x"):
            _, _, headers = await visitor.get(path)
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy and headers["X-Frame-Options"] == "DENY"
            assert headers["Cache-Control"] == "no-store"
            assert "Server" not in headers or "aiohttp" not in headers["Server"]
        nonces = {
            re.search("nonce-([^']+)", (await visitor.get("/"))[2]["Content-Security-Policy"]).group(1)
            for _ in range(3)
        }
        assert len(nonces) == 3


async def test_the_cookie_is_bound_to_the_sessions_path_and_to_this_site(clock: Clock) -> None:
    door = Door(clock=clock)
    async with site(door) as (visitor, _):
        _, _, headers = await visitor.get(f"/start/{door.new_ticket()}")
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
        assert f"Path={headers['Location']}" in cookie, "another port of this host never sees it"


async def test_a_session_ends_when_nobody_uses_it_and_after_a_day_of_work(clock: Clock) -> None:
    door = Door(clock=clock)
    async with site(door) as (visitor, _):
        root, _ = await enter(visitor, door)
        clock.now += IDLE_SECONDS - 1
        assert (await visitor.get(root))[0] == 200
        # A page that polls does not keep it alive.
        for _ in range(3):
            clock.now += IDLE_SECONDS / 2
            last = (await visitor.get(f"{root}poll"))[0]
        assert last == 401
        assert (await visitor.get(root))[0] == 401
        root, _ = await enter(visitor, door)
        used = 0.0
        while used < WHOLE_SECONDS:
            clock.now += IDLE_SECONDS / 2
            used += IDLE_SECONDS / 2
            last = (await visitor.get(root))[0]
        clock.now += 1
        assert (last, (await visitor.get(root))[0]) == (200, 401)


async def test_signing_out_ends_the_session(clock: Clock) -> None:
    door = Door(clock=clock)
    async with site(door) as (visitor, _):
        root, csrf = await enter(visitor, door)
        assert (await visitor.post(f"{root}leave", {"csrf": csrf}))[0] == 303
        assert (await visitor.get(root))[0] == 401


async def test_wrong_passwords_are_throttled_also_for_the_right_one(clock: Clock, tmp_path: Path) -> None:
    state = ConnectorState(tmp_path)
    password = new_password(state)
    assert password.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    async with site(Door(state, clock, is_network=True)) as (visitor, _):
        assert (await visitor.post("/sign-in", {"password": password}))[0] == 303
        for _ in range(WRONG_PASSWORDS):
            assert (await visitor.post("/sign-in", {"password": "guess"}))[0] == 403
        status, _, headers = await visitor.post("/sign-in", {"password": password})
        assert status == 429 and 0 < int(headers["Retry-After"]) <= WRONG_WINDOW_SECONDS
        clock.now += WRONG_WINDOW_SECONDS + 1
        assert (await visitor.post("/sign-in", {"password": password}))[0] == 303


async def test_without_a_password_nobody_signs_in(clock: Clock, tmp_path: Path) -> None:
    async with site(Door(ConnectorState(tmp_path), clock, is_network=True)) as (visitor, _):
        for form in ({}, {"password": ""}):
            assert (await visitor.post("/sign-in", form))[0] == 403


async def test_a_one_time_link_is_for_loopback_and_a_password_for_the_network(
    clock: Clock, tmp_path: Path
) -> None:
    state = ConnectorState(tmp_path)
    near, far = Door(state, clock), Door(state, clock, is_network=True)
    async with site(near) as (visitor, _):
        assert (await visitor.post("/sign-in", {"password": new_password(state)}))[0] == 404
    async with site(far) as (visitor, _):
        assert (await visitor.get(f"/start/{far.new_ticket()}"))[0] == 404


@pytest.mark.parametrize("destination", ["iframe", "frame", "embed", "object"])
async def test_a_page_is_not_shown_inside_another_one(clock: Clock, destination: str) -> None:
    door = Door(clock=clock)
    async with site(door) as (visitor, _):
        root, _ = await enter(visitor, door)
        status, text, headers = await visitor.get(root, Sec_Fetch_Dest=destination)
        assert status == 403 and "csrf" not in text and "inside" not in text.partition("shown")[0]
        assert headers["X-Frame-Options"] == "DENY"


async def test_ten_thousand_wrong_passwords_are_neither_tried_nor_remembered(
    clock: Clock, tmp_path: Path
) -> None:
    state = ConnectorState(tmp_path)
    password = new_password(state)
    door = Door(state, clock, is_network=True)
    async with site(door) as (visitor, _):
        statuses = [(await visitor.post("/sign-in", {"password": f"guess-{n}"}))[0] for n in range(10_000)]
        assert statuses == [403] * WRONG_PASSWORDS + [429] * (10_000 - WRONG_PASSWORDS)
        assert len(door._wrong) == WRONG_PASSWORDS, "a flood costs no memory"
        # A person who guesses keeps nobody out for longer than the window, and the right password is good then.
        clock.now += WRONG_WINDOW_SECONDS + 1
        assert (await visitor.post("/sign-in", {"password": password}))[0] == 303
        # Without a password, a network session does not end by wrong ones.
        assert (await visitor.post("/sign-in", {"password": "x" * 100_000}))[0] == 403


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(clock: Clock, tmp_path: Path) -> None:
    door = Door(ConnectorState(tmp_path), clock, is_network=True)

    async def endless() -> AsyncIterator[bytes]:
        yield b"password="
        while True:
            yield b"x" * 65_536

    async with site(door) as (visitor, _):
        status, text, _ = await visitor.post("/sign-in", {"password": "x" * (MAX_BODY + 1)})
        assert status == 413 and "<html" in text
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            try:
                async with visitor.http.post(
                    f"{visitor.base}/sign-in",
                    data=endless(),
                    headers={"Origin": visitor.base, "Content-Type": kind},
                    ssl=False,
                ) as answer:
                    assert answer.status in (413, 415), kind
            except aiohttp.ClientConnectionError:
                pass  # cut off while it was still sending
        # Nobody who is not signed in has a body of theirs read on the pages inside.
        async with visitor.http.post(
            f"{visitor.base}/space/act", data=endless(), headers={"Origin": visitor.base}, ssl=False
        ) as answer:
            assert answer.status == 401
        assert (await visitor.get("/"))[0] == 200


async def test_a_body_that_comes_too_slowly_is_refused(
    clock: Clock, tmp_path: Path, later: Callable[[float], None]
) -> None:
    door = Door(ConnectorState(tmp_path), clock, is_network=True)
    async with site(door) as (visitor, _):
        port = int(visitor.base.rpartition(":")[2])
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(50)]
        for _, writer in slow:
            writer.write(
                f"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {visitor.base}\r\n"
                "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\npass".encode()
            )
            await writer.drain()
        assert (await visitor.get("/"))[0] == 200, "others are served meanwhile"
        later(BODY_SECONDS + 1)
        for reader, writer in slow:
            answer = await reader.read()  # until the connection is closed
            assert answer.startswith(b"HTTP/1.1 408 "), answer[:100]
            writer.close()
