"""The connector's errors. Their codes are those of the service's table (`core.diagnosis.codes`)."""

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding


class ConnectorError(Exception):
    """An error that a user or the environment caused. The command prints its message and nothing else."""


class PbxError(Exception):
    """The PBX cannot be used; `code` is stable and crosses the link."""

    code = "pbx-unreachable"


class PbxAwayError(PbxError):
    """The whole PBX cannot be used at the moment; a subclass says why."""


class PbxUnreachableError(PbxAwayError):
    code = "pbx-unreachable"

    def __init__(self, message: str, finding: Finding | None = None) -> None:
        """`finding`: where the path to the PBX ends, as the doctor reports it."""
        super().__init__(message)
        self.finding = finding


class PbxLoginFailedError(PbxError):
    """The connector's own login is refused."""

    code = "pbx-login-failed"


class PbxCloudError(PbxLoginFailedError):
    """People log in to this PBX through a central identity provider, which accepts no program with a password."""

    code = "pbx-cloud"

    def __init__(self) -> None:
        super().__init__("logins to this PBX are made at STARFACE's cloud or at another identity provider")


class LoginRejectedError(PbxError):
    """A user's login or password is wrong."""

    code = "login-rejected"


class ChallengeExpiredError(PbxError):
    """The nonce is unknown: it is older than five minutes, already used, or from before a restart."""

    code = "challenge-expired"


class PbxAnswerError(PbxError):
    """The PBX's answer cannot be understood. The message says where and why, and contains nothing secret."""

    code = "pbx-answer-unclear"

    def __init__(self, path: str, status: int, reason: str, excerpt: str = "") -> None:
        shown = f': "{excerpt}"' if excerpt else ""
        super().__init__(f"{path} answers {status}, {reason}{shown}")
        self.path = path
        self.status = status


class PbxRestartingError(PbxAwayError):
    """The PBX answers 429, 502, 503 or 504: it is starting, or its web server waits for it."""

    code = "pbx-restarting"


class PbxSlowError(PbxAwayError):
    """The PBX can be reached, but its answer timed out."""

    code = "pbx-slow"


class PbxForbiddenError(PbxError):
    """The login works but lacks the permission for this request."""

    code = "pbx-rights-missing"


class LoginPausedError(PbxError):
    """No login is tried at the moment, so that the PBX does not block the connector's address."""

    code = "login-paused"

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        """`is_final`: no further try is made automatically."""
        super().__init__(message)
        self.is_final = is_final


class PbxBlockedError(PbxAwayError):
    """The PBX has stopped answering after it refused logins: the connector's address is probably on its blacklist."""

    code = "pbx-address-blocked"


class PhoneError(PbxError):
    """A person's request to their telephone failed; `code` is one of `PHONE_FAULTS`.

    The message contains no number and no name, because the service may log it. `evidence` is for the person who made the
    request and is not logged.
    """

    def __init__(self, code: Code, message: str, **evidence: str) -> None:
        super().__init__(message)
        self.code = code.value
        self.evidence = evidence
