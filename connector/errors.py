"""What goes wrong at the PBX's side. Codes are those of the service's table (`core.diagnosis.codes`)."""


class ConnectorError(Exception):
    """A user or the surroundings can cause this: the message is the whole output."""


class PbxError(Exception):
    """The PBX cannot be used; `code` is stable and crosses the link."""

    code = "pbx-unreachable"


class PbxUnreachableError(PbxError):
    code = "pbx-unreachable"


class PbxLoginFailedError(PbxError):
    """The connector's own login is refused."""

    code = "pbx-login-failed"


class LoginRejectedError(PbxError):
    """A user's login or password is not right."""

    code = "login-rejected"


class ChallengeExpiredError(PbxError):
    """The nonce is unknown: older than five minutes, used already, or from before a restart."""

    code = "challenge-expired"
