"""Which repair an administrator can make from Teams for which cause. Pure; tested by a table."""

from enum import StrEnum
from typing import Final

from core.diagnosis.codes import Code


class Repair(StrEnum):
    """What a connector does for an administrator of its PBX."""

    RESTART_UCI = "restart-uci"
    """Switch the UCI connector off and on again."""
    NEW_KEY = "new-key"
    EXAMINE = "examine"
    """Run diagnostics, which name the cause more precisely."""


REPAIRS: Final = {
    Code.UCI_CONNECTOR_OFF: Repair.RESTART_UCI,
    Code.UCI_NO_EVENTS: Repair.RESTART_UCI,
    Code.WRONG_KEY: Repair.NEW_KEY,
    Code.KEY_NOT_KNOWN: Repair.NEW_KEY,
    Code.PBX_UNREACHABLE: Repair.EXAMINE,
    Code.PBX_LOGIN_FAILED: Repair.EXAMINE,
    Code.PBX_RIGHTS_MISSING: Repair.EXAMINE,
    Code.PBX_ANSWER_UNCLEAR: Repair.EXAMINE,
    Code.PBX_ADDRESS_BLOCKED: Repair.EXAMINE,
    Code.LOGIN_PAUSED: Repair.EXAMINE,
    Code.PERMISSION_MISSING: Repair.EXAMINE,
}
"""The other causes are repaired at the connector, at the PBX or by another version."""


def find_repair(code: Code | None) -> Repair | None:
    return REPAIRS.get(code) if code is not None else None
