"""Errors of the tab API: problem+json (RFC 9457) with a stable code, in the reader's language."""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiohttp import web
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, RefusedError, Role, explain
from core.identity.signing_keys import KeysUnavailableError
from core.identity.tokens import TokenFault, TokenRejectedError
from core.language import Language
from core.request import REQUEST_ID
from core.store.database import STORAGE_ERRORS
from core.store.transaction import UnstorableValueError
from wire.faults import MAX_FAULTS, faults_of
from wire.tab import Problem

logger = logging.getLogger(__name__)

_STATUS: Final = {
    Code.TOKEN_REJECTED: 401,
    Code.INVALID_REQUEST: 400,
    Code.UNSTORABLE_VALUE: 422,
    Code.MALFORMED_KEY: 400,
    Code.PBX_NAME_INVALID: 400,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.TOO_LARGE: 413,
    Code.TOO_SLOW: 408,
    Code.THROTTLED: 429,
    Code.LOGIN_PAUSED: 429,
    Code.INTERNAL: 500,
    Code.PROTOCOL_ERROR: 502,
    Code.OUTCOME_UNKNOWN: 504,
    Code.SESSION_GONE: 410,
    Code.POOL_GONE: 410,
    Code.CLAIM_GONE: 410,
    Code.PACKAGE_GONE: 410,
    Code.NOT_REFUSED: 409,
    Code.BAD_POLICY: 422,
    Code.NUMBER_UNUSABLE: 422,
    Code.CALL_GONE: 410,
    Code.PHONE_OFF: 409,
    Code.PHONE_NOT_OFFERED: 409,
    Code.ALREADY_DIALLING: 409,
    Code.NUMBER_NEEDS_CONFIRMATION: 409,
    Code.NO_LICENCE: 409,
    Code.SESSION_HELD_ELSEWHERE: 409,
    Code.CHALLENGE_EXPIRED: 409,
    Code.CALLS_NOT_FOLLOWED: 409,
    Code.CALL_RECORDS_NOT_ALLOWED: 409,
    Code.PBX_TOO_OLD: 409,
    Code.NOT_AUTOMATIC: 409,
    Code.PRIMARY_ELSEWHERE: 409,
    Code.IDENTITY_CHANGED: 409,
    Code.HANDED_OVER: 409,
    Code.REPAIRS_REFUSED: 409,
    Code.CONNECTOR_OUTDATED: 409,
} | dict.fromkeys(
    (
        Code.UNKNOWN_PBX,
        Code.WRONG_KEY,
        Code.LOGIN_REJECTED,
        Code.TENANT_NOT_TRUSTED,
        Code.EMAIL_NOT_MATCHED,
        Code.EMAIL_NOT_VERIFIED,
        Code.GUEST,
        Code.PASSWORD_NEEDED,
        Code.TENANT_AUTHORITY_NEEDED,
        Code.NOT_SIGNED_IN,
        Code.NOT_ADMINISTRATOR,
        Code.PHONE_NEEDS_LICENCE,
        Code.NAME_BOUND_ELSEWHERE,
        Code.CROSS_SITE,
        Code.TENANT_NOT_ALLOWED,
    ),
    403,
)
_NAME_FAULTS: Final = ("value_error", "string_too_long")
"""Pydantic's error types for an invalid PBX name. A user may have typed it, so it has its own message."""
_UNAVAILABLE: Final = 503
"""Status for every problem at the PBX or on the connection to it."""
_FOR_ADMINISTRATORS: Final = re.compile(r"/api/v1/(?:licences|setup|audit|trust|connection)(?:/|$)")
"""Operations of which administrators read the problems. Everybody else learns that they are none."""
RETRIED_STATUSES: Final = (429, _UNAVAILABLE)
"""Answers that say by `Retry-After` when to ask again."""
_RETRY_SECONDS: Final = {429: 60, _UNAVAILABLE: 10}
_MOST_RETRY_SECONDS: Final = 3600


def language_of(request: web.Request) -> Language:
    return Language.of(request.headers.get("Accept-Language"))


