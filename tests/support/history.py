"""Four weeks of usage, written into the audit as if they had happened, for pages that show a history."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

from core.store.audit import INSERT_AUDIT_SQLITE, Actor, AuditKind, audit_values
from tests.support.world import World

ACTOR = Actor.person("tenant", "history", None, "history")


def write(world: World) -> None:
    """Write one user who holds a seat all day, four who come and go, and some refusals."""
    now = datetime.now(UTC)
    start = (now - timedelta(days=28)).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = []
    for day in (start + timedelta(days=number) for number in range(28)):
        if day.weekday() >= 5:
            continue
        # From midnight on, so that the first day is complete at any hour.
        rows.append((day, 0.0, 9.5, 101, "Dora Constant"))
        for user in range(4):
            begins = 8 + (day.day * 7 + user * 3) % 8
            rows.append((day, begins, begins + 1.5 + user / 2, 110 + user, f"Guest {user}"))
    with closing(world.database()) as database, database:
        (pbx_id,) = database.execute("SELECT id FROM pbx").fetchone()
        database.execute("UPDATE pbx SET claimed_at = ?", (_ms(start - timedelta(days=1)),))
        database.execute("DELETE FROM usage_day")  # days that were stored without this history
        for day, begins, ends, user_id, name in rows:
            since, until = day + timedelta(hours=begins), day + timedelta(hours=ends)
            if until < now:
                database.execute(
                    INSERT_AUDIT_SQLITE,
                    audit_values(
                        at=_ms(until),
                        pbx_id=pbx_id,
                        kind=AuditKind.ENDED,
                        actor=ACTOR,
                        subject=name,
                        detail="{}",
                        pbx_user_id=user_id,
                        pool_id="p",
                        held_from=_ms(since),
                    ),
                )
        for hours in (3, 4, 27, 51):
            database.execute(
                INSERT_AUDIT_SQLITE,
                audit_values(
                    _ms(now - timedelta(hours=hours)), pbx_id, AuditKind.DENIED, ACTOR, "Guest 9", "{}"
                ),
            )


def fill_a_day(world: World, day: datetime, rows: int) -> None:
    """Write more audit rows than anybody reads."""
    with closing(world.database()) as database, database:
        (pbx_id,) = database.execute("SELECT id FROM pbx").fetchone()
        database.executemany(
            INSERT_AUDIT_SQLITE,
            (
                audit_values(_ms(day) + number, pbx_id, AuditKind.GRANTED, ACTOR, f"Guest {number}", "{}")
                for number in range(rows)
            ),
        )


def forget(world: World) -> None:
    with closing(world.database()) as database, database:
        database.execute("DELETE FROM audit WHERE actor = ?", (ACTOR.name,))
        database.execute("DELETE FROM usage_day")
        database.execute("UPDATE pbx SET claimed_at = ?", (_ms(datetime.now(UTC)),))


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
