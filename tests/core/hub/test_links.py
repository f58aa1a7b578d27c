"""Who owns a name and a link, on both databases: epochs, replicas that die, codes, evidence, handing over."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from core.hub import claims
from core.hub.claims import BoundElsewhere, Claimed, LinkEventKind, NotEnrolled
from core.hub.registry import KeyMatch, Registry
from core.hub.replicas import Replicas
from core.licensing.ledger import Ledger
from core.licensing.transactions.removing import UNUSED_FOR, Removed, StillUsed, remove_pbx
from core.store import tables
from core.store.audit import OPERATOR
from core.store.database import Database, upgrade_async
from core.store.timestamps import from_ms, now, to_ms
from core.store.writing import open_writer
from tests.support.book import PBX, Book
from tests.support.connector_peer import Peer
from wire.link import Checked, NameState, UciState
from wire.pbxkey import digest, new_key

NAME = "pbx.example.com"


class Records:
    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.writer = open_writer(self.database.address)
        self.registry = self.of(enrolment_required=False)

    def of(self, *, enrolment_required: bool) -> Registry:
        return Registry(self.database, self.writer, b"pepper", enrolment_required=enrolment_required)

    async def close(self) -> None:
        await self.writer.close()
        await self.database.close()


@pytest.fixture
async def records(database_url: str) -> AsyncIterator[Records]:
    await upgrade_async(database_url)
    records = Records(database_url)
    yield records
    await records.close()


def hello(peer: Peer, **changes: object):
    return peer.hello("n" * 32, **changes)


async def claim(registry: Registry, peer: Peer, replica: str = "one", **changes: object) -> Claimed:
    claimed = await registry.claim(hello(peer, **changes), "192.0.2.1", replica, now())
    assert isinstance(claimed, Claimed)
    return claimed


async def test_five_hundred_replacements_and_no_stale_write(records: Records) -> None:
    """Old owners go on reporting and closing while new ones take over; nothing of theirs is accepted."""
    rng, peer, registry = random.Random(4), Peer(NAME), records.registry
    status = hello(peer).status
    first = await claim(registry, peer)
    late: list[asyncio.Task[None]] = []

    async def old_owner(epoch: int) -> None:
        await asyncio.sleep(rng.random() * 0.02)
        if rng.random() < 0.5:
            await registry.report(
                first.pbx_id, epoch, status.model_copy(update={"detail": f"stale {epoch}"}), now()
            )
        else:
            await registry.record_closed(first.pbx_id, epoch, "late", now())

    epochs = [first.epoch]
    for number in range(500):
        claimed = await claim(registry, peer, rng.choice(["one", "two"]))
        late.append(asyncio.create_task(old_owner(epochs[-1])))
        epochs.append(claimed.epoch)
        if number % 50 == 0:
            pbx = await registry.by_id(first.pbx_id)
            assert pbx is not None and pbx.is_linked
    await asyncio.gather(*late)
    assert epochs == sorted(set(epochs))
    pbx = await registry.by_id(first.pbx_id)
    assert pbx is not None and pbx.is_linked and pbx.link_epoch == epochs[-1]
    assert pbx.status is not None and pbx.status.detail is None


async def test_two_replicas_that_open_at_the_same_time_get_different_epochs(records: Records) -> None:
    peer = Peer(NAME)
    claims = await asyncio.gather(*(claim(records.registry, peer, f"replica-{n}") for n in range(20)))
    assert sorted(one.epoch for one in claims) == list(range(1, 21))
    assert len({one.pbx_id for one in claims}) == 1


async def test_a_replica_whose_number_stands_still_is_evicted_with_its_links(records: Records) -> None:
    registry, writer = records.registry, records.writer
    dead = Replicas(writer, "dead", is_alone=False)
    alive = Replicas(writer, "alive", is_alone=False, heartbeat_seconds=0.02, dead_seconds=0.1)
    await dead.enter()
    await alive.enter()
    mine, theirs = Peer("mine.example.com"), Peer("theirs.example.com")
    kept, lost = await claim(registry, mine, "alive"), await claim(registry, theirs, "dead")
    evicted: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
    fenced: list[bool] = []
    running = asyncio.create_task(
        alive.run(lambda: fenced.append(True), lambda ids: evicted.set_result(list(ids)))
    )
    assert await asyncio.wait_for(evicted, 5) == [lost.pbx_id]
    running.cancel()
    gone, stays = await registry.by_id(lost.pbx_id), await registry.by_id(kept.pbx_id)
    assert gone is not None and not gone.is_linked and stays is not None and stays.is_linked
    # The dead one was only slow: what it writes now is refused, and it learns that it was evicted.
    await registry.report(
        lost.pbx_id, lost.epoch, hello(theirs).status.model_copy(update={"detail": "x"}), now()
    )
    gone = await registry.by_id(lost.pbx_id)
    assert gone is not None and gone.status is not None and gone.status.detail is None
    slow = Replicas(writer, "dead", is_alone=False, heartbeat_seconds=0.01)
    told = asyncio.Event()
    waking = asyncio.create_task(slow.run(told.set, lambda _ids: None))
    await asyncio.wait_for(told.wait(), 5)
    waking.cancel()
    assert not fenced


async def test_a_process_alone_closes_what_another_left_open(records: Records) -> None:
    lost = await claim(records.registry, Peer(NAME), "killed")
    assert list(await Replicas(records.writer, "new", is_alone=True).enter()) == [lost.pbx_id]
    pbx = await records.registry.by_id(lost.pbx_id)
    assert pbx is not None and not pbx.is_linked


async def test_two_processes_that_believe_to_be_alone_do_not_evict_each_other_in_turns(
    records: Records,
) -> None:
    """PostgreSQL without NATS_URL, and a second process started by mistake, or by an update that overlaps."""
    first = Replicas(records.writer, "first", is_alone=True, heartbeat_seconds=0.02, dead_seconds=60)
    second = Replicas(records.writer, "second", is_alone=True, heartbeat_seconds=0.02, dead_seconds=60)
    await first.enter()
    fences: list[str] = []
    told = asyncio.Event()

    def fenced() -> None:
        fences.append("first")
        told.set()

    running = [asyncio.create_task(first.run(fenced, lambda _ids: None))]
    await second.enter()
    running.append(asyncio.create_task(second.run(lambda: fences.append("second"), lambda _ids: None)))
    await asyncio.wait_for(told.wait(), 5)
    kept = await claim(records.registry, Peer(NAME), "second")
    for replica in (first, second):  # some beats of both
        for _ in range(3):
            await replica._write_heartbeat(lambda: fences.append("again"), lambda _ids: None)
    for task in running:
        task.cancel()
    pbx = await records.registry.by_id(kept.pbx_id)
    assert pbx is not None and pbx.is_linked and fences == ["first"]


async def test_a_new_name_needs_its_code_once(records: Records) -> None:
    registry, peer = records.of(enrolment_required=True), Peer(NAME)
    assert isinstance(await registry.claim(hello(peer), "a", "one", now()), NotEnrolled)
    code, ends = await registry.enrol(NAME, now())
    for wrong in ("x", code[:-1], ""):
        refused = await registry.claim(hello(peer, enrolment_code=wrong), "a", "one", now())
        assert isinstance(refused, NotEnrolled)
    other = Peer("other.example.com")
    assert isinstance(await registry.claim(hello(other, enrolment_code=code), "a", "one", now()), NotEnrolled)
    late = await registry.claim(hello(peer, enrolment_code=code), "a", "one", ends + timedelta(seconds=1))
    assert isinstance(late, NotEnrolled)
    assert (await claim(registry, peer, enrolment_code=code)).epoch == 1
    assert (await claim(registry, peer)).epoch == 2  # the name is its own now
    # The code is used up: it opens the name to nobody else.
    thief = await registry.claim(hello(Peer(NAME), enrolment_code=code), "a", "one", now())
    assert isinstance(thief, BoundElsewhere)


async def knock(registry: Registry, pbx_id: str, address: str, at: datetime, peer: Peer | None = None) -> str:
    """A stranger, or `peer`, tries the name and is noted; gives the identity."""
    said = hello(peer or Peer(NAME))
    assert await registry.claim(said, address, "one", at) == BoundElsewhere(pbx_id)
    await registry.note_refused_claim(pbx_id, said, address, at)
    return said.identity


async def test_one_host_that_knocks_pushes_nobody_out_of_the_evidence(records: Records) -> None:
    registry, rightful, begun = records.registry, Peer(NAME), now()
    owner = await claim(registry, Peer(NAME))
    mine = await knock(registry, owner.pbx_id, "192.0.2.200", begun, rightful)
    for network in ("198.51.100.7", "2001:db8:1:2::{:x}", "::ffff:198.51.100.8"):
        for number in range(60):
            at = begun + timedelta(seconds=number + 1)
            await knock(registry, owner.pbx_id, network.format(number + 1), at)
    kept = await registry.refused_claims(owner.pbx_id)
    assert mine in [one.identity for one in kept]
    assert len(kept) == 1 + 3 * 2, "the first and the last of each address"
    assert {one.at for one in kept if one.address == "198.51.100.7"} == {
        from_ms(to_ms(begun + timedelta(seconds=seconds))) for seconds in (1, 60)
    }


async def test_evidence_cannot_fill_the_table_from_many_addresses(records: Records) -> None:
    registry, begun = records.registry, now()
    owner = await claim(registry, Peer(NAME))
    many = [await knock(registry, owner.pbx_id, "192.0.2.1", begun + timedelta(hours=1)) for _ in range(2)]
    mine = await knock(registry, owner.pbx_id, "192.0.2.2", begun + timedelta(minutes=30))
    for number in range(60):
        await knock(registry, owner.pbx_id, f"198.51.100.{number}", begun + timedelta(seconds=number))
    kept = {one.identity for one in await registry.refused_claims(owner.pbx_id)}
    assert len(kept) == claims.ADDRESSES_PER_NAME
    assert mine in kept, "who tried last stays"
    assert not kept & set(many), "an address with several identities goes first"


async def test_what_a_pbx_reports_cannot_fill_its_history(records: Records) -> None:
    registry, peer = records.registry, Peer(NAME)
    claimed, begun = await claim(registry, peer), now()
    status = hello(peer).status
    for number in range(claims.EVENTS_PER_HOUR + 30):
        state = UciState.ON if number % 2 else UciState.OFF
        await registry.report(
            claimed.pbx_id,
            claimed.epoch,
            status.model_copy(update={"uci": state}),
            begun + timedelta(seconds=number),
        )
    async with records.database.reading() as connection:
        rows = (await connection.execute(select(tables.link_event.c.kind, tables.link_event.c.detail))).all()
    assert len(rows) == claims.EVENTS_PER_HOUR + 1
    omitted = [json.loads(row.detail) for row in rows if row.kind == LinkEventKind.OMITTED]
    assert omitted == [{"count": 31}]  # the opening was the first row
    later = begun + timedelta(hours=2)
    await registry.record_closed(claimed.pbx_id, claimed.epoch, "silent", later)
    history = await registry.history(claimed.pbx_id, later)
    assert [event.kind for event in history.events] == [LinkEventKind.CLOSED]


async def test_only_the_owner_and_a_good_code_learn_anything_of_a_name(records: Records) -> None:
    for required in (True, False):
        registry, owner, stranger = records.of(enrolment_required=required), Peer(NAME), Peer(NAME)
        if required:
            code, _ = await registry.enrol(NAME, now())
            await claim(registry, owner, enrolment_code=code)
            owned = owner
        code, _ = await registry.enrol("enrolled.example.com", now())
        answers = [
            await registry.check(hello(peer, enrolment_code=given), now())
            for peer in (stranger, Peer("free.example.com"), Peer("enrolled.example.com"))
            for given in (None, "wrong", code[:-1] + "x")
        ]
        state = NameState.ENROLMENT_NEEDED if required else NameState.NOT_BOUND
        assert set(answers) == {Checked(name=state, key_known=False, linked=False)}
        enrolled = await registry.check(hello(Peer("enrolled.example.com"), enrolment_code=code), now())
        assert enrolled.name is NameState.FREE
        mine = await registry.check(hello(owned), now())
        assert (mine.name, mine.key_known, mine.linked) == (NameState.MINE, True, True)


async def test_a_code_can_be_listed_replaced_and_revoked(records: Records) -> None:
    registry, peer = records.of(enrolment_required=True), Peer(NAME)
    first, _ = await registry.enrol(NAME, now())
    second, ends = await registry.enrol(NAME, now())
    assert len(bytes.fromhex(second)) * 8 == 128
    pending = await registry.enrolments(now())
    assert [(one.pbx_name, to_ms(one.expires_at)) for one in pending] == [(NAME, to_ms(ends))]
    assert isinstance(await registry.claim(hello(peer, enrolment_code=first), "a", "one", now()), NotEnrolled)
    assert await registry.revoke_enrolment(NAME, now()) and not await registry.revoke_enrolment(NAME, now())
    assert isinstance(
        await registry.claim(hello(peer, enrolment_code=second), "a", "one", now()), NotEnrolled
    )
    assert list(await registry.enrolments(now())) == []


async def test_two_connectors_with_one_code_get_one_name(records: Records) -> None:
    registry = records.of(enrolment_required=True)
    code, _ = await registry.enrol(NAME, now())
    outcomes = await asyncio.gather(
        *(registry.claim(hello(Peer(NAME), enrolment_code=code), "a", "one", now()) for _ in range(10))
    )
    assert sum(isinstance(one, Claimed) for one in outcomes) == 1


@pytest.mark.parametrize("name", ["my_pbx", "pbx.example.com:443"])
async def test_an_older_name_stays_valid_and_no_new_one_like_it_is_accepted(
    records: Records, name: str
) -> None:
    registry, peer = records.registry, Peer(NAME)
    claimed = await claim(registry, peer)
    async with records.database.writing() as connection:
        await connection.execute(update(tables.pbx).values(name=name))
    peer.name = name
    assert (await claim(registry, peer)).pbx_id == claimed.pbx_id
    assert isinstance(await registry.claim(hello(Peer(name)), "a", "one", now()), BoundElsewhere)
    other = Peer("other" + name)
    assert isinstance(await registry.claim(hello(other), "a", "one", now()), NotEnrolled)


async def test_a_name_handed_over_leaves_the_old_identity_nothing(records: Records) -> None:
    """What it leaves of its sessions and trusted tenants: tests/core/licensing/test_handing_over.py."""
    registry, old, new = records.registry, Peer(NAME), Peer(NAME)
    old_key = new_key()
    before = await claim(
        registry, old, previous_key_digest=digest(old_key), previous_key_until=now() + timedelta(hours=1)
    )
    identity = await knock(registry, before.pbx_id, "192.0.2.9", now(), new)
    ledger = Ledger(records.writer)
    assert await ledger.hand_over(before.pbx_id, "somebody", OPERATOR, now()) is None
    handed = await ledger.hand_over(before.pbx_id, identity, OPERATOR, now())
    assert handed is not None and handed.epoch == before.epoch + 1
    assert await ledger.hand_over(before.pbx_id, identity, OPERATOR, now()) is None  # once
    pbx = await registry.by_id(before.pbx_id)
    assert pbx is not None and not pbx.is_linked and pbx.identity == identity and pbx.installation == 2
    assert (pbx.sealing_key, pbx.previous_key_hmac, pbx.status) == ("", None, None)
    for key in (old.key, old_key, new.key):
        assert registry.match_key(pbx, digest(key), now()) is None, "no key is good until the new one links"
    await registry.report(
        before.pbx_id, before.epoch, hello(old).status.model_copy(update={"detail": "x"}), now()
    )
    pbx = await registry.by_id(before.pbx_id)
    assert pbx is not None and pbx.status is None, "what the old one reports is nobody's"
    assert isinstance(await registry.claim(hello(old), "a", "one", now()), BoundElsewhere)
    assert (await claim(registry, new)).pbx_id == before.pbx_id
    pbx = await registry.by_id(before.pbx_id)
    assert registry.match_key(pbx, digest(new.key), now()) is KeyMatch.CURRENT


async def test_the_old_key_is_good_until_its_time_is_over(records: Records) -> None:
    registry, peer, old = records.registry, Peer(NAME), new_key()
    until = now() + timedelta(hours=1)
    claimed = await claim(registry, peer, previous_key_digest=digest(old), previous_key_until=until)
    pbx = await registry.by_id(claimed.pbx_id)
    assert registry.match_key(pbx, digest(peer.key), now()) is KeyMatch.CURRENT
    assert registry.match_key(pbx, digest(old), now()) is KeyMatch.PREVIOUS
    # The table keeps milliseconds.
    assert registry.match_key(pbx, digest(old), until + timedelta(milliseconds=1)) is None
    assert registry.match_key(pbx, digest(new_key()), now()) is None
    assert registry.match_key(None, digest(old), now()) is None


async def test_what_happened_is_kept_with_its_reason(records: Records) -> None:
    registry, peer = records.registry, Peer(NAME)
    claimed = await claim(registry, peer)
    status = hello(peer).status
    await registry.report(
        claimed.pbx_id, claimed.epoch, status.model_copy(update={"detail": "only words"}), now()
    )
    await registry.report(
        claimed.pbx_id, claimed.epoch, status.model_copy(update={"module_active": False}), now()
    )
    await registry.record_closed(claimed.pbx_id, claimed.epoch, "silent", now())
    await claim(registry, peer)
    history = await registry.history(claimed.pbx_id, now() - timedelta(days=1))
    assert [event.kind.value for event in history.events] == ["opened", "closed", "status", "opened"]
    assert history.events[1].detail == {"reason": "silent"}
    assert sum(links for _, links in history.links_per_hour) == 2
    await registry.forget_old(now() + timedelta(seconds=1))
    assert (await registry.history(claimed.pbx_id, now() - timedelta(days=1))).events == []


async def test_a_name_that_nobody_uses_can_be_removed(records: Records) -> None:
    registry, peer, begun = records.registry, Peer(NAME), now()
    claimed = await claim(registry, peer)
    await knock(registry, claimed.pbx_id, "192.0.2.1", begun)

    def remove(at: datetime) -> Awaitable[Removed | StillUsed | None]:
        return records.writer.run(lambda: remove_pbx(claimed.pbx_id, at))

    assert await remove(begun + 2 * UNUSED_FOR) == StillUsed(None)  # it is linked
    await registry.record_closed(claimed.pbx_id, claimed.epoch, "silent", begun)
    early = await remove(begun + UNUSED_FOR - timedelta(minutes=1))
    assert isinstance(early, StillUsed) and early.last_linked is not None
    assert await remove(begun + UNUSED_FOR + timedelta(minutes=1)) == Removed(0)
    assert await remove(begun + UNUSED_FOR + timedelta(minutes=1)) is None
    assert await registry.by_name(NAME) is None
    assert (await claim(registry, Peer(NAME))).is_new
    async with records.database.reading() as connection:
        kinds = (await connection.execute(select(tables.audit.c.kind))).scalars().all()
    assert "pbx-removed" in kinds


async def test_removing_a_pbx_ends_what_is_left_of_it(book: Book) -> None:
    """Sessions, seats, places on the waiting list: nothing refers to it any more."""
    await book.put(1)
    await book.take(1)
    await book.deny(2)  # who may wait
    removed = await book.ledger.writer.run(lambda: remove_pbx(PBX, now() + 2 * UNUSED_FOR))
    assert removed == Removed(1)
    for table in ("session", "waiting", "seat", "pool", "pbx"):
        assert await book.rows(f"SELECT 1 FROM {table}") == []