def status_of(code: Code) -> int:
    return _STATUS.get(code, _UNAVAILABLE)


def problem(request: web.Request, finding: Finding) -> web.Response:
    """Build the problem+json response for a finding, in the language of the request."""
    role = Role.ADMINISTRATOR if _FOR_ADMINISTRATORS.match(request.path) else Role.USER
    explanation = explain(finding, language_of(request), role)
    status = status_of(finding.code)
    reason = finding.evidence.get("reason")  # evidence of a connector may have any type here
    body = Problem(
        type=f"urn:pbx-teams:problem:{finding.code}",
        title=explanation.title,
        status=status,
        detail=explanation.detail,
        code=finding.code,
        cure=explanation.cure,
        reason=reason if isinstance(reason, str) and reason else finding.variant,
        request_id=str(REQUEST_ID.get()),
    )
    response = web.Response(
        text=body.model_dump_json(by_alias=True), status=status, content_type="application/problem+json"
    )
    if finding.code is Code.TOO_SLOW:
        response.force_close()
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    elif status in RETRIED_STATUSES:
        response.headers["Retry-After"] = str(_retry_seconds(finding, status))
    return response


def _retry_seconds(finding: Finding, status: int) -> int:
    """Return the finding's own number of seconds if it is valid. A connector's evidence may hold anything under this name."""
    seconds = finding.evidence.get("seconds")
    if type(seconds) is not int or seconds < 1:
        return _RETRY_SECONDS[status]
    return min(seconds, _MOST_RETRY_SECONDS)


@web.middleware
async def problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Convert every error below `/api/` into a problem response."""
    try:
        return await handler(request)
    except RefusedError as refused:
        return problem(request, refused.finding)
    except TokenRejectedError as rejected:
        logger.info("token rejected", extra={"reason": rejected.fault, "path": request.path})
        # Signing in to Teams again would not help a user whose organisation is not admitted.
        is_foreign = rejected.fault is TokenFault.FOREIGN_TENANT
        return problem(request, Finding(Code.TENANT_NOT_ALLOWED if is_foreign else Code.TOKEN_REJECTED))
    except KeysUnavailableError:
        return problem(request, Finding(Code.IDENTITY_UNAVAILABLE))
    except ValidationError as invalid:
        faults = faults_of(invalid)
        if any("pbxName" in fault["loc"] and fault["type"] in _NAME_FAULTS for fault in faults):
            return problem(request, Finding(Code.PBX_NAME_INVALID))
        return problem(request, Finding(Code.INVALID_REQUEST, {"error": _where(faults)}))
    except UnstorableValueError as unstorable:
        logger.warning("unstorable value", extra={"path": request.path, "reason": str(unstorable)})
        return problem(request, Finding(Code.UNSTORABLE_VALUE))
    except STORAGE_ERRORS:
        logger.warning("storage unavailable", extra={"path": request.path}, exc_info=True)
        return problem(request, Finding(Code.STORAGE_UNAVAILABLE))
    except web.RequestPayloadError:  # the start of the next request on this connection is unknown
        response = problem(request, Finding(Code.INVALID_REQUEST, {"error": "body"}))
        response.force_close()
        return response
    except web.HTTPRequestEntityTooLarge:
        return problem(request, Finding(Code.TOO_LARGE))
    except web.HTTPNotFound:
        return problem(request, Finding(Code.NOT_FOUND))
    except web.HTTPMethodNotAllowed as refused:
        response = problem(request, Finding(Code.METHOD_NOT_ALLOWED))
        response.headers["Allow"] = refused.headers["Allow"]
        return response
    except web.HTTPException:
        raise
    except Exception:
        logger.exception("unexpected error", extra={"path": request.path})
        return problem(request, Finding(Code.INTERNAL, {"request_id": str(REQUEST_ID.get())}))


def _where(faults: Sequence[ErrorDetails]) -> str:
    """Return the names of the invalid members, never their values."""
    if not faults:
        return f"more than {MAX_FAULTS} members are unknown or do not fit"
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in faults[:5])
