"""From what is known of a PBX to why it cannot be used: pure, tested by table."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.diagnosis.version import is_older
from wire.link import RestState, Status, UciState

OLDEST_PBX: Final = "6.7.0"
UAL_SINCE: Final = "6.7.3"
CLAIM_IS_NEWS: Final = timedelta(days=1)
"""A second installation that has not tried for so long is history, not a warning."""


@dataclass(frozen=True, slots=True)
class PbxFacts:
    """What the hub knows of one PBX whose key was right."""

    pbx_name: str
    linked: bool
    status: Status | None
    """As the connector reported last."""
    ever_linked: bool = True
    down_since: datetime | None = None
    refused_claim_at: datetime | None = None
    """When another identity last tried this name."""


def blocker(facts: PbxFacts) -> Finding | None:
    """The finding that keeps anyone from signing in, or None: the first cause, nearest to the cable."""
    name = {"pbx_name": facts.pbx_name}
    if not facts.linked:
        if facts.refused_claim_at is not None and (
            facts.down_since is None or facts.refused_claim_at >= facts.down_since
        ):
            return Finding(Code.NAME_BOUND_ELSEWHERE, {**name, "at": facts.refused_claim_at})
        if not facts.ever_linked:
            return Finding(Code.NEVER_CONNECTED, name)
        return Finding(Code.LINK_DOWN, {**name, "since": facts.down_since})
    status = facts.status
    if status is None:
        return None
    if not status.module_active:
        return Finding(Code.MODULE_INACTIVE, name)
    if status.rest is RestState.UNREACHABLE:
        return Finding(Code.PBX_UNREACHABLE, {**name, "error": status.detail or ""})
    if status.rest is RestState.LOGIN_FAILED:
        return Finding(Code.PBX_LOGIN_FAILED, {**name, "error": status.detail or ""})
    if status.pbx_version is not None and is_older(status.pbx_version, OLDEST_PBX):
        return Finding(Code.PBX_TOO_OLD, {**name, "version": status.pbx_version, "needed": OLDEST_PBX})
    return None


def uci_off(facts: PbxFacts) -> Finding | None:
    status = facts.status
    if status is None or status.uci is UciState.ON:
        return None
    return Finding(Code.UCI_CONNECTOR_OFF, {"pbx_name": facts.pbx_name, "state": status.uci.value})


def warning(facts: PbxFacts, now: datetime) -> Finding | None:
    """What does not keep anyone from signing in, but costs something."""
    if facts.linked and (off := uci_off(facts)) is not None:
        return off
    if facts.linked and facts.refused_claim_at is not None and now - facts.refused_claim_at < CLAIM_IS_NEWS:
        return Finding(
            Code.NAME_BOUND_ELSEWHERE, {"pbx_name": facts.pbx_name, "at": facts.refused_claim_at}, "linked"
        )
    return None
