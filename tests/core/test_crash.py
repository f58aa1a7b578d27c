"""kill -9 in the middle of sign-ins and sign-outs: nothing acknowledged is lost, nothing half done is left."""

import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine, insert

from core.store import tables
from core.store.database import upgrade

SEATS = 6
CYCLES = 8

WORKER = """
import asyncio, random, sys
from datetime import UTC, datetime, date
from pathlib import Path
from core.identity.teams_user import TeamsUser
from core.licensing.ledger import *
from core.licensing.licence_key import LicenceKey
from core.licensing.overview import Overview
from core.licensing.rules import TakeSeat
from core.licensing.sqlite_ledger import SqliteLedger
from core.store.database import Database
from core.store.sqlite_writer import SqliteWriter

path, cycle = Path(sys.argv[1]), int(sys.argv[2])
NOW = datetime.now(UTC)

async def one(ledger, pool_id, number):
    chance = random.Random(f"{cycle}-{number}")
    while True:
        user = TeamsUser("t", f"o{number}", f"T{number}")
        person = SessionPerson(number, str(number), f"U{number}", "", False)
        wish = OpenSession(user, "p", "p.example.com", person, TakeSeat((pool_id,)), Proof.PASSWORD, False, NOW)
        opened = await ledger.open_session(wish)
        if isinstance(opened, Opened):
            print("in", number, flush=True)
            await asyncio.sleep(chance.random() / 50)
            # Announced first: from here on either state is right, until the answer is here.
            print("leaving", number, flush=True)
            await ledger.end_sessions("p", [opened.session.id], Ending(EndCause.REVOKED, "A", "", NOW))
            print("out", number, flush=True)
        await asyncio.sleep(chance.random() / 50)

async def main():
    database = Database(f"sqlite:///{path}")
    ledger = SqliteLedger(SqliteWriter(path))
    key = LicenceKey(serial="S", licensee="L", seats=int(sys.argv[3]), valid_from=date(2020, 1, 1), valid_until=date(2099, 1, 1))
    await ledger.put_pool("p", key, NOW)
    (pool,) = await Overview(database).pools("p")
    print("ready", 0, flush=True)
    await asyncio.gather(*(one(ledger, pool.id, number) for number in range(16)))

asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "crash.db"
    upgrade(f"sqlite:///{path}")
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(
            insert(tables.pbx).values(
                id="p", name="p.example.com", identity="i", key_hmac="k", claimed_at=0, link_epoch=1
            )
        )
    engine.dispose()
    return path


def test_killed_at_random(path: Path) -> None:
    random.seed(4711)
    acknowledged = 0
    expected: dict[int, str] = {}
    for cycle in range(CYCLES):
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(path), str(cycle), str(SEATS)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready 0\n"
        time.sleep(random.uniform(0.05, 0.4))
        worker.kill()
        told, _ = worker.communicate()
        for line in told.splitlines():
            if line.count(" ") == 1:
                word, number = line.split(" ")
                expected[int(number)] = word
                acknowledged += 1
        check(path, expected)
    assert acknowledged > 100


def check(path: Path, expected: dict[int, str]) -> None:
    connection = sqlite3.connect(path)
    held = dict(connection.execute("SELECT holder, number FROM seat WHERE holder IS NOT NULL"))
    sessions = dict(connection.execute("SELECT pbx_user_id, seat_number FROM session"))
    notices = connection.execute("SELECT count(*) FROM notice").fetchone()[0]
    ended = connection.execute("SELECT count(*) FROM audit WHERE kind = 'ended'").fetchone()[0]
    granted = connection.execute("SELECT count(*) FROM audit WHERE kind = 'granted'").fetchone()[0]
    connection.close()
    assert held == sessions, "a seat without its session, or a session without its seat"
    assert len(held) <= SEATS
    assert granted - ended == len(sessions) and notices == ended
    for number, word in expected.items():
        if word == "in":
            assert number in sessions, f"{number} was told that they are signed in, and are not"
        elif word == "out" and number in sessions:
            # Taken again in the same process, killed before the acknowledgement was printed.
            assert sessions[number] == held[number]
