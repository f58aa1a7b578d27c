"""Two replicas on real PostgreSQL and NATS: a link sits on one, a request arrives at the other, either may die."""

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.support.fleet import FIRST, SECOND, Fleet
from tests.support.live import open_tab
from tests.support.nats import Nats
from tests.support.postgres import Postgres
from tests.support.tokens import good
from tests.support.world import ANNA, BEN, CLARA, eventually
from wire.pbxkey import digest, grouped, new_key, parse_key

GOOD_ANSWERS = {"link-down", "outcome-unknown", "plane-down", "storage-unavailable", "never-connected"}
"""The answers that are acceptable while a part is down; all others are faults of the service."""


@pytest.fixture(scope="module")
async def the_fleet(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> AsyncIterator[Fleet]:
    nats = Nats()
    nats.start()
    fleet = Fleet(tmp_path_factory.mktemp("fleet"), postgres, nats)
    try:
        await fleet.start()
        yield fleet
        await fleet.stop()
    finally:
        nats.kill()


@pytest.fixture
async def fleet(the_fleet: Fleet) -> Fleet:
    for person in (ANNA, BEN, CLARA):
        await the_fleet.at(FIRST, person).sign_out()
    return the_fleet


async def test_a_request_reaches_a_link_that_another_replica_holds(fleet: Fleet) -> None:
    for holder, asked in ((FIRST, SECOND), (SECOND, FIRST)):
        await fleet.link_to(holder)
        answer = await fleet.at(asked).sign_in(fleet.name, fleet.key)
        assert answer.status == 200 and answer.body["connection"]["connected"]
        assert (await fleet.at(holder).state())["signedIn"]
        await fleet.at(holder).sign_out()


async def test_what_happens_at_one_replica_is_seen_in_a_tab_at_the_other(fleet: Fleet) -> None:
    await fleet.at(FIRST).sign_in(fleet.name, fleet.key)
    watching = fleet.at(SECOND)
    headers = {"Authorization": f"Bearer {await watching.token()}"}
    url = f"http://127.0.0.1:{fleet.ports[SECOND]}/api/v1/events"
    async with fleet.http.get(url, headers=headers) as stream:
        while b'"signedIn":true' not in await stream.content.readline():
            pass
        await fleet.at(FIRST).sign_out()
        async with asyncio.timeout(2):
            while b'"signedIn":false' not in await stream.content.readline():
                pass


async def test_a_call_is_seen_in_a_tab_at_the_replica_that_does_not_hold_the_link(fleet: Fleet) -> None:
    """The telephone is switched on at one replica; changes come from the link of the other, and calls go through
    it."""
    await fleet.link_to(SECOND)
    anna = fleet.at(FIRST)
    assert (await anna.sign_in(fleet.name, fleet.key)).status == 200
    assert (await anna.switch_phone_on(fleet.name, fleet.key)).status == 200
    async with open_tab(anna, takes_phone=True) as tab:

        async def is_up() -> bool:
            return ((await anna.call("GET", "phone")).body["line"] or {}).get("state") == "up"

        await eventually(is_up, "the line is up")
        call_id = str(uuid.uuid4())
        answer = await anna.call("POST", "phone/calls", {"number": "0721 151042", "callId": call_id})
        assert answer.status == 200, answer.body
        while call_id not in [one["callId"] for one in (await tab.next("phone"))["line"]["calls"]]:
            pass
        assert (await anna.call("DELETE", f"phone/calls/{call_id}")).status == 200
        await anna.sign_out()
        await tab.next("state", signedIn=False)


async def test_refusals_keep_their_reason_at_every_replica(fleet: Fleet) -> None:
    """Why a licence key makes no pool is known where the connector never was."""
    await fleet.link_to(FIRST)
    await fleet.demo.stop_part("connector")
    await fleet.demo.start_connector(service_url=fleet.balancer.url, keys='["not a licence key"]')
    answer = await fleet.at(SECOND).sign_in(fleet.name, fleet.key)
    assert (answer.code, answer.body["reason"]) == ("no-licence", "key-invalid")
    await fleet.demo.stop_part("connector")
    await fleet.demo.start_connector(service_url=fleet.balancer.url)


async def test_a_replica_that_is_killed_takes_nothing_with_it(fleet: Fleet) -> None:
    await fleet.link_to(FIRST)
    await fleet.at(SECOND).sign_in(fleet.name, fleet.key)
    await fleet.demo.stop_part(FIRST, signal.SIGKILL)
    loop = asyncio.get_running_loop()
    begun = loop.time()

    async def works() -> bool:
        answer = await fleet.at(SECOND, CLARA).prepare(fleet.name, fleet.key)
        assert answer.status == 200 or answer.code in GOOD_ANSWERS, answer
        return answer.status == 200

    await eventually(works, "the link is back at the other replica")
    print(f"\nreplica killed: the link was back after {loop.time() - begun:.2f} s")
    state = await fleet.at(SECOND).state()
    assert state["signedIn"] and state["licence"]["seatsUsed"] == 1
    await fleet.start_again(FIRST)
    await fleet.works_at(FIRST)


async def test_a_replica_that_is_asked_to_stop_hands_its_links_over(fleet: Fleet) -> None:
    await fleet.link_to(FIRST)
    before = fleet.links(SECOND)
    stopping = asyncio.create_task(fleet.demo.stop_part(FIRST))
    codes: list[str | None] = []
    while not stopping.done():
        codes.append((await fleet.at(SECOND).prepare(fleet.name, fleet.key)).code)
    await stopping

    async def is_handed_over() -> bool:
        return fleet.links(SECOND) > before

    await eventually(is_handed_over, "the link comes to the other replica")
    # For the moment between the two links there is a word; nothing that was asked is lost.
    assert set(codes) <= {None, "link-down"}
    await fleet.start_again(FIRST)
    await fleet.works_at(FIRST)


async def test_without_nats_each_replica_serves_its_own_links(fleet: Fleet) -> None:
    await fleet.link_to(FIRST)
    fleet.nats.kill()

    async def is_told() -> bool:
        answer = await fleet.at(SECOND).prepare(fleet.name, fleet.key)
        assert answer.status != 500
        return answer.code == "plane-down"

    await eventually(is_told, "the other replica says that it cannot reach the link")
    assert (await fleet.at(FIRST).prepare(fleet.name, fleet.key)).status == 200
    assert (await fleet.at(SECOND).state())["signedIn"] is False
    fleet.nats.start()

    async def works() -> bool:
        return (await fleet.at(SECOND).prepare(fleet.name, fleet.key)).status == 200

    loop = asyncio.get_running_loop()
    begun = loop.time()
    await eventually(works, "the plane is back")
    print(f"\nNATS killed and started: across replicas again after {loop.time() - begun:.2f} s")


async def test_what_was_lost_while_nats_was_away_is_made_up_for(fleet: Fleet) -> None:
    await fleet.works_at(SECOND)
    await fleet.at(FIRST).sign_in(fleet.name, fleet.key)
    async with open_tab(fleet.at(SECOND)) as tab:
        assert tab.seen[0][1]["signedIn"]
        fleet.nats.kill()
        await fleet.at(FIRST).sign_out()
        fleet.nats.start()
        await tab.next("state", signedIn=False)
        await tab.next("missed")
    await fleet.works_at(SECOND)


async def test_the_numbers_and_the_link_are_reported_at_every_replica(fleet: Fleet) -> None:
    await fleet.link_to(FIRST)
    await fleet.at(FIRST).sign_in(fleet.name, fleet.key)
    async with open_tab(fleet.at(SECOND)) as tab:
        await fleet.at(FIRST, CLARA).sign_in(fleet.name, fleet.key)
        await tab.next("seats", seatsUsed=2)
        await fleet.demo.stop_part("connector")
        await tab.next("connection", connected=False)
        await fleet.demo.start_connector(service_url=fleet.balancer.url)
        await tab.next("connection", connected=True)
        assert tab.names.count("state") == 1
    await fleet.works_at(SECOND)


async def test_a_replica_that_was_taken_for_dead_gives_its_links_up(fleet: Fleet) -> None:
    """Stopped for longer than the others wait, then awake again: it must not go on as the owner."""
    await fleet.link_to(FIRST)

    def evicted_with_its_link() -> int:
        return sum(
            '"replica evicted"' in line and '"links": 1' in line for line in fleet.log(SECOND).splitlines()
        )

    evicted_before = evicted_with_its_link()
    (process,) = [process for name, process in fleet.demo.processes if name == FIRST]
    process.send_signal(signal.SIGSTOP)
    try:

        async def is_evicted() -> bool:
            return evicted_with_its_link() > evicted_before

        await eventually(is_evicted, "the other replica evicts it", seconds=40)
        answer = await fleet.at(SECOND).prepare(fleet.name, fleet.key)
        assert answer.code == "link-down"
    finally:
        process.send_signal(signal.SIGCONT)

    async def works_everywhere() -> bool:
        answers = [await fleet.at(replica).prepare(fleet.name, fleet.key) for replica in (FIRST, SECOND)]
        return all(answer.status == 200 for answer in answers)

    await eventually(works_everywhere, "the link comes again", seconds=60)
    assert "was evicted" in fleet.log(FIRST)


async def test_postgresql_killed_under_two_replicas(fleet: Fleet, postgres: Postgres) -> None:
    assert (await fleet.at(SECOND).sign_in(fleet.name, fleet.key)).status == 200
    postgres.kill()
    answer = await fleet.at(FIRST).call("GET", "state")
    assert (answer.status, answer.code) == (503, "storage-unavailable")
    postgres.start()

    async def works() -> bool:
        answers = [await fleet.at(replica).call("GET", "state") for replica in (FIRST, SECOND)]
        return all(answer.status == 200 and answer.body["signedIn"] for answer in answers)

    loop = asyncio.get_running_loop()
    begun = loop.time()
    await eventually(works, "both replicas are back", seconds=40)
    print(f"\nPostgreSQL killed and started: both replicas served after {loop.time() - begun:.2f} s")


@pytest.mark.parametrize("cycles", [int(os.environ.get("PBX_TEAMS_FLEET_CYCLES", "1"))])
async def test_under_sign_in_load_nothing_is_lost(fleet: Fleet, postgres: Postgres, cycles: int) -> None:
    """Three people sign in and out at both replicas while each of the parts is killed and started again. What was
    acknowledged to a person is what the service says afterwards, and never are more seats held than there are.
    """
    await fleet.works_at(FIRST)
    stop = asyncio.Event()
    acknowledged: dict[str, bool | None] = {}
    done = 0

    async def load(person: Any, number: int) -> None:
        nonlocal done
        turn = number
        while not stop.is_set():
            turn += 1
            client = fleet.at((FIRST, SECOND)[turn % 2], person)
            try:
                if turn % 4 < 2:
                    answer = await client.sign_in(fleet.name, fleet.key)
                    wanted = True
                else:
                    answer, wanted = await client.sign_out(), False
            except (aiohttp.ClientError, OSError):
                acknowledged[person.login] = None  # the replica died before it answered
                await asyncio.sleep(0.05)
                continue
            if answer.status == 200:
                acknowledged[person.login] = wanted
                done += 1
            else:
                assert answer.code in GOOD_ANSWERS | {"no-licence", "challenge-expired"}, answer
                if answer.code in ("outcome-unknown", "storage-unavailable"):
                    acknowledged[person.login] = None

    loads = [asyncio.create_task(load(person, number)) for number, person in enumerate((ANNA, BEN, CLARA))]
    loop = asyncio.get_running_loop()
    for _cycle in range(cycles):
        for part in ("replica", "NATS", "PostgreSQL"):
            await asyncio.sleep(0.5)
            if part == "replica":
                await fleet.demo.stop_part(SECOND, signal.SIGKILL)
                await asyncio.sleep(0.3)
                begun = loop.time()
                await fleet.start_again(SECOND)
            elif part == "NATS":
                fleet.nats.kill()
                await asyncio.sleep(0.3)
                begun = loop.time()
                await asyncio.to_thread(fleet.nats.start)
            else:
                await asyncio.to_thread(postgres.kill)
                await asyncio.sleep(0.3)
                begun = loop.time()
                await asyncio.to_thread(postgres.start)
            for replica in (FIRST, SECOND):
                await fleet.works_at(replica)
            print(f"\n{part} killed under load: all works again {loop.time() - begun:.2f} s after its start")
    stop.set()
    await asyncio.gather(*loads)
    assert done > 20
    for person in (ANNA, BEN, CLARA):
        states = [await fleet.at(replica, person).state() for replica in (FIRST, SECOND)]
        assert states[0]["signedIn"] == states[1]["signedIn"]
        told = acknowledged.get(person.login)
        assert told is None or states[0]["signedIn"] == told, person
        if states[0]["signedIn"]:
            assert states[0]["licence"]["seatsUsed"] <= 2


async def test_failed_attempts_count_at_all_replicas_together(fleet: Fleet) -> None:
    """By somebody who has tried nothing before: lost answers of the tests above count against their people."""
    token = await fleet.sign({**good(fleet), "oid": str(uuid.uuid4())})

    async def code_at(replica: str, key: str) -> str | None:
        body = {"pbxName": fleet.name, "keyDigest": digest(parse_key(key))}
        return (await fleet.at(replica).call("POST", "sign-in/challenge", body, token)).code

    other_key = grouped(new_key())
    for attempt in range(10):
        assert await code_at((FIRST, SECOND)[attempt % 2], other_key) == "wrong-key"

    async def is_throttled() -> bool:
        return {await code_at(replica, fleet.key) for replica in (FIRST, SECOND)} == {"throttled"}

    await eventually(is_throttled, "both replicas throttle")
