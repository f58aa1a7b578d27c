"""One traffic light for each part of the connection between the service and a PBX. Pure; tested by a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from core.diagnosis.codes import PBX_FAULTS, Code, LicenceReason
from core.diagnosis.finding import Finding
from core.diagnosis.rules import (
    UAL_SINCE,
    PbxFacts,
    find_blocker,
    find_second_installation,
    find_uci_off,
    find_unread,
)
from core.diagnosis.version import is_older
from wire.link import RestState
from wire.readings import ReadingPart

EXPIRES_SOON: Final = timedelta(days=30)
"""How long before its end a licence key turns yellow."""


class Part(StrEnum):
    LINK = "link"
    MODULE = "module"
    REST = "rest"
    UCI = "uci"
    PERMISSION = "permission"
    LICENCE_KEY = "licence-key"


class Light(StrEnum):
    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"
    OFF = "off"
    """Unknown, because a part that it depends on fails; or the part does not exist."""


@dataclass(frozen=True, slots=True)
class PartState:
    part: Part
    light: Light
    finding: Finding | None = None


_OF_MODULE: Final = (Code.MODULE_INACTIVE,)
_OF_REST: Final = (*PBX_FAULTS, Code.PBX_TOO_OLD)
_READ_BY_REST: Final = (ReadingPart.USERS, ReadingPart.GROUPS)


def get_lights(
    facts: PbxFacts,
    *,
    refused_keys: Sequence[LicenceReason],
    valid_until: Sequence[datetime],
    now: datetime,
) -> list[PartState]:
    """Return the state of every part, in the order of `Part`.

    `refused_keys`: why licence keys of this PBX are refused; `valid_until`: the ends of its present pools.
    """
    found = find_blocker(facts)
    keys = _licence_keys(pbx_name=facts.pbx_name, refused=refused_keys, valid_until=valid_until, now=now)
    if not facts.linked:
        unknown = [PartState(part, Light.OFF) for part in (Part.REST, Part.UCI, Part.PERMISSION)]
        if found is not None and found.code is Code.MODULE_INACTIVE:
            return [PartState(Part.LINK, Light.OFF), PartState(Part.MODULE, Light.RED, found), *unknown, keys]
        return [PartState(Part.LINK, Light.RED, found), PartState(Part.MODULE, Light.OFF), *unknown, keys]
    # An outdated connector is shown nowhere else; other installations have their own list on the page.
    warned = _outdated(facts) or find_second_installation(facts, now)
    link = PartState(Part.LINK, Light.YELLOW if warned else Light.GREEN, warned)
    code = found.code if found is not None else None
    if code in _OF_MODULE:
        unknown = [PartState(part, Light.OFF) for part in (Part.REST, Part.UCI, Part.PERMISSION)]
        return [link, PartState(Part.MODULE, Light.RED, found), *unknown, keys]
    rest = PartState(Part.REST, Light.RED, found) if code in _OF_REST else _rest(facts)
    uci, permission = _uci(facts), _permission(facts)
    if code in PBX_FAULTS:
        # What was so before the PBX could not be asked is not known to be so now.
        uci, permission = (
            PartState(one.part, Light.OFF) if one.light is Light.GREEN else one for one in (uci, permission)
        )
    return [link, PartState(Part.MODULE, Light.GREEN), rest, uci, permission, keys]


def _rest(facts: PbxFacts) -> PartState:
    """Green only if users and groups were read. A connector that is too old to report readings reports the login alone."""
    if facts.status is None or facts.status.rest is RestState.UNKNOWN:
        return PartState(Part.REST, Light.OFF)
    unread_part = next(
        (found for part in _READ_BY_REST if (found := find_unread(facts, part)) is not None), None
    )
    if unread_part is not None:
        return PartState(Part.REST, Light.YELLOW, unread_part)
    has_readings = facts.status.readings is not None
    if has_readings and facts.status.reading(ReadingPart.USERS) is None:
        return PartState(Part.REST, Light.OFF)
    return PartState(Part.REST, Light.GREEN)


def _outdated(facts: PbxFacts) -> Finding | None:
    """Return a warning if the connector works but is of the first version, which does not seal answers."""
    if facts.seals_answers:
        return None
    evidence = {"pbx_name": facts.pbx_name, "version": facts.connector_version or "?"}
    return Finding(Code.CONNECTOR_OUTDATED, evidence)


def _uci(facts: PbxFacts) -> PartState:
    if facts.status is None:
        return PartState(Part.UCI, Light.OFF)
    off = find_uci_off(facts)
    return PartState(Part.UCI, Light.YELLOW if off else Light.GREEN, off)


def _permission(facts: PbxFacts) -> PartState:
    status = facts.status
    if status is None or status.permission_found is None:
        return PartState(Part.PERMISSION, Light.OFF)
    if (unknown := find_unread(facts, ReadingPart.PERMISSIONS)) is not None:
        return PartState(Part.PERMISSION, Light.YELLOW, unknown)
    version = status.pbx_version
    if version is not None and is_older(version, UAL_SINCE):
        evidence = {"pbx_name": facts.pbx_name, "version": version, "needed": UAL_SINCE}
        return PartState(Part.PERMISSION, Light.YELLOW, Finding(Code.PBX_TOO_OLD, evidence, "no-ual"))
    if status.permission_found:
        return PartState(Part.PERMISSION, Light.GREEN)
    evidence = {
        "permission": status.permission_name or "",
        "candidates": ", ".join(status.permission_candidates or ()),
    }
    variant = "candidates" if status.permission_candidates else None
    return PartState(Part.PERMISSION, Light.YELLOW, Finding(Code.PERMISSION_MISSING, evidence, variant))


def _licence_keys(
    pbx_name: str, refused: Sequence[LicenceReason], valid_until: Sequence[datetime], now: datetime
) -> PartState:
    evidence = {"pbx_name": pbx_name}
    if refused:
        return PartState(Part.LICENCE_KEY, Light.RED, Finding(Code.NO_LICENCE, evidence, refused[0]))
    if not valid_until:
        return PartState(Part.LICENCE_KEY, Light.OFF)
    first = min(valid_until)
    if first <= now:
        expired = Finding(Code.NO_LICENCE, {**evidence, "until": first}, LicenceReason.KEY_EXPIRED)
        return PartState(Part.LICENCE_KEY, Light.RED, expired)
    if first - now <= EXPIRES_SOON:
        soon = Finding(Code.LICENCE_EXPIRES, {**evidence, "until": first})
        return PartState(Part.LICENCE_KEY, Light.YELLOW, soon)
    return PartState(Part.LICENCE_KEY, Light.GREEN)
