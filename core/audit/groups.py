"""Groups of audit kinds: what an administrator can choose to see. Every kind is in exactly one group."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from core.store.audit import AuditKind


class AuditGroup(StrEnum):
    """The values are part of the tab API; the client has words for them."""

    SESSIONS = "sessions"
    """Who signed in and out, and who waited for a licence."""
    REFUSALS = "refusals"
    """Sign-ins and acts that were refused."""
    LICENCES = "licences"
    """Licence keys and the rules for them."""
    TRUST = "trust"
    """Organisations, and how their people sign in."""
    PBX = "pbx"
    """The PBX's name, key and connector."""
    EXPORTS = "exports"
    """What administrators exported and examined."""
    CONSENTS = "consents"
    """What people switched on or off for themselves: telephone, help with calls, the audio helper."""


_KINDS: Final[Mapping[AuditGroup, Sequence[AuditKind]]] = {
    AuditGroup.SESSIONS: (
        AuditKind.GRANTED,
        AuditKind.ENDED,
        AuditKind.MOVED,
        AuditKind.OFFERED,
        AuditKind.OFFER_PASSED,
        AuditKind.WAITING_ENDED,
        AuditKind.IDENTITY_PINNED,
    ),
    AuditGroup.REFUSALS: (
        AuditKind.DENIED,
        AuditKind.SIGN_IN_FAILED,
        AuditKind.SIGN_IN_THROTTLED,
        AuditKind.ACT_REFUSED,
    ),
    AuditGroup.LICENCES: (
        AuditKind.POOL_ADDED,
        AuditKind.POOL_CHANGED,
        AuditKind.POOL_WITHDRAWN,
        AuditKind.POLICY_CHANGED,
        AuditKind.EXPIRY_NOTIFIED,
        AuditKind.KEY_RELEASED,
        AuditKind.KEYS_REFUSED,
    ),
    AuditGroup.TRUST: (
        AuditKind.TENANT_TRUSTED,
        AuditKind.TENANT_DISTRUSTED,
        AuditKind.ENTRY_CHANGED,
        AuditKind.PRIMARY_OVERRULED,
        AuditKind.ENTRY_APPROVED,
        AuditKind.APPROVAL_ENDED,
    ),
    AuditGroup.PBX: (
        AuditKind.NAME_HANDED_OVER,
        AuditKind.CLAIM_REFUSED,
        AuditKind.ENROLMENT_CODE_MADE,
        AuditKind.ENROLMENT_CODE_USED,
        AuditKind.ENROLMENT_CODE_REVOKED,
        AuditKind.PBX_KEY_RENEWED,
        AuditKind.PBX_REMOVED,
        AuditKind.UCI_RESTARTED,
        AuditKind.KEY_RENEWAL,
    ),
    AuditGroup.EXPORTS: (
        AuditKind.HOLDERS_EXPORTED,
        AuditKind.AUDIT_EXPORTED,
        AuditKind.EXAMINED,
        AuditKind.PACKAGE_OFFERED,
    ),
    AuditGroup.CONSENTS: (
        AuditKind.CALL_HELP_ON,
        AuditKind.CALL_HELP_OFF,
        AuditKind.PROBE_PAIRED,
        AuditKind.PROBE_UNPAIRED,
        AuditKind.PHONE_ON,
        AuditKind.PHONE_OFF,
    ),
}


def kinds_of(group: AuditGroup) -> Sequence[AuditKind]:
    return _KINDS[group]
