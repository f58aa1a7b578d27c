"""What is stored about a person's devices, on both databases."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from core.audio.device import AudioDevice, Kind, Platform
from core.audio.evidence import DeviceUse, Program, Source
from core.store import tables
from core.store.audio import CODE_LIFETIME, AudioStore
from core.store.database import Database, upgrade_async
from core.store.timestamps import to_ms

PEPPER = b"a pepper of 32 characters or more"
ANNA, BEN = ("t", "anna"), ("t", "ben")
NOW = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
TABLES = (
    tables.audio_probe,
    tables.audio_pairing,
    tables.audio_report,
    tables.audio_call,
    tables.audio_person,
)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    await upgrade_async(database_url)
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
def store(database: Database) -> AudioStore:
    return AudioStore(database, PEPPER)


def use(source: Source = Source.PROBE, label: str = "Jabra", at: datetime = NOW) -> DeviceUse:
    device = AudioDevice(label, Kind.INPUT, Platform.LINUX, "alsa_input.usb", usb_id="0b0e:0a44", serial="1")
    return DeviceUse(source, Program.TEAMS, Kind.INPUT, device, at, active=True)


async def pair(store: AudioStore, person: tuple[str, str] = ANNA, at: datetime = NOW) -> tuple[str, str]:
    code, _ = await store.new_code(person, at)
    redeemed = await store.redeem(code, "laptop", "linux", "1", at)
    assert redeemed is not None
    probe, token = redeemed
    return probe.id, token


async def test_what_was_reported_comes_back_whole(store: AudioStore) -> None:
    await store.report(ANNA, Source.DECLARED, [use(Source.DECLARED)], NOW)
    await store.set_present(ANNA, [AudioDevice("A", Kind.OUTPUT, Platform.BROWSER, "id", "group")], NOW)
    await store.add_call(ANNA, NOW)
    stored = await store.get(ANNA)
    assert stored.uses == (use(Source.DECLARED),)
    assert stored.present == (AudioDevice("A", Kind.OUTPUT, Platform.BROWSER, "id", "group"),)
    assert [call.at for call in stored.calls] == [NOW]
    assert (await store.get(BEN)).uses == ()


async def test_a_report_replaces_the_one_before(store: AudioStore) -> None:
    for label in ("first", "second"):
        await store.report(ANNA, Source.DECLARED, [use(Source.DECLARED, label)], NOW)
    assert [use.device.label for use in (await store.get(ANNA)).uses] == ["second"]


async def test_of_two_machines_the_one_that_reported_last_counts(store: AudioStore) -> None:
    office, home = (await pair(store))[0], (await pair(store))[0]
    await store.report(ANNA, Source.PROBE, [use(label="office")], NOW, office)
    await store.report(ANNA, Source.PROBE, [use(label="home")], NOW + timedelta(hours=1), home)
    assert [use.device.label for use in (await store.get(ANNA)).uses] == ["home"]
    await store.remove_probe(ANNA, home, NOW)
    assert [use.device.label for use in (await store.get(ANNA)).uses] == ["office"]


async def test_a_code_pairs_one_probe_once(store: AudioStore) -> None:
    code, expires = await store.new_code(ANNA, NOW)
    assert expires == NOW + CODE_LIFETIME
    outcomes = await asyncio.gather(*(store.redeem(code, f"m{n}", "linux", "1", NOW) for n in range(4)))
    redeemed = [outcome for outcome in outcomes if outcome is not None]
    assert len(redeemed) == 1
    probe, token = redeemed[0]
    assert probe.person == ANNA
    found = await store.get_probe(token, "2", NOW)
    assert found is not None
    assert (found.id, found.version) == (probe.id, "2")
    assert await store.get_probe("other", "2", NOW) is None


@pytest.mark.parametrize("spelt", [str.lower, lambda code: code.replace("-", ""), lambda code: f" {code} "])
async def test_a_code_is_taken_as_people_type_it(store: AudioStore, spelt) -> None:
    code, _ = await store.new_code(ANNA, NOW)
    assert await store.redeem(spelt(code), "m", "linux", "1", NOW) is not None


async def test_an_old_code_and_a_replaced_one_are_no_longer_valid(store: AudioStore) -> None:
    code, _ = await store.new_code(ANNA, NOW)
    assert await store.redeem(code, "m", "linux", "1", NOW + CODE_LIFETIME) is None
    first, _ = await store.new_code(ANNA, NOW)
    second, _ = await store.new_code(ANNA, NOW)
    assert await store.redeem(first, "m", "linux", "1", NOW) is None
    assert await store.redeem(second, "m", "linux", "1", NOW) is not None


async def test_neither_code_nor_token_can_be_read_from_the_database(
    store: AudioStore, database: Database
) -> None:
    code, _ = await store.new_code(BEN, NOW)
    _, token = await pair(store)
    async with database.reading() as connection:
        rows = [
            *(await connection.execute(select(tables.audio_pairing))).all(),
            *(await connection.execute(select(tables.audio_probe))).all(),
        ]
    assert rows
    assert not any(code in str(row) or code.replace("-", "") in str(row) or token in str(row) for row in rows)


async def test_a_stolen_row_does_not_let_anyone_try_codes(store: AudioStore, database: Database) -> None:
    """40 bits can be searched in minutes: only under the pepper, which is not in the database, are they a secret."""
    code, _ = await store.new_code(ANNA, NOW)
    async with database.reading() as connection:
        stored = (await connection.execute(select(tables.audio_pairing.c.code_hash))).scalar_one()
    for guess in (code, code.replace("-", ""), code.lower()):
        for function in ("sha256", "sha512", "sha1", "md5", "blake2b"):
            assert hashlib.new(function, guess.encode()).hexdigest()[:64] != stored
    other = AudioStore(database, b"another pepper of as many characters")
    assert await other.redeem(code, "laptop", "linux", "1", NOW) is None
    assert await store.redeem(code, "laptop", "linux", "1", NOW) is not None


async def test_nobody_removes_the_probe_of_another(store: AudioStore) -> None:
    probe_id, token = await pair(store)
    assert not await store.remove_probe(BEN, probe_id, NOW)
    assert await store.get_probe(token, "1", NOW) is not None
    assert await store.remove_probe(ANNA, probe_id, NOW)
    assert await store.get_probe(token, "1", NOW) is None


async def test_forgetting_leaves_no_row_of_this_person_and_all_of_others(
    store: AudioStore, database: Database
) -> None:
    for person in (ANNA, BEN):
        await pair(store, person)
        await store.new_code(person, NOW)
        await store.report(person, Source.DECLARED, [use()], NOW)
        await store.add_call(person, NOW)
        await store.choose(person, named=True)
    await store.forget(ANNA, NOW)
    async with database.reading() as connection:
        for table in TABLES:
            left = (await connection.execute(select(table.c.object_id))).scalars().all()
            assert set(left) == {"ben"}, table.name


async def test_data_past_its_retention_is_deleted(store: AudioStore) -> None:
    at = NOW - timedelta(days=31)
    await store.report(ANNA, Source.PROBE, [use()], at, "p")
    await store.report(ANNA, Source.DECLARED, [use(Source.DECLARED)], at)
    await store.set_present(ANNA, [AudioDevice("A")], at)
    await store.add_call(ANNA, NOW - timedelta(days=15))
    await store.add_call(ANNA, NOW - timedelta(days=13))
    await pair(store, at=NOW - timedelta(days=181))
    await pair(store, at=NOW - timedelta(days=179))
    await store.choose(ANNA, verdict="conflict", model="Jabra", concluded_at=to_ms(at), named=True)
    await store.forget_old(NOW)
    stored = await store.get(ANNA)
    assert len(stored.probes) == 1
    assert (stored.verdict, stored.choices.named) == (None, True)
    assert [use.source for use in stored.uses] == [Source.DECLARED]
    assert stored.present == ()
    assert len(stored.calls) == 1


async def test_a_person_is_informed_once_a_day_however_many_reports_come_at_once(
    store: AudioStore, database: Database
) -> None:
    day = timedelta(days=1)

    async def tell(at: datetime) -> bool:
        return await store.add_notice(ANNA, "audio-conflict", {"a": 1}, at, day)

    assert sorted(await asyncio.gather(*(tell(NOW) for _ in range(5)))) == [False] * 4 + [True]
    assert not await tell(NOW + timedelta(hours=23))
    assert await tell(NOW + day)
    async with database.reading() as connection:
        assert (await connection.execute(select(func.count()).select_from(tables.notice))).scalar_one() == 2


async def test_a_person_who_wants_quiet_gets_no_notice(store: AudioStore) -> None:
    await store.choose(ANNA, quiet_until=to_ms(NOW + timedelta(days=7)))
    assert not await store.add_notice(ANNA, "audio-conflict", {}, NOW + timedelta(days=6), timedelta(days=1))
    assert await store.add_notice(ANNA, "audio-conflict", {}, NOW + timedelta(days=7), timedelta(days=1))
