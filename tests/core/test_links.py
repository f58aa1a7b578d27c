"""Who owns a name and a link, on both databases: epochs, replicas that die, codes, evidence, handing over."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from core.hub.claims import BoundElsewhere, Claimed, NotEnrolled
from core.hub.registry import KeyMatch, Registry
from core.hub.replicas import Replicas
from core.store.database import Database, upgrade_async
from core.store.moments import now
from core.store.writing import open_writer
from tests.app.test_connector_door import Peer
from wire.pbxkey import digest, new_key

NAME = "pbx.example.com"


class Records:
    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.writer = open_writer(self.database.address)
        self.registry = Registry(self.database, self.writer, b"pepper")

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
            await registry.closed(first.pbx_id, epoch, "late", now())

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


async def test_a_replica_whose_number_stands_still_is_buried_with_its_links(records: Records) -> None:
    registry, writer = records.registry, records.writer
    dead = Replicas(writer, "dead", is_alone=False)
    alive = Replicas(writer, "alive", is_alone=False, beat_seconds=0.02, dead_seconds=0.1)
    await dead.enter()
    await alive.enter()
    mine, theirs = Peer("mine.example.com"), Peer("theirs.example.com")
    kept, lost = await claim(registry, mine, "alive"), await claim(registry, theirs, "dead")
    buried: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
    fenced: list[bool] = []
    running = asyncio.create_task(
        alive.run(lambda: fenced.append(True), lambda ids: buried.set_result(list(ids)))
    )
    assert await asyncio.wait_for(buried, 5) == [lost.pbx_id]
    running.cancel()
    gone, stays = await registry.by_id(lost.pbx_id), await registry.by_id(kept.pbx_id)
    assert gone is not None and not gone.is_linked and stays is not None and stays.is_linked
    # The dead one was only slow: what it writes now is refused, and it learns that it was buried.
    await registry.report(
        lost.pbx_id, lost.epoch, hello(theirs).status.model_copy(update={"detail": "x"}), now()
    )
    gone = await registry.by_id(lost.pbx_id)
    assert gone is not None and gone.status is not None and gone.status.detail is None
    slow = Replicas(writer, "dead", is_alone=False, beat_seconds=0.01)
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


async def test_two_processes_that_believe_to_be_alone_do_not_bury_each_other_in_turns(
    records: Records,
) -> None:
    """PostgreSQL without NATS_URL, and a second process started by mistake, or by an update that overlaps."""
    first = Replicas(records.writer, "first", is_alone=True, beat_seconds=0.02, dead_seconds=60)
    second = Replicas(records.writer, "second", is_alone=True, beat_seconds=0.02, dead_seconds=60)
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
            await replica._beat(lambda: fences.append("again"), lambda _ids: None)
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


async def test_evidence_is_kept_and_cannot_fill_the_table(records: Records) -> None:
    registry = records.registry
    owner = await claim(registry, Peer(NAME))
    for number in range(30):
        refused = await registry.claim(
            hello(Peer(NAME)), f"192.0.2.{number}", "one", now() + timedelta(seconds=number)
        )
        assert refused == BoundElsewhere(owner.pbx_id)
    kept = await registry.refused_claims(owner.pbx_id)
    assert [one.address for one in kept] == [f"192.0.2.{number}" for number in range(29, 9, -1)]


async def test_a_name_handed_over_leaves_the_old_identity_nothing(records: Records) -> None:
    registry, old, new = records.registry, Peer(NAME), Peer(NAME)
    before = await claim(
        registry, old, previous_key_digest=digest(new_key()), previous_key_until=now() + timedelta(hours=1)
    )
    await registry.claim(hello(new), "a", "one", now())
    identity = hello(new).identity
    assert await registry.hand_over(before.pbx_id, "somebody", "operator", now()) is None
    assert await registry.hand_over(before.pbx_id, identity, "operator", now()) == before.epoch + 1
    assert await registry.hand_over(before.pbx_id, identity, "operator", now()) is None  # once
    pbx = await registry.by_id(before.pbx_id)
    assert pbx is not None and not pbx.is_linked and pbx.identity == identity
    assert (pbx.sealing_key, pbx.previous_key_hmac) == ("", None)
    await registry.report(
        before.pbx_id, before.epoch, hello(old).status.model_copy(update={"detail": "x"}), now()
    )
    assert isinstance(await registry.claim(hello(old), "a", "one", now()), BoundElsewhere)
    assert (await claim(registry, new)).pbx_id == before.pbx_id


async def test_the_old_key_is_good_until_its_time_is_over(records: Records) -> None:
    registry, peer, old = records.registry, Peer(NAME), new_key()
    until = now() + timedelta(hours=1)
    claimed = await claim(registry, peer, previous_key_digest=digest(old), previous_key_until=until)
    pbx = await registry.by_id(claimed.pbx_id)
    assert registry.verifies(pbx, digest(peer.key), now()) is KeyMatch.CURRENT
    assert registry.verifies(pbx, digest(old), now()) is KeyMatch.PREVIOUS
    # The table keeps milliseconds.
    assert registry.verifies(pbx, digest(old), until + timedelta(milliseconds=1)) is None
    assert registry.verifies(pbx, digest(new_key()), now()) is None
    assert registry.verifies(None, digest(old), now()) is None


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
    await registry.closed(claimed.pbx_id, claimed.epoch, "silent", now())
    await claim(registry, peer)
    history = await registry.history(claimed.pbx_id, now() - timedelta(days=1))
    assert [event.kind.value for event in history.events] == ["opened", "closed", "status", "opened"]
    assert history.events[1].detail == {"reason": "silent"}
    assert sum(links for _, links in history.links_per_hour) == 2
    await registry.forget_old(now() + timedelta(seconds=1))
    assert (await registry.history(claimed.pbx_id, now() - timedelta(days=1))).events == []
