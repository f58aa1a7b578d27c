"""Parses the PBX's answers: each becomes a record or raises a `PbxAnswerError`.

The shapes are those of the vendor's REST description 6.7.0.22. Known deviations of real systems are accepted as well: ids
as text, members that are missing or null, additional members. A record that cannot be parsed is skipped and counted, so
that one odd user does not lock out the others. An answer that should be a list and is not is an error, never an empty
list.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from connector.errors import PbxAnswerError
from core.diagnosis.version import find_version_number
from wire.bounds import MAX_EMAIL, MAX_INTEGER, MAX_LOGIN, MAX_NAME, Nonce, clean_line, email_or_nothing

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
"""A list of 50,000 users is about 20 MB."""
MAX_RECORDS: Final = 100_000
MAX_TOKEN_CHARS: Final = 8192
EXCERPT_CHARS: Final = 80
NO_ID: Final = -1
"""The id of a permission that a user holds and that has no id in the answer."""
DEFAULT_EXPIRY_SECONDS: Final = 300.0
"""The life of an access token without `expires_in` (STARFACE 10: 300 s)."""

_TEXT_CHARSETS: Final[Mapping[str, str]] = {
    "iso-8859-1": "cp1252",  # as browsers read it (WHATWG, Encoding)
    "latin1": "cp1252",
    "us-ascii": "cp1252",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
    **{f"iso-8859-{part}": f"iso-8859-{part}" for part in (2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)},
    **{f"windows-{page}": f"cp{page}" for page in (1250, 1251, 1253, 1254, 1255, 1256, 1257, 1258)},
}
"""Encodings that an answer may declare. Python knows more, but some of them take long to decode."""
_NONCE: Final[TypeAdapter[str]] = TypeAdapter(Nonce)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ParsedList(Generic[T]):
    """The records of a list that could be parsed."""

    items: Sequence[T]
    skipped: int = 0
    reason: str | None = None
    """Why the first skipped record could not be parsed; without its content."""


@dataclass(frozen=True, slots=True)
class UserRecord:
    id: int
    login: str
    display_name: str
    email: str


@dataclass(frozen=True, slots=True)
class PermissionRecord:
    id: int
    names: frozenset[str]
    """The name and the description, as the PBX shows them."""


@dataclass(frozen=True, slots=True)
class GroupRecord:
    id: int
    name: str
    members: Sequence[int] = field(default=())
    others: Sequence[int] = field(default=())
    """Ids of users who do not belong to the group, according to the PBX."""
    skipped: int = 0
    """The number of its users that could not be parsed."""


@dataclass(frozen=True, slots=True)
class OAuthToken:
    access_token: str
    refresh_token: str | None
    expires_seconds: float


class _OddRecordError(ValueError):
    """A record cannot be parsed; the message names the odd member."""


def parsed(path: str, status: int, body: bytes, charset: str | None, *, is_secret: bool = False) -> Any:
    """Return the JSON of an answer. `is_secret`: errors must not quote the body, for instance at a login."""
    text = _decoded(body, charset)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise PbxAnswerError(
            path=path, status=status, reason="no JSON", excerpt="" if is_secret else _excerpt(text)
        ) from fault


def users(path: str, answer: Any) -> ParsedList[UserRecord]:
    """Parse `GET /users`."""
    return _records(path, answer, _user)


def user(path: str, answer: Any) -> UserRecord:
    """Parse `GET /users/{id}` or `GET /users/me`."""
    return _one(path, answer, _user)


def permissions(path: str, answer: Any) -> ParsedList[PermissionRecord]:
    """Parse `GET /permissions`."""
    return _records(path, answer, _permission)


def held_permissions(path: str, answer: Any) -> ParsedList[PermissionRecord]:
    """Parse `GET /permissions/users/{id}`. Permissions are compared by name, so one without an id is accepted."""
    return _records(path, answer, _held_permission)


def holders(path: str, answer: Any) -> ParsedList[int]:
    """Parse the user ids of `GET /permissions/{id}/users`. Other members are ignored, so that an odd one costs nobody the
    permission.
    """
    return _records(path, answer, lambda record: _id(record.get("id")))


def groups(path: str, answer: Any) -> ParsedList[GroupRecord]:
    """Parse `GET /groups`, which has no members."""
    return _records(path, answer, _named_group)


def group(path: str, answer: Any) -> GroupRecord:
    """Parse `GET /groups/{id}`. A group without a list of members is an error, because it may still have members."""
    return _one(path, answer, _group)


def version(answer: Any) -> str | None:
    """Parse the version of `GET /server/version` or UCI: text, a number, or an object with one of them. None without one."""
    if isinstance(answer, Mapping):
        named = [answer[name] for name in ("version", "serverVersion", "Version") if name in answer]
        answer = named[0] if named else next((one for one in answer.values() if isinstance(one, str)), None)
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        return None
    text = clean_line(str(answer)[:500], 50)
    return find_version_number(text) or text or None


def login_template(path: str, answer: Any) -> dict[str, Any]:
    """Parse `GET /login`: `nonce` and `loginType` ("Internal" if missing, as in the vendor's JavaScript client)."""
    fields = _object(path, answer)
    try:
        nonce = _NONCE.validate_python(fields.get("nonce"), strict=True)
    except ValidationError as fault:  # the link cannot carry it
        raise PbxAnswerError(path, 200, "no nonce that could be used") from fault
    if not nonce:
        raise PbxAnswerError(path, 200, "no nonce")
    login_type = fields.get("loginType")
    return {
        "loginType": login_type if isinstance(login_type, str) else "Internal",
        "nonce": nonce,
        "secret": None,
    }


def auth_token(path: str, answer: Any) -> str:
    """Parse the token of `POST /login`."""
    return _secret(path, _object(path, answer).get("token"), "no token")


def oauth_token(path: str, answer: Any) -> OAuthToken:
    """Parse a token answer (RFC 6749, section 5.1). `expires_in` may be missing, null or text."""
    fields = _object(path, answer)
    refresh = fields.get("refresh_token")
    return OAuthToken(
        access_token=_secret(path, fields.get("access_token"), "no access_token"),
        refresh_token=refresh if isinstance(refresh, str) and 0 < len(refresh) <= MAX_TOKEN_CHARS else None,
        expires_seconds=_seconds(fields.get("expires_in")),
    )


def _records(path: str, answer: Any, read: Callable[[Mapping[str, Any]], T]) -> ParsedList[T]:
    if not isinstance(answer, list):
        raise PbxAnswerError(path, 200, f"a list is expected, not {_kind(answer)}")
    if len(answer) > MAX_RECORDS:
        raise PbxAnswerError(path, 200, f"more than {MAX_RECORDS} records")
    items: list[T] = []
    skipped, reason = 0, None
    for record in answer:
        try:
            items.append(read(_fields(record)))
        except _OddRecordError as odd:
            skipped += 1
            reason = reason or str(odd)
    if skipped and not items:
        raise PbxAnswerError(path, 200, f"none of {skipped} records can be read: {reason}")
    return ParsedList(items, skipped, reason)


def _one(path: str, answer: Any, read: Callable[[Mapping[str, Any]], T]) -> T:
    try:
        return read(_fields(answer))
    except _OddRecordError as odd:
        raise PbxAnswerError(path, 200, str(odd)) from odd


def _user(record: Mapping[str, Any]) -> UserRecord:
    number = _id(record.get("id"))
    login = _text(record.get("login"))
    if len(login) > MAX_LOGIN:
        raise _OddRecordError("login is too long")
    names = (_text(record.get("firstName")), _text(record.get("familyName")))
    shown = clean_line(" ".join(name for name in names if name), MAX_NAME)
    login = clean_line(login, MAX_LOGIN)
    email = email_or_nothing(_text(record.get("email")).strip()[: MAX_EMAIL + 1])
    return UserRecord(id=number, login=login, display_name=shown or login or str(number), email=email)


def _permission(record: Mapping[str, Any]) -> PermissionRecord:
    return PermissionRecord(_id(record.get("id")), _permission_names(record))


def _held_permission(record: Mapping[str, Any]) -> PermissionRecord:
    names = _permission_names(record)
    if not names:
        raise _OddRecordError("a permission has no name")
    try:
        return PermissionRecord(_id(record.get("id")), names)
    except _OddRecordError:
        return PermissionRecord(NO_ID, names)


def _permission_names(record: Mapping[str, Any]) -> frozenset[str]:
    names = {_text(record.get(member)) for member in ("permission", "description")}
    return frozenset(clean_line(name, MAX_NAME) for name in names if name.strip())


def _named_group(record: Mapping[str, Any]) -> GroupRecord:
    number = _id(record.get("id"))
    name = clean_line(_text(record.get("name")) or _text(record.get("groupname")), MAX_NAME)
    return GroupRecord(number, name or str(number))


def _group(record: Mapping[str, Any]) -> GroupRecord:
    named, users = _named_group(record), record.get("assignableUsers")
    if not isinstance(users, list):
        raise _OddRecordError(f"assignableUsers is {_kind(users)}")
    found: dict[bool | None, list[int]] = {True: [], False: [], None: []}
    skipped = 0
    for user in users:
        try:
            found[_flag(_fields(user).get("assigned"))].append(_id(user.get("id")))
        except _OddRecordError:
            skipped += 1
    return GroupRecord(
        named.id, named.name, tuple(found[True]), tuple(found[False]), skipped + len(found[None])
    )


def _flag(value: Any) -> bool | None:
    """Return a boolean that may be written as a number or as text, or None if it is something else."""
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(value.strip().lower())
    return bool(value) if isinstance(value, int) and value in (0, 1) else None


def _id(value: Any) -> int:
    """Return an id, which some systems write as text. Raises `_OddRecordError`."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _OddRecordError(f"id is {_kind(value)}")
    if not 0 <= value <= MAX_INTEGER:
        raise _OddRecordError("id is out of range")
    return value


def _text(value: Any) -> str:
    """Return text unchanged and a number as text; any other value counts as missing."""
    if isinstance(value, str):
        return value
    return (
        str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18 else ""
    )


def _fields(record: Any) -> Mapping[str, Any]:
    if not isinstance(record, Mapping):
        raise _OddRecordError(f"a record is {_kind(record)}")
    return record


def _object(path: str, answer: Any) -> Mapping[str, Any]:
    if not isinstance(answer, Mapping):
        raise PbxAnswerError(path, 200, f"an object is expected, not {_kind(answer)}")
    return answer


def _secret(path: str, value: Any, missing: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TOKEN_CHARS or not value.isprintable():
        raise PbxAnswerError(path, 200, missing)
    return value


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return DEFAULT_EXPIRY_SECONDS
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return DEFAULT_EXPIRY_SECONDS
    return seconds if math.isfinite(seconds) and 0 < seconds < 10**9 else DEFAULT_EXPIRY_SECONDS


def _kind(value: Any) -> str:
    """Return the kind of a value for an error message, never the value itself."""
    if value is None:
        return "null"
    names = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "something else")


def _decoded(body: bytes, charset: str | None) -> str:
    """Decode a JSON text. `charset`: the encoding that the answer declares.

    JSON is UTF-8 (RFC 8259), UTF-16 or UTF-32 (RFC 7159, detected by its zero bytes). Older systems send ISO-8859-1
    without declaring it, and servers declare ISO-8859-1 by default although the text is UTF-8. Bytes that are valid UTF-8
    are hardly ever anything else, so UTF-8 is tried first.
    """
    declared = _TEXT_CHARSETS.get((charset or "").strip().lower().replace("_", "-"))
    for encoding in (json.detect_encoding(body), declared, "cp1252"):
        if encoding is not None:
            try:
                return body.decode(encoding)
            except UnicodeError:
                continue
    return body.decode("iso-8859-1")


def _excerpt(text: str) -> str:
    return clean_line(text[: 4 * EXCERPT_CHARS], EXCERPT_CHARS)
