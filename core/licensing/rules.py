"""Decide which licence a PBX user gets (docs/licences.md): a pure function from facts to a verdict."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from core.diagnosis.codes import Code, LicenceReason
from core.diagnosis.finding import Finding
from core.diagnosis.rules import OLDEST_PBX, UAL_SINCE
from core.diagnosis.version import is_older
from core.licensing.policy import Policy

GRACE: Final = timedelta(hours=1)
"""Grace period: the longest time a session may outlive its licence key, so that no call is cut off."""


class LicenceKind(StrEnum):
    UAL = "UAL"
    FL = "FL"
    ADMINISTRATION = "ADM"
    """No licence. An administrator who got none may still administer, but do nothing else."""


NO_POLICY: Final = Policy()


@dataclass(frozen=True, slots=True)
class Pool:
    """The seats of one licence key, as they are now."""

    id: str
    serial: str
    seats: int
    used: int
    valid_from: datetime
    valid_until: datetime
    """The first moment at which the pool is no longer valid."""
    policy: Policy = NO_POLICY
    reserved: int = 0
    """Number of free seats that are reserved for certain people."""
    kept: int = 0
    """Number of free seats that are offered to people on the waiting list."""

    @property
    def free(self) -> int:
        """Number of seats that anybody may take now; 0 when more seats are used than the key grants."""
        return max(0, self.seats - self.used - self.reserved - self.kept)

    def is_valid(self, now: datetime) -> bool:
        return self.valid_from <= now < self.valid_until


@dataclass(frozen=True, slots=True)
class UseUal:
    """The user holds a user-assigned licence and takes no seat."""


@dataclass(frozen=True, slots=True)
class SeatChoice:
    """A pool that the user may take a seat of, with the ids of the reservations that include the user."""

    pool_id: str
    reservations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TakeSeat:
    """Take one seat: of the first of these pools that has a free one for this user."""

    choices: tuple[SeatChoice, ...]


@dataclass(frozen=True, slots=True)
class Administer:
    """Sign in without a licence: a full pool must not lock out a person who can free a seat (docs/licences.md)."""


Grant = UseUal | TakeSeat | Administer
Verdict = UseUal | TakeSeat | Finding


def decide(
    *,
    pbx_name: str,
    pbx_version: str | None,
    user_id: int,
    group_ids: Collection[int] = (),
    has_permission: bool,
    pools: Sequence[Pool],
    refused_keys: Sequence[LicenceReason],
    now: datetime,
) -> Verdict:
    """Return the verdict for one PBX user. Whether a seat is free is decided when it is taken, not here.

    `pbx_version` is None when the PBX does not report it (docs/facts/starface.md: `/server/version` may be refused).
    Then the permission itself is proof enough, because it exists only from 6.7.3 on.
    """
    evidence: dict[str, object] = {"pbx_name": pbx_name}
    if pbx_version is not None and is_older(pbx_version, OLDEST_PBX):
        return Finding(Code.PBX_TOO_OLD, {**evidence, "version": pbx_version, "needed": OLDEST_PBX})
    if has_permission and (pbx_version is None or not is_older(pbx_version, UAL_SINCE)):
        return UseUal()
    good = [pool for pool in pools if pool.is_valid(now)]
    choices = seat_choices(pools=good, user_id=user_id, group_ids=group_ids, now=now)
    if choices:
        return TakeSeat(choices)
    if good:
        return _refusal(LicenceReason.NOT_ADMITTED, evidence)
    if pools:
        last = max(pools, key=lambda pool: pool.valid_until)
        if last.valid_until <= now:
            return _refusal(LicenceReason.KEY_EXPIRED, {**evidence, "until": last.valid_until})
        soonest = min((pool.valid_from for pool in pools if pool.valid_from > now), default=last.valid_from)
        return _refusal(LicenceReason.KEY_NOT_YET_VALID, {**evidence, "from": soonest})
    reason = refused_keys[0] if refused_keys else LicenceReason.NO_POOL
    return _refusal(reason, evidence)


def seat_choices(
    pools: Sequence[Pool], user_id: int, group_ids: Collection[int], now: datetime
) -> tuple[SeatChoice, ...]:
    """Return the valid pools that this user may take a seat of; pools with a reservation for them come first."""
    choices = [
        SeatChoice(pool.id, pool.policy.reservations_of(user_id, group_ids))
        for pool in pools
        if pool.is_valid(now) and pool.policy.admits(user_id, group_ids)
    ]
    return tuple(sorted(choices, key=lambda choice: not choice.reservations))


def exhausted_finding(pbx_name: str, *, used: int, total: int, reserved: int) -> Finding:
    """Return the finding that all seats are taken.

    `reserved` is the number of free seats that are reserved for others or offered to people on the waiting list.
    """
    return Finding(
        Code.NO_LICENCE,
        {
            "pbx_name": pbx_name,
            "used": used,
            "total": total,
            "reserved": reserved,
            "reason": LicenceReason.POOL_EXHAUSTED.value,
        },
        "pool-exhausted-reserved" if reserved else LicenceReason.POOL_EXHAUSTED.value,
    )


def _refusal(reason: LicenceReason, evidence: dict[str, object]) -> Finding:
    return Finding(Code.NO_LICENCE, {**evidence, "reason": reason.value}, reason.value)
