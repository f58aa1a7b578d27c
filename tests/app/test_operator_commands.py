"""Operator commands next to a running service, and proxies in front of it."""

import asyncio
from contextlib import closing
from datetime import timedelta

import aiohttp
import pytest

from core.licensing.transactions.removing import UNUSED_FOR
from core.store.timestamps import now, to_ms
from tests.support.connector_peer import Peer, connected, enrolled, say
from tests.support.live import watch_tab
from tests.support.logs import list_errors
from tests.support.operator import run_operator_command
from tests.support.scripted_pbx import MALLORY, scripted_pbx, sign_in_at
from tests.support.world import BEN, World, eventually
from wire.link import SUBPROTOCOL

UNUSED = "unused.example.com"


async def test_a_pbx_that_nobody_uses_is_removed_with_all_that_refers_to_it(world: World) -> None:
    ben, peer = world.client(BEN), await enrolled(world, UNUSED)
    await ben.sign_out()
    async with scripted_pbx(world, peer) as pbx:
        pbx.logs_in = MALLORY
        assert (await sign_in_at(ben, peer)).status == 200
        with pytest.raises(AssertionError, match="is in use"):
            await run_operator_command(world, "remove", UNUSED)

    async def is_closed() -> bool:
        return "no link" in await run_operator_command(world, "show", UNUSED)

    await eventually(is_closed, "the link is closed by the table")
    with pytest.raises(AssertionError, match=f"{UNUSED_FOR.days} days"):
        await run_operator_command(world, "remove", UNUSED)
    long_ago = to_ms(now() - UNUSED_FOR - timedelta(days=1))
    with closing(world.database()) as database, database:
        database.execute("UPDATE pbx SET link_closed_at = ? WHERE name = ?", (long_ago, UNUSED))
    logged = len(world.log())
    async with watch_tab(ben) as tab:

        async def shows_session() -> bool:
            return bool(tab.state and tab.state["signedIn"])

        await eventually(shows_session, "Ben's tab is up")
        assert "sessions ended: 1" in await run_operator_command(world, "remove", UNUSED)

        async def is_told() -> bool:
            return not tab.state["signedIn"]

        await eventually(is_told, "Ben's tab is told")
    assert list_errors(world, logged) == []
    with pytest.raises(AssertionError, match="no PBX has the name"):
        await run_operator_command(world, "remove", UNUSED)
    # The name is free: the operator may give it to somebody else.
    newcomer = Peer(UNUSED)
    newcomer.enrolment_code = await world.enrolment_code(UNUSED)
    async with connected(world) as (socket, nonce):
        assert "result" in await say(socket, newcomer.hello(nonce))


async def test_behind_a_proxy_a_host_counts_once_however_many_addresses_it_has(world: World) -> None:
    """IPv6 gives every host a /64. The line that the proxy writes counts, and what a client has written before it does not."""
    await world.demo.stop_part("service")
    await world.demo.start_service(PBX_TEAMS_TRUSTED_PROXIES="1")
    try:
        await world.connected()
        of_one_host = [f"2001:db8:1:2::{number:x}" for number in range(1, 131)]
        outcomes = await asyncio.gather(*(knock(world, address) for address in of_one_host))
        assert outcomes.count("refused") >= 60 and outcomes.count("turned away") > 0
        # No client can pass itself off as the proxy, and the proxy is not mistaken for a client.
        assert await knock(world, "2001:db8:1:3::1") == "refused"
        assert await knock(world, "2001:db8:1:2::ffff, 203.0.113.8") == "refused"
        lies = [f"203.0.113.{number}, 2001:db8:1:2::1" for number in range(1, 131)]
        assert "turned away" in await asyncio.gather(*(knock(world, line) for line in lies))
        await world.connected()
    finally:
        await world.demo.stop_part("service")
        await world.demo.start_service()
        await world.connected()


async def knock(world: World, forwarded_for: str) -> str:
    """What becomes of a connection that has the wrong name to say: `refused` or, before it could say it, `turned away`."""
    url = f"{world.demo.service_url}/connector/link"
    headers = {"X-Forwarded-For": forwarded_for}
    async with world.http.ws_connect(url, protocols=(SUBPROTOCOL,), headers=headers) as socket:
        first = await socket.receive()
        if first.type is not aiohttp.WSMsgType.TEXT:
            assert first.data == 1013
            return "turned away"
        hello = Peer("a.example.com").hello(first.json()["params"]["nonce"])
        assert "error" in await say(socket, hello)
        return "refused"
