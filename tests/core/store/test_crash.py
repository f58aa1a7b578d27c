"""kill -9 in the middle of sign-ins and sign-outs of 64 clients: nothing acknowledged is lost, nothing half done is
left, nothing is oversold; and the same with PostgreSQL itself killed.

    make test                       a tenth of it
    python -m tests.proof kill      200 cycles on SQLite, 100 on PostgreSQL, 30 of PostgreSQL itself
"""

import os

from tests.support.crash import Crash
from tests.support.postgres import Postgres

TENTHS = int(os.environ.get("PBX_TEAMS_KILL_TENTHS", "1"))


async def test_a_killed_process_loses_nothing(database_url: str) -> None:
    crash = Crash(database_url)
    for _cycle in range(TENTHS * (20 if database_url.startswith("sqlite") else 10)):
        await crash.cycle()
    assert crash.acknowledged > 100
    print(crash.summary())


async def test_a_killed_postgresql_loses_nothing(postgres: Postgres) -> None:
    crash = Crash(postgres.new_database("pbx_teams"), server=postgres)
    for _cycle in range(TENTHS * 3):
        await crash.cycle()
    assert crash.acknowledged > 100
    print(crash.summary())
