"""What goes wrong at the PBX's side. Codes are those of the service's table (`core.diagnosis.codes`)."""

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding


class ConnectorError(Exception):
    """A user or the surroundings can cause this: the message is the whole output."""


class PbxError(Exception):
    """The PBX cannot be used; `code` is stable and crosses the link."""

    code = "pbx-unreachable"


class PbxAwayError(PbxError):
    """The PBX as a whole cannot be used now; a subclass says why."""


class PbxUnreachableError(PbxAwayError):
    code = "pbx-unreachable"

    def __init__(self, message: str, finding: Finding | None = None) -> None:
        """`finding`: where the way to the PBX ends, in the doctor's words."""
        super().__init__(message)
        self.finding = finding


class PbxLoginFailedError(PbxError):
    """The connector's own login is refused."""

    code = "pbx-login-failed"


class PbxCloudError(PbxLoginFailedError):
    """People log in to this PBX at a central place, which takes no login of a program with a password."""

    code = "pbx-cloud"

    def __init__(self) -> None:
        super().__init__("logins to this PBX are made at STARFACE's cloud or at another identity provider")


class LoginRejectedError(PbxError):
    """A user's login or password is not right."""

    code = "login-rejected"


class ChallengeExpiredError(PbxError):
    """The nonce is unknown: older than five minutes, used already, or from before a restart."""

    code = "challenge-expired"


class PbxAnswerError(PbxError):
    """The PBX has answered, and the answer is not understood. Says where and how, and nothing that may be secret."""

    code = "pbx-answer-unclear"

    def __init__(self, path: str, status: int, reason: str, excerpt: str = "") -> None:
        shown = f': "{excerpt}"' if excerpt else ""
        super().__init__(f"{path} answers {status}, {reason}{shown}")
        self.path = path
        self.status = status


class PbxRestartingError(PbxAwayError):
    """The PBX answers 502, 503 or 504: it starts, or its web server waits for it."""

    code = "pbx-restarting"


class PbxSlowError(PbxAwayError):
    """No answer in time, although the PBX is reached."""

    code = "pbx-slow"


class PbxForbiddenError(PbxError):
    """The login works and may not read this."""

    code = "pbx-rights-missing"


class LoginPausedError(PbxError):
    """No login is tried now, so that the PBX does not block the connector's address."""

    code = "login-paused"

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        """`is_final`: no further try is made by itself."""
        super().__init__(message)
        self.is_final = is_final


class PbxBlockedError(PbxAwayError):
    """The PBX has stopped answering after it refused logins: the connector's address is probably on its blacklist."""

    code = "pbx-address-blocked"


class PhoneError(PbxError):
    """What a person asked of their telephone is not done; `code` is one of `PHONE_FAULTS`. Its words hold no number and no
    name, because the service that carries them may log them; `evidence` is for the person who asked, and is not logged.
    """

    def __init__(self, code: Code, message: str, **evidence: str) -> None:
        super().__init__(message)
        self.code = code.value
        self.evidence = evidence
