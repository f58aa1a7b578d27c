"""Repeated cycles of work and kill -9, with a check of the remaining data."""

import asyncio
import random
import statistics
import sys
import time
from collections import Counter

from core.identity.teams_user import TeamsUser
from core.licensing.rules import TakeSeat
from core.licensing.session import EndCause, Ending, Opened
from core.store.timestamps import now
from core.store.transaction import StorageUnavailableError
from tests.support.book import ADMIN, NOW, PBX, Book
from tests.support.postgres import Postgres
from tests.support.refusals import outcome_of

SEATS = 20
CLIENTS = 64
ANSWERS = (40, 200)
"""The minimum and maximum number of answers before a process is killed."""
WORK_SECONDS = 60
WHAT_IS_LEFT = """
SELECT 'seat' AS what, '' AS who, holder AS pbx_user, number, 0 AS amount FROM seat WHERE holder IS NOT NULL
UNION ALL SELECT 'session', object_id, pbx_user_id, seat_number, 0 FROM session
UNION ALL SELECT 'audit', kind, 0, 0, count(*) FROM audit GROUP BY kind
UNION ALL SELECT 'notices', '', 0, 0, count(*) FROM notice
UNION ALL SELECT 'end_notices', '', 0, 0, count(*) FROM audit WHERE kind = 'ended' AND detail LIKE '%revoked%'
"""
"""One statement, so one snapshot: PostgreSQL may still execute what the killed process had sent."""
USERS = 40
"""Fewer than clients, so that two Teams users sometimes want to be the same PBX user."""


class Crash:
    def __init__(self, url: str, server: Postgres | None = None) -> None:
        self._url = url
        self._server = server
        self._chance = random.Random(4711)
        self._prepared = False
        self._last_answers: dict[str, str] = {}
        self._cycle = 0
        self.acknowledged = 0
        self.recovery: list[float] = []

    def summary(self) -> str:
        worst, middle = max(self.recovery), statistics.median(self.recovery)
        return (
            f"{self._cycle} cycles, {self.acknowledged} answers, none lost;"
            f" the next sign-in after {middle:.2f} s in the middle, {worst:.2f} s at worst"
        )

    async def cycle(self) -> None:
        if not self._prepared:
            self._prepared = True
            book = await Book(self._url).open()
            await book.put(SEATS)
            await book.close()
        self._cycle += 1
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.support.crash",
            self._url,
            str(self._cycle),
            stdout=asyncio.subprocess.PIPE,
        )
        assert worker.stdout is not None
        assert await worker.stdout.readline() == b"ready\n"
        before = await self._work_seen(worker.stdout, self._chance.randint(*ANSWERS))
        if self._server is not None:
            await asyncio.to_thread(self._server.kill)
            await asyncio.sleep(self._chance.uniform(0, 0.2))
        worker.kill()
        output, _ = await worker.communicate()
        started = time.monotonic()
        if self._server is not None:
            await asyncio.to_thread(self._server.start)
        self._read((before + output).decode())
        await self._check()
        self.recovery.append(time.monotonic() - started)

    async def _work_seen(self, output: asyncio.StreamReader, answers: int) -> bytes:
        """Wait for that many answers, at any speed of the machine; the kill then interrupts the next ones."""
        seen = b""
        async with asyncio.timeout(WORK_SECONDS):
            while answers:
                line = await output.readline()
                assert line, "the process has ended by itself"
                answers -= line.startswith((b"in ", b"out "))
                seen += line
        await asyncio.sleep(self._chance.uniform(0, 0.05))
        return seen

    def _read(self, output: str) -> None:
        """Read only complete lines: the kill may have truncated the last one."""
        for line in output.splitlines(keepends=True):
            if line.endswith("\n"):
                word, user = line.split()
                self._last_answers[user] = word
                self.acknowledged += word in ("in", "out")

    async def _check(self) -> None:
        book = await Book(self._url).open(prepare=False)
        found = await book.rows(WHAT_IS_LEFT)
        held = {row[2:4] for row in found if row[0] == "seat"}
        sessions = {row[1:4] for row in found if row[0] == "session"}
        counts = Counter({who: amount for what, who, _, _, amount in found if what == "audit"})
        notices, end_notices = (
            sum(row[4] for row in found if row[0] == name) for name in ("notices", "end_notices")
        )
        assert held == {session[1:] for session in sessions}, (
            "a seat without its session, or a session without its seat"
        )
        assert len(held) <= SEATS, "oversold"
        assert counts["granted"] - counts["ended"] == len(sessions), "the audit does not tell the whole story"
        assert notices == end_notices, "an end without its notice"
        signed_in = {who for who, _, _ in sessions}
        for user, word in self._last_answers.items():
            # Between "leaving" and "out" (and "coming" and "in") both states are valid.
            assert word != "in" or user in signed_in, f"{user} was told that they are signed in, and are not"
            assert word != "out" or user not in signed_in, f"{user} was told that they are out, and are not"
        # The next process continues: everybody signs out, and all seats can be taken again.
        ids = [session.id for session in await book.overview.all_holders(PBX)]
        await book.ledger.end_sessions(PBX, ids, Ending(EndCause.REVOKED, ADMIN, "", NOW))
        self._last_answers.clear()
        assert isinstance(await book.take(1000), Opened)
        session = await book.session_of(1000)
        assert session is not None
        assert await book.ledger.sign_out(session, NOW) is not None
        await book.close()


async def _client(book: Book, number: int, licence: TakeSeat, chance: random.Random) -> None:
    user = f"object-{number}"
    teams_user = TeamsUser("tenant", user, user)
    while True:
        try:
            request = await book.request(
                1 + number % USERS, teams_user=teams_user, licence=licence, now=now()
            )
            print("coming", user, flush=True)
            opened = await outcome_of(book.ledger.open_session(request))
            if not isinstance(opened, Opened):
                print("refused", user, flush=True)
                await asyncio.sleep(chance.random() / 50)
                continue
            print("in", user, flush=True)
            await asyncio.sleep(chance.random() / 50)
            print("leaving", user, flush=True)
            if chance.random() < 0.5:
                await book.ledger.sign_out(opened.session, now())
            else:
                ending = Ending(EndCause.REVOKED, ADMIN, "", now())
                await book.ledger.end_sessions(PBX, [opened.session.id], ending)
            print("out", user, flush=True)
        except (StorageUnavailableError, OSError):
            await asyncio.sleep(0.05)
        except Exception as fault:
            if "connect" not in f"{type(fault)} {fault}".lower() and "shut" not in str(fault).lower():
                raise
            await asyncio.sleep(0.05)


async def _work(url: str, cycle: str) -> None:
    book = await Book(url).open(prepare=False)
    licence = TakeSeat(await book.choices(1))
    print("ready", flush=True)
    await asyncio.gather(
        *(_client(book, number, licence, random.Random(f"{cycle}-{number}")) for number in range(CLIENTS))
    )


if __name__ == "__main__":
    asyncio.run(_work(*sys.argv[1:]))
