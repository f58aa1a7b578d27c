"""Reads everything that a Teams user is shown about themselves, in one statement.

That is the session with its PBX and seats or the reason why it ended, the place on a waiting list, and the PBXs that are
offered to the user's organisation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from core.hub.registry import PBX_COLUMNS, REFUSED_CLAIM_AT, Pbx, to_pbx
from core.identity.teams_user import TeamsUser
from core.identity.tenant_trust import Entry, Offer
from core.licensing.overview import Place
from core.licensing.session import SESSION_COLUMNS, EndCause, Ending, Session, to_session
from core.licensing.transactions.steps import SEATS
from core.store.audit import Actor, ActorKind
from core.store.database import Database
from core.store.timestamps import from_ms
from core.store.transaction import Prefixed, Row, prefixed

_END_COLUMNS: Final = "pbx_name, cause, reason, ended_by, ended_by_kind, ended_by_tenant_id, at"
_WAITING_COLUMNS: Final = "pbx_id, joined_at"
# `me` is materialised, so its part is evaluated once. The result has one row for each offer, and at least one row.
_STATE: Final = f"""
WITH me AS MATERIALIZED (
  SELECT {prefixed(SESSION_COLUMNS, "session", "session_")}, session.ends_at AS session_ends_at,
  {prefixed(PBX_COLUMNS, "pbx", "pbx_")}, {REFUSED_CLAIM_AT} AS pbx_refused_claim_at,
  counted.used AS seats_used, counted.seats AS seats_total,
  (SELECT valid_until FROM pool WHERE pool.id = session.pool_id AND pool.pbx_id = session.pbx_id AND NOT withdrawn)
    AS pool_valid_until,
  audio_person.verdict AS verdict,
  {prefixed(_END_COLUMNS, "session_end", "end_")},
  {prefixed(_WAITING_COLUMNS, "waiting", "waiting_")}, waiting_pbx.name AS waiting_pbx_name,
  (SELECT kept_until FROM seat WHERE seat.pbx_id = waiting.pbx_id AND kept_for = waiting.pbx_user_id LIMIT 1)
    AS waiting_kept_until,
  (SELECT count(*) FROM waiting AS other WHERE other.pbx_id = waiting.pbx_id AND other.joined_at IS NOT NULL
    AND (other.joined_at < waiting.joined_at
    OR (other.joined_at = waiting.joined_at AND other.pbx_user_id < waiting.pbx_user_id))) AS waiting_before,
  preference.no_automatic_sign_in AS no_automatic_sign_in
  FROM (SELECT 1 AS one) AS always
  LEFT JOIN session ON session.tenant_id = $1 AND session.object_id = $2
  LEFT JOIN pbx ON pbx.id = session.pbx_id
  LEFT JOIN (
    SELECT {SEATS} FROM pool JOIN seat ON seat.pool_id = pool.id WHERE NOT withdrawn
    AND pool.pbx_id = (SELECT pbx_id FROM session WHERE tenant_id = $1 AND object_id = $2)
  ) AS counted ON true
  LEFT JOIN audio_person ON audio_person.tenant_id = $1 AND audio_person.object_id = $2
  LEFT JOIN session_end ON session_end.tenant_id = $1 AND session_end.object_id = $2
  LEFT JOIN waiting ON waiting.tenant_id = $1 AND waiting.object_id = $2
  LEFT JOIN pbx AS waiting_pbx ON waiting_pbx.id = waiting.pbx_id
  LEFT JOIN preference ON preference.tenant_id = $1 AND preference.object_id = $2
)
SELECT me.*, offer.pbx_id AS offer_pbx_id, offer.name AS offer_name, offer.is_primary AS offer_is_primary,
offer.entry AS offer_entry, EXISTS (SELECT 1 FROM pinned_identity WHERE pinned_identity.pbx_id = offer.pbx_id
AND pinned_identity.tenant_id = $1 AND pinned_identity.object_id = $2) AS offer_is_used
FROM me LEFT JOIN (
  SELECT trusted_tenant.pbx_id, name, is_primary, entry FROM trusted_tenant JOIN pbx ON pbx.id = trusted_tenant.pbx_id
  WHERE tenant_id = $1 AND entry <> '{Entry.WITH_KEY}'
) AS offer ON true
ORDER BY offer.is_primary DESC, offer.name
"""


@dataclass(frozen=True, slots=True)
class StoredState:
    """The stored state of one Teams user."""

    session: Session | None
    pbx: Pbx | None
    """The PBX of the session."""
    seats_used: int
    seats_total: int
    """`seats_used` and `seats_total` cover the pools whose licence keys are in the connector's configuration now."""
    pool_valid_until: datetime | None
    """Expiry of the pool from which the session has its seat."""
    ends_at: datetime | None
    """When the session will end because of its age; None until that is near."""
    verdict: str | None
    """The audio advisor's last verdict (`core.audio.finding.AudioVerdict`)."""
    ending: tuple[str, Ending] | None
    """PBX name and ending, if somebody or something else ended the last session; until the next sign-in."""
    place: Place | None
    """Place on a waiting list; for a refused user who may still join it, `joined_at` is None."""
    no_automatic_sign_in: bool
    offers: Sequence[Offer]
    """PBXs that members of the user's organisation may sign in to without a key: the main PBX first, then by name."""
    used: frozenset[str]
    """Ids of the offered PBXs at which this user has signed in before."""


class StateReader:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, user: TeamsUser) -> StoredState:
        rows = await self._database.fetch(_STATE, user.tenant_id, user.object_id)
        row = rows[0]
        offers = [one for one in rows if one["offer_pbx_id"] is not None]
        return StoredState(
            session=to_session(Prefixed(row, "session_")) if row["session_id"] is not None else None,
            pbx=to_pbx(Prefixed(row, "pbx_")) if row["pbx_id"] is not None else None,
            seats_used=row["seats_used"] or 0,
            seats_total=row["seats_total"] or 0,
            pool_valid_until=_moment(row["pool_valid_until"]),
            ends_at=_moment(row["session_ends_at"]),
            verdict=row["verdict"],
            ending=_ending(Prefixed(row, "end_")) if row["end_cause"] is not None else None,
            place=_place(Prefixed(row, "waiting_")) if row["waiting_pbx_id"] is not None else None,
            no_automatic_sign_in=bool(row["no_automatic_sign_in"]),
            offers=[_offer(Prefixed(one, "offer_")) for one in offers],
            used=frozenset(one["offer_pbx_id"] for one in offers if one["offer_is_used"]),
        )


def _ending(row: Row) -> tuple[str, Ending]:
    kind = ActorKind(row["ended_by_kind"] or ActorKind.PERSON)
    actor = Actor(kind, row["ended_by"], row["ended_by_tenant_id"])
    return row["pbx_name"], Ending(
        cause=EndCause(row["cause"]), actor=actor, reason=row["reason"], now=from_ms(row["at"])
    )


def _place(row: Row) -> Place:
    return Place(
        pbx_id=row["pbx_id"],
        pbx_name=row["pbx_name"],
        position=1 + row["before"],
        joined_at=_moment(row["joined_at"]),
        offered_until=_moment(row["kept_until"]),
    )


def _offer(row: Row) -> Offer:
    is_primary = bool(row["is_primary"])
    return Offer(
        pbx_id=row["pbx_id"],
        pbx_name=row["name"],
        is_primary=is_primary,
        is_automatic=is_primary and row["entry"] == Entry.AUTOMATIC,
    )


def _moment(value: int | None) -> datetime | None:
    return from_ms(value) if value is not None else None
