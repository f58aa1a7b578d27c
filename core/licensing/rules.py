"""Which licence a PBX user gets (design, section 5): a pure function from facts to a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from core.diagnosis.codes import Code, LicenceReason
from core.diagnosis.finding import Finding
from core.diagnosis.rules import OLDEST_PBX
from core.diagnosis.version import is_older

UAL_SINCE: Final = "6.7.3"
"""User-assigned licences are known to the PBX from this version on; floating ones from 6.7.0."""


class LicenceKind(StrEnum):
    UAL = "UAL"
    FL = "FL"


@dataclass(frozen=True, slots=True)
class Pool:
    id: str
    serial: str
    seats: int
    used: int
    valid_from: datetime
    valid_until: datetime
    """The first moment at which the pool is no longer good."""


@dataclass(frozen=True, slots=True)
class UseUal:
    """The user's own licence; no seat is taken."""


@dataclass(frozen=True, slots=True)
class TakeSeat:
    """One seat of the first of these pools that has one free."""

    pool_ids: tuple[str, ...]


Verdict = UseUal | TakeSeat | Finding


def decide(
    *,
    pbx_name: str,
    pbx_version: str | None,
    has_permission: bool,
    pools: Sequence[Pool],
    refused_keys: Sequence[LicenceReason],
    holds_seat: bool,
    now: datetime,
) -> Verdict:
    """The verdict for one PBX user. `holds_seat`: has one already, so that an exhausted pool is no obstacle.

    `pbx_version` None means that the PBX does not tell (FACTS: `/server/version` may be refused): then the
    permission itself, which exists only from 6.7.3 on, is proof enough.
    """
    evidence: dict[str, object] = {"pbx_name": pbx_name}
    if pbx_version is not None and is_older(pbx_version, OLDEST_PBX):
        return Finding(Code.PBX_TOO_OLD, {**evidence, "version": pbx_version, "needed": OLDEST_PBX})
    if has_permission and (pbx_version is None or not is_older(pbx_version, UAL_SINCE)):
        return UseUal()
    good = [pool for pool in pools if pool.valid_from <= now < pool.valid_until]
    if good and (holds_seat or any(pool.used < pool.seats for pool in good)):
        return TakeSeat(tuple(pool.id for pool in good))
    if good:
        return exhausted(pbx_name, good)
    if pools:
        last = max(pools, key=lambda pool: pool.valid_until)
        if last.valid_until <= now:
            return _refusal(LicenceReason.KEY_EXPIRED, {**evidence, "until": last.valid_until})
        soonest = min((pool.valid_from for pool in pools if pool.valid_from > now), default=last.valid_from)
        return _refusal(LicenceReason.KEY_NOT_YET_VALID, {**evidence, "from": soonest})
    reason = refused_keys[0] if refused_keys else LicenceReason.NO_POOL
    return _refusal(reason, evidence)


def exhausted(pbx_name: str, pools: Sequence[Pool]) -> Finding:
    return _refusal(
        LicenceReason.POOL_EXHAUSTED,
        {
            "pbx_name": pbx_name,
            "used": sum(pool.used for pool in pools),
            "total": sum(pool.seats for pool in pools),
        },
    )


def _refusal(reason: LicenceReason, evidence: dict[str, object]) -> Finding:
    return Finding(Code.NO_LICENCE, {**evidence, "reason": reason.value}, reason.value)
