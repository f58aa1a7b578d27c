"""Everything that one Teams user is shown about themselves, in one statement: their session, its PBX and seats, or why there
is none, their place on a waiting list, the PBXs that offer themselves to their organisation.
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
# What there is once is read once, whatever it is joined with then: a row for each offer, at least one.
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
class Stored:
    """What is stored about one Teams user."""

    session: Session | None
    pbx: Pbx | None
    """Of the session."""
    seats_used: int
    seats_total: int
    """Of the pools of that PBX whose keys are in its connector's configuration now."""
    pool_valid_until: datetime | None
    """Of the session's seat."""
    ends_at: datetime | None
    """When the session ends for its age; None as long as that is not near."""
    verdict: str | None
    """What the audio advisor concluded last (`core.audio.finding.Verdict`)."""
    ending: tuple[str, Ending] | None
    """How the last session was ended by someone else (PBX name, ending), until the next sign-in."""
    place: Place | None
    """On a waiting list, also that of a refused user who may still join (`joined_at` None)."""
    no_automatic_sign_in: bool
    offers: Sequence[Offer]
    """PBXs that people of the user's organisation may enter without a key; the main one first, then by name."""
    used: frozenset[str]
    """Ids of those of the offers at which this user has been signed in before."""


class StateReader:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, user: TeamsUser) -> Stored:
        rows = await self._database.fetch(_STATE, user.tenant_id, user.object_id)
        row = rows[0]
        offers = [one for one in rows if one["offer_pbx_id"] is not None]
        return Stored(
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
