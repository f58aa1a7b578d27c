"""A person's preferences: notices, quiet hours, automatic sign-in, messages about calls."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from core.store import tables
from core.store.database import Database, upsert
from core.store.notices import PREFERENCE_COLUMNS
from core.store.phone import PhoneStore
from core.store.timestamps import now
from core.store.transaction import Row

DAY_MINUTES: Final = 24 * 60


class Topic(StrEnum):
    """Subjects of notices. A person may mute each of them."""

    SESSION = "session"
    """Somebody or something else ended the session."""
    AUDIO = "audio"
    """Teams and the softphone share an audio device."""
    ADMINISTRATION = "administration"
    """For administrators: a licence key will expire soon."""


_KEY: Final = ("tenant_id", "object_id")
_PREFERENCES_OF: Final = (
    f"SELECT {', '.join(PREFERENCE_COLUMNS)} FROM preference WHERE tenant_id = $1 AND object_id = $2"  # noqa: S608
)
_TOPICS: Final[Mapping[str, Topic | None]] = {
    "key-expires": Topic.ADMINISTRATION,
    "audio-conflict": Topic.AUDIO,
    # The person asked for these by joining the waiting list, and an offer lasts five minutes: sent even in quiet hours.
    "seat-offered": None,
    "offer-passed": None,
    "waiting-handed-over": None,
    "waiting-trust-withdrawn": None,
}


def get_topic(kind: str) -> Topic | None:
    """Return the topic of a kind of notice, or None for notices that cannot be muted. Unknown kinds are `SESSION`."""
    return _TOPICS.get(kind, Topic.SESSION)


def parse_time_zone(name: str) -> ZoneInfo | None:
    """Return the time zone with this IANA name, or None if this machine knows no such zone."""
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None


@dataclass(frozen=True, slots=True)
class Preferences:
    muted: frozenset[Topic] = field(default_factory=frozenset)
    quiet: bool = True
    quiet_from: int = 22 * 60
    """`quiet_from` and `quiet_until` are minutes of the day in the person's time zone."""
    quiet_until: int = 7 * 60
    time_zone: str = ""
    """IANA name; empty if unknown."""
    no_automatic_sign_in: bool = False
    """The person signed out deliberately, so they are no longer signed in automatically."""
    calls_in_chat: bool = False
    """The bot sends a message when somebody calls."""
    missed_calls: bool = False
    """The bot sends a message about a missed call."""
    numbers_in_chat: bool = False
    """Those messages show name and number of the caller. Microsoft stores them."""

    def quiet_ends(self, at: datetime) -> datetime | None:
        """Return the end of the quiet hours that contain `at`; None outside of them or if the time zone is unknown."""
        zone = parse_time_zone(self.time_zone)
        if not self.quiet or zone is None or self.quiet_from == self.quiet_until:
            return None
        here = at.astimezone(zone)
        minute = here.hour * 60 + here.minute
        if (minute - self.quiet_from) % DAY_MINUTES >= (self.quiet_until - self.quiet_from) % DAY_MINUTES:
            return None
        day = here.date() if minute < self.quiet_until else here.date() + timedelta(days=1)
        return datetime.combine(day, time(*divmod(self.quiet_until, 60)), zone)


class PreferenceStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, person: tuple[str, str]) -> Preferences:
        return to_preferences(await self._database.fetch_first(_PREFERENCES_OF, *person))

    async def put_notices(
        self, person: tuple[str, str], muted: frozenset[Topic], *, quiet: bool, hours: tuple[int, int]
    ) -> None:
        """Store muted topics and quiet hours; `hours` is (from, until) in minutes of the day."""
        quiet_from, quiet_until = hours
        await self._put(
            person,
            muted=json.dumps(sorted(muted)),
            quiet=quiet,
            quiet_from=quiet_from,
            quiet_until=quiet_until,
        )

    async def put_calls(self, person: tuple[str, str], *, calls: bool, missed: bool, numbers: bool) -> None:
        """Store which messages about calls the bot sends, and whether they show name and number."""
        if missed and not (await self.get(person)).missed_calls:
            # Only calls that are missed from now on are announced.
            await PhoneStore(self._database).mark_missed_handled(person, now())
        await self._put(person, calls_in_chat=calls, missed_calls=missed, numbers_in_chat=numbers)

    async def put_time_zone(self, person: tuple[str, str], time_zone: str) -> None:
        await self._put(person, time_zone=time_zone)

    async def put_no_automatic_sign_in(self, person: tuple[str, str]) -> None:
        await self._put(person, no_automatic_sign_in=True)

    async def _put(self, person: tuple[str, str], **values: Any) -> None:
        async with self._database.writing() as connection:
            await connection.execute(
                upsert(connection, tables.preference)
                .values(**dict(zip(_KEY, person, strict=True)), **values)
                .on_conflict_do_update(index_elements=list(_KEY), set_=values)
            )


def to_preferences(row: Row | None) -> Preferences:
    """Convert a row of table `preference`. Without a row, return the defaults."""
    if row is None:
        return Preferences()
    known = {topic.value for topic in Topic}
    return Preferences(
        muted=frozenset(Topic(name) for name in json.loads(row["muted"]) if name in known),
        quiet=bool(row["quiet"]),
        quiet_from=row["quiet_from"],
        quiet_until=row["quiet_until"],
        time_zone=row["time_zone"],
        no_automatic_sign_in=bool(row["no_automatic_sign_in"]),
        calls_in_chat=bool(row["calls_in_chat"]),
        missed_calls=bool(row["missed_calls"]),
        numbers_in_chat=bool(row["numbers_in_chat"]),
    )
