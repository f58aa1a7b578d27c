"""All stable codes: why there is no open connection to a PBX, and why something was refused.

Each code has a title, a detail and a cure in `words/de.json` and `words/en.json`.
"""

from enum import StrEnum
from typing import Final


class Code(StrEnum):
    # There is no open connection.
    UNKNOWN_PBX = "unknown-pbx"
    WRONG_KEY = "wrong-key"
    MALFORMED_KEY = "malformed-key"
    NEVER_CONNECTED = "never-connected"
    LINK_DOWN = "link-down"
    MODULE_INACTIVE = "module-inactive"
    UCI_CONNECTOR_OFF = "uci-connector-off"
    NAME_BOUND_ELSEWHERE = "name-bound-elsewhere"
    PBX_UNREACHABLE = "pbx-unreachable"
    PBX_LOGIN_FAILED = "pbx-login-failed"
    PBX_TOO_OLD = "pbx-too-old"
    PBX_ANSWER_UNCLEAR = "pbx-answer-unclear"
    PBX_RESTARTING = "pbx-restarting"
    PBX_SLOW = "pbx-slow"
    PBX_RIGHTS_MISSING = "pbx-rights-missing"
    PBX_ADDRESS_BLOCKED = "pbx-address-blocked"
    LOGIN_PAUSED = "login-paused"
    PBX_CLOUD = "pbx-cloud"
    PBX_BUSY = "pbx-busy"
    OUTCOME_UNKNOWN = "outcome-unknown"
    SERVICE_UNREACHABLE = "service-unreachable"
    PLANE_DOWN = "plane-down"

    # Only the doctor at the customer's site finds these; it uses those above too.
    CONFIGURATION_INVALID = "configuration-invalid"
    STATE_UNUSABLE = "state-unusable"
    SECRETS_EXPOSED = "secrets-exposed"
    KEY_NOT_KNOWN = "key-not-known"
    NOT_LINKED = "not-linked"
    CONNECTOR_OUTDATED = "connector-outdated"
    CLEAR_TEXT = "clear-text"
    PERMISSION_MISSING = "permission-missing"
    UCI_NO_EVENTS = "uci-no-events"

    # Repairs that an administrator asks of a connector.
    REPAIRS_REFUSED = "repairs-refused"

    # Sign-in.
    LOGIN_REJECTED = "login-rejected"
    CHALLENGE_EXPIRED = "challenge-expired"
    NO_LICENCE = "no-licence"
    SESSION_HELD_ELSEWHERE = "session-held-elsewhere"
    TENANT_NOT_TRUSTED = "tenant-not-trusted"
    EMAIL_NOT_MATCHED = "email-not-matched"
    EMAIL_NOT_VERIFIED = "email-not-verified"
    GUEST = "guest"
    IDENTITY_CHANGED = "identity-changed"
    PASSWORD_NEEDED = "password-needed"  # noqa: S105 - a code, not a secret
    TENANT_AUTHORITY_NEEDED = "tenant-authority-needed"
    HANDED_OVER = "handed-over"
    NOT_AUTOMATIC = "not-automatic"
    PRIMARY_ELSEWHERE = "primary-elsewhere"
    THROTTLED = "throttled"
    NOT_SIGNED_IN = "not-signed-in"
    NOT_ADMINISTRATOR = "not-administrator"
    SESSION_GONE = "session-gone"
    NOT_REFUSED = "not-refused"
    POOL_GONE = "pool-gone"
    CLAIM_GONE = "claim-gone"
    PACKAGE_GONE = "package-gone"
    LICENCE_EXPIRES = "licence-expires"
    BAD_POLICY = "bad-policy"
    STORAGE_UNAVAILABLE = "storage-unavailable"

    # The audio advisor.
    CALLS_NOT_FOLLOWED = "calls-not-followed"
    CALL_RECORDS_NOT_ALLOWED = "call-records-not-allowed"
    CALL_RECORDS_UNAVAILABLE = "call-records-unavailable"

    # The telephone.
    PHONE_OFF = "phone-off"
    PHONE_NOT_OFFERED = "phone-not-offered"
    PHONE_NEEDS_LICENCE = "phone-needs-licence"
    LINE_DOWN = "line-down"
    ALREADY_DIALLING = "already-dialling"
    NUMBER_UNUSABLE = "number-unusable"
    NUMBER_NEEDS_CONFIRMATION = "number-needs-confirmation"
    CALL_GONE = "call-gone"

    # The link's own handshake.
    BAD_SIGNATURE = "bad-signature"
    PROTOCOL_ERROR = "protocol-error"
    ENROLMENT_NEEDED = "enrolment-needed"
    PBX_NAME_INVALID = "pbx-name-invalid"

    # The web API's edge.
    CROSS_SITE = "cross-site"
    TOKEN_REJECTED = "token-rejected"  # noqa: S105 - a code, not a secret
    TENANT_NOT_ALLOWED = "tenant-not-allowed"
    IDENTITY_UNAVAILABLE = "identity-unavailable"
    INVALID_REQUEST = "invalid-request"
    UNSTORABLE_VALUE = "unstorable-value"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    TOO_LARGE = "too-large"
    TOO_SLOW = "too-slow"
    INTERNAL = "internal-error"

    @classmethod
    def named(cls, name: str) -> "Code | None":
        return next((code for code in cls if code.value == name), None)


PBX_FAULTS: Final = (
    Code.PBX_UNREACHABLE,
    Code.PBX_LOGIN_FAILED,
    Code.PBX_ANSWER_UNCLEAR,
    Code.PBX_RESTARTING,
    Code.PBX_SLOW,
    Code.PBX_RIGHTS_MISSING,
    Code.PBX_ADDRESS_BLOCKED,
    Code.LOGIN_PAUSED,
    Code.PBX_CLOUD,
)
"""Codes that say why a linked connector cannot use its PBX."""

PHONE_FAULTS: Final = (
    Code.PHONE_OFF,
    Code.PHONE_NOT_OFFERED,
    Code.LINE_DOWN,
    Code.ALREADY_DIALLING,
    Code.NUMBER_UNUSABLE,
    Code.NUMBER_NEEDS_CONFIRMATION,
    Code.CALL_GONE,
)
"""Codes with which a connector refuses a telephone request."""


class LicenceReason(StrEnum):
    """Variants of `no-licence`: why there is no licence."""

    POOL_EXHAUSTED = "pool-exhausted"
    NO_POOL = "no-pool"
    KEY_EXPIRED = "key-expired"
    KEY_NOT_YET_VALID = "key-not-yet-valid"
    KEY_BOUND_ELSEWHERE = "key-bound-elsewhere"
    KEY_INVALID = "key-invalid"
    NOT_ADMITTED = "not-admitted"
