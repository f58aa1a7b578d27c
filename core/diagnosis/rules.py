"""Rules that derive, from what is known about a PBX, why it cannot be used. Pure; tested by a table."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from core.diagnosis.codes import PBX_FAULTS, Code
from core.diagnosis.finding import Finding
from core.diagnosis.version import is_older
from wire.link import RestState, Status, UciState
from wire.readings import ReadingPart, ReadingState

OLDEST_PBX: Final = "6.7.0"
"""The oldest STARFACE version that is supported."""
UAL_SINCE: Final = "6.7.3"
"""The first STARFACE version with the permission for user-assigned licences."""
CLAIM_IS_NEWS: Final = timedelta(days=1)
"""How long after its last attempt a second installation is warned about."""


_REST_FAULTS: Final = {
    RestState.UNREACHABLE: Code.PBX_UNREACHABLE,
    RestState.LOGIN_FAILED: Code.PBX_LOGIN_FAILED,
}


@dataclass(frozen=True, slots=True)
class PbxFacts:
    """What the hub knows about one PBX. Only for people who have given its key."""

    pbx_name: str
    linked: bool
    status: Status | None
    """The connector's last report."""
    ever_linked: bool = True
    down_since: datetime | None = None
    refused_claim_at: datetime | None = None
    """When another installation last tried to connect with this PBX name."""
    seals_answers: bool = True
    """Whether the connector accepts sealed answers to the PBX's challenge. Connectors of the first version do not."""
    connector_version: str | None = None


def find_blocker(facts: PbxFacts) -> Finding | None:
    """Return what keeps everybody from signing in, or None. Of several causes, return the one at the lowest layer."""
    name = {"pbx_name": facts.pbx_name}
    if not facts.linked:
        if not facts.ever_linked:
            return Finding(Code.NEVER_CONNECTED, name)
        if facts.status is not None and not facts.status.module_active:
            # A connector that is switched off says so, and then closes its link.
            return Finding(Code.MODULE_INACTIVE, {**name, "since": facts.down_since}, "unlinked")
        return Finding(Code.LINK_DOWN, {**name, "since": facts.down_since})
    status = facts.status
    if status is None:
        return None
    if not status.module_active:
        return Finding(Code.MODULE_INACTIVE, name)
    if status.rest in _REST_FAULTS:
        return Finding(_cause(status), {**name, "error": status.detail or ""})
    if status.pbx_version is not None and is_older(status.pbx_version, OLDEST_PBX):
        return Finding(Code.PBX_TOO_OLD, {**name, "version": status.pbx_version, "needed": OLDEST_PBX})
    return None


def _cause(status: Status) -> Code:
    """Return the specific code of the login reading; for older connectors without readings, the general one."""
    reading = status.reading(ReadingPart.LOGIN)
    code = Code.named(reading.code) if reading is not None and reading.code is not None else None
    return code if code in PBX_FAULTS else _REST_FAULTS[status.rest]


def find_unread(facts: PbxFacts, part: ReadingPart) -> Finding | None:
    """Return why the connector cannot read this part of its PBX, or None. Earlier readings remain in use."""
    reading = facts.status.reading(part) if facts.status is not None else None
    if reading is None or reading.state is ReadingState.OK:
        return None
    code = Code.named(reading.code) if reading.code is not None else None
    evidence = {"pbx_name": facts.pbx_name, "error": reading.detail or "", "since": reading.since}
    if code is Code.PERMISSION_MISSING:
        return Finding(code, evidence | {"permission": "Administrator"}, "administrator")
    return Finding(code if code in PBX_FAULTS else Code.PBX_ANSWER_UNCLEAR, evidence)


def find_uci_off(facts: PbxFacts) -> Finding | None:
    status = facts.status
    if status is None or status.uci is UciState.ON:
        return None
    return Finding(Code.UCI_CONNECTOR_OFF, {"pbx_name": facts.pbx_name, "state": status.uci.value})


def find_warning(facts: PbxFacts) -> Finding | None:
    """Return a problem that does not keep people from signing in, but costs a feature; or None."""
    return find_uci_off(facts) if facts.linked else None


def find_second_installation(facts: PbxFacts, now: datetime) -> Finding | None:
    """Return a warning that another installation tried this name, or None.

    Show it to administrators only: anyone who knows the PBX name can cause it.
    """
    if facts.refused_claim_at is None or now - facts.refused_claim_at >= CLAIM_IS_NEWS:
        return None
    return Finding(Code.NAME_BOUND_ELSEWHERE, {"pbx_name": facts.pbx_name, "at": facts.refused_claim_at})
