"""Which licence a PBX user gets (docs/licences.md): a pure function from facts to a verdict."""

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
"""So long at most sessions go on after their key's last day, so that no call is cut."""


class LicenceKind(StrEnum):
    UAL = "UAL"
    FL = "FL"
    ADMINISTRATION = "ADM"
    """None: an administrator for whom there was no licence, who administers and does nothing else."""


NO_POLICY: Final = Policy()


@dataclass(frozen=True, slots=True)
class Pool:
    id: str
    serial: str
    seats: int
    used: int
    valid_from: datetime
    valid_until: datetime
    """The first moment at which the pool is no longer good."""
    policy: Policy = NO_POLICY
    reserved: int = 0
    """Free seats that only some may take."""
    kept: int = 0
    """Free seats that were offered to somebody on the waiting list."""

    @property
    def free(self) -> int:
        """Seats that anybody may take now. A pool that has shrunk below its use has none."""
        return max(0, self.seats - self.used - self.reserved - self.kept)

    def is_valid(self, now: datetime) -> bool:
        return self.valid_from <= now < self.valid_until


@dataclass(frozen=True, slots=True)
class UseUal:
    """The user's own licence; no seat is taken."""


@dataclass(frozen=True, slots=True)
class SeatChoice:
    """A pool that the user may have a seat of, and its reservations that hold for them."""

    pool_id: str
    reservations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TakeSeat:
    """One seat of the first of these pools that has one for this user."""

    choices: tuple[SeatChoice, ...]


@dataclass(frozen=True, slots=True)
class Administer:
    """No licence. Nobody who can free a seat is locked out by a full pool (docs/licences.md)."""


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
    """The verdict for one PBX user. Whether a seat is free is not decided here but where it is taken.

    `pbx_version` None means that the PBX does not tell (docs/facts/starface.md: `/server/version` may be refused): then the
    permission itself, which exists only from 6.7.3 on, is proof enough.
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
    """Pools that are good now and open to this user; those where seats are reserved for them come first."""
    choices = [
        SeatChoice(pool.id, pool.policy.reservations_of(user_id, group_ids))
        for pool in pools
        if pool.is_valid(now) and pool.policy.admits(user_id, group_ids)
    ]
    return tuple(sorted(choices, key=lambda choice: not choice.reservations))


def exhausted(pbx_name: str, *, used: int, total: int, reserved: int) -> Finding:
    """`reserved`: seats that are free but reserved for others, or kept for the next person on the waiting list."""
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
