"""The one table of stable codes: why there is no open connection, and why something is refused.

Each code has title, detail and cure in `words/de.json` and `words/en.json`.
"""

from enum import StrEnum


class Code(StrEnum):
    # Design, section 7: no open connection.
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
    PBX_BUSY = "pbx-busy"
    OUTCOME_UNKNOWN = "outcome-unknown"
    SERVICE_UNREACHABLE = "service-unreachable"
    PLANE_DOWN = "plane-down"

    # Found by the doctor at the customer's site, beside those above.
    CONFIGURATION_INVALID = "configuration-invalid"
    STATE_UNUSABLE = "state-unusable"
    SECRETS_EXPOSED = "secrets-exposed"
    KEY_NOT_KNOWN = "key-not-known"
    NOT_LINKED = "not-linked"
    PERMISSION_MISSING = "permission-missing"
    UCI_NO_EVENTS = "uci-no-events"

    # Sign-in.
    LOGIN_REJECTED = "login-rejected"
    CHALLENGE_EXPIRED = "challenge-expired"
    NO_LICENCE = "no-licence"
    SESSION_HELD_ELSEWHERE = "session-held-elsewhere"
    TENANT_NOT_TRUSTED = "tenant-not-trusted"
    EMAIL_NOT_MATCHED = "email-not-matched"
    NOT_AUTOMATIC = "not-automatic"
    PRIMARY_ELSEWHERE = "primary-elsewhere"
    THROTTLED = "throttled"
    NOT_SIGNED_IN = "not-signed-in"
    NOT_ADMINISTRATOR = "not-administrator"
    SESSION_GONE = "session-gone"
    NOT_REFUSED = "not-refused"
    POOL_GONE = "pool-gone"
    CLAIM_GONE = "claim-gone"
    LICENCE_EXPIRES = "licence-expires"
    BAD_POLICY = "bad-policy"
    STORAGE_UNAVAILABLE = "storage-unavailable"

    # The audio advisor.
    CALLS_NOT_FOLLOWED = "calls-not-followed"
    CALL_RECORDS_NOT_ALLOWED = "call-records-not-allowed"
    CALL_RECORDS_UNAVAILABLE = "call-records-unavailable"

    # The link's own handshake.
    BAD_SIGNATURE = "bad-signature"
    PROTOCOL_ERROR = "protocol-error"
    ENROLMENT_NEEDED = "enrolment-needed"

    # The web API's edge.
    CROSS_SITE = "cross-site"
    TOKEN_REJECTED = "token-rejected"  # noqa: S105 - a code, not a secret
    IDENTITY_UNAVAILABLE = "identity-unavailable"
    INVALID_REQUEST = "invalid-request"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    TOO_LARGE = "too-large"
    INTERNAL = "internal-error"

    @classmethod
    def named(cls, name: str) -> "Code | None":
        return next((code for code in cls if code.value == name), None)


class LicenceReason(StrEnum):
    """Why there is no licence (`no-licence`)."""

    POOL_EXHAUSTED = "pool-exhausted"
    NO_POOL = "no-pool"
    KEY_EXPIRED = "key-expired"
    KEY_NOT_YET_VALID = "key-not-yet-valid"
    KEY_BOUND_ELSEWHERE = "key-bound-elsewhere"
    KEY_INVALID = "key-invalid"
    NOT_ADMITTED = "not-admitted"
