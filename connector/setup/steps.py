"""The steps of the set-up: what each asks, and how it is tried at once with the doctor's own checks."""

import base64
import binascii
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError

from connector.config import Config, ServiceSection
from connector.config_file import Value
from connector.doctor.pbx import PbxCheck
from connector.doctor.service import ServiceCheck
from connector.doctor.steps import Chain
from connector.errors import ConnectorError, PbxCloudError, PbxError
from connector.exchange import EndpointElsewhereError, PbxRedirectedError
from connector.login import discover
from connector.network import dial, tls
from connector.network.client import HttpClient
from connector.network.faults import NETWORK_FAULTS, UnreachedError
from connector.network.proxy import ProxySettingError
from connector.network.route import proxy_for
from connector.network.target import Target
from connector.setup.draft import SECRETS, Draft
from core.diagnosis.codes import Code
from wire.bounds import clean_line
from wire.doctor import DoctorStep, StepOutcome
from wire.pasted import host_of, token
from wire.pbx_name import pbx_name

MAX_VALUE: Final = 500
MAX_KEYS: Final = 50
MAX_KEY: Final = 8192
CALL_SECONDS: Final = 60.0
"""How long the step UCI waits for a call, if the technician wants to make one."""
_ACCEPTABLE: Final = ("tls-foreign-ca", "tls-name", "tls-expired", "tls-changed")
"""Why a certificate of the PBX is refused although a person may accept it by its fingerprint."""


class Kind(StrEnum):
    TEXT = "text"
    SECRET = "password"  # noqa: S105 - the type of an input
    LINES = "lines"
    SWITCH = "switch"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Field:
    """One question. `name` is the setting that it fills."""

    name: str
    kind: Kind = Kind.TEXT
    is_required: bool = False
    is_rare: bool = False
    """Few sites need it, so a page shows it folded."""
    example: str = ""

    @property
    def is_secret(self) -> bool:
        return self.name in SECRETS


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """The certificate that the PBX shows, for a person who compares its fingerprint."""

    fingerprint: str
    """SHA-256, in pairs with colons, as browsers and STARFACE show it."""
    subject: str
    issuer: str
    valid_from: str
    valid_until: str


@dataclass(frozen=True, slots=True)
class LicenceShown:
    """What a licence key says about itself. Only the service can verify it."""

    serial: str
    seats: int
    until: date


@dataclass(slots=True)
class Attempt:
    """The result of trying a step. It is filled while the attempt runs."""

    steps: list[DoctorStep] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    """Maps the name of a field to the key of its error text."""
    certificate: ShownCertificate | None = None
    asks_for_oauth: bool = False
    """The PBX offers OAuth and did not take the classic login."""
    licences: list[LicenceShown] = field(default_factory=list)
    problem: str | None = None
    """An error of this machine, for instance a file that cannot be read (English)."""

    @property
    def has_failed(self) -> bool:
        return bool(self.errors or self.problem) or any(
            one.outcome is StepOutcome.FAILED for one in self.steps
        )

    @property
    def call_arrived(self) -> bool:
        """Whether a call event has arrived while the attempt waited for one."""
        return any(one.step == "uci-events" and "received" in one.evidence for one in self.steps)

    @property
    def may_be_saved(self) -> bool:
        """Whether "save anyway" is offered: the values are valid, but the check failed."""
        return self.has_failed and not self.errors and self.problem is None


Try = Callable[[Draft, Attempt], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    fields: tuple[Field, ...]
    check: Try


async def attempt(step: Step, draft: Draft, values: Mapping[str, str], running: Attempt) -> None:
    """Enter the values of a step and try it; `running` is filled meanwhile. Raises `ConnectorError` only if the state
    directory cannot be written.
    """
    entered = _read_values(step, draft, values, running)
    draft.tried.discard(step.name)
    draft.enter(entered)
    if running.errors:
        return
    try:
        await step.check(draft, running)
    except ConnectorError as fault:
        running.problem = str(fault)
    if not running.has_failed:
        mark_tried(step, draft)


def mark_tried(step: Step, draft: Draft) -> None:
    """Note that the step is done: its check succeeded, or a person wants to save its values anyway."""
    draft.tried.add(step.name)
    draft.keep()


def _read_values(
    step: Step, draft: Draft, values: Mapping[str, str], running: Attempt
) -> dict[str, Value | None]:
    found: dict[str, Value | None] = {}
    for one in step.fields:
        if one.kind is Kind.SWITCH:
            found[one.name] = values.get(one.name) == "on"
            continue
        if one.name not in values:  # a field that the page does not show now
            continue
        text = values[one.name]
        try:
            found[one.name] = _READERS.get(one.name, _line)(text)
        except ValueError:
            running.errors[one.name] = f"field.{one.name}.wrong"
            if not one.is_secret:
                found[one.name] = clean_line(text, MAX_VALUE)
            continue
        if one.is_required and not found[one.name] and not (one.is_secret and draft.holds(one.name)):
            running.errors[one.name] = f"field.{one.name}.missing"
        if one.name.endswith(".proxy") and not text.strip() and draft.shown(one.name) is None:
            del found[one.name]  # it holds a password, so the page showed nothing
    return found


def _line(text: str) -> str | None:
    text = text.strip()
    if len(text) > MAX_VALUE or not text.isprintable():
        raise ValueError("not one line")
    return text or None


def _password(text: str) -> str | None:
    if len(text) > MAX_VALUE or not text.isprintable():
        raise ValueError("not one line")
    return text or None


def _url(text: str) -> str | None:
    """Return an address as people write it: without a scheme it is https."""
    line = _line(text)
    if line is None:
        return None
    if "://" not in line:
        line = f"https://{line}"
    parts = urlsplit(line)
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("no address")
    _ = parts.port  # raises ValueError
    return f"{parts.scheme.lower()}://{parts.netloc}"


def _proxy(text: str) -> str | None:
    line = _line(text)
    if line is not None:
        ServiceSection.model_validate({"url": "https://service.invalid", "proxy": line})
    return line


def _code(text: str) -> str | None:
    code = token(text)
    if len(code) > 100:
        raise ValueError("too long")
    return code or None


def _name(text: str) -> str | None:
    return pbx_name(host_of(text)) if text.strip() else None


def _keys(text: str) -> list[str] | None:
    keys = [token(one) for one in text.splitlines() if token(one)]
    if len(keys) > MAX_KEYS:
        raise ValueError("too many")
    for key in keys:
        licence_of(key)
    return list(dict.fromkeys(keys)) or None


def _port(text: str) -> int | None:
    if not text.strip():
        return None
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError("no port")
    return port


def _host(text: str) -> str | None:
    line = _line(text)
    host = host_of(line) if line else None
    if host and not all(char.isalnum() or char in ".-:_" for char in host):
        raise ValueError("no host")
    return host or None


_READERS: Final[Mapping[str, Callable[[str], Value | None]]] = {
    "service.url": _url,
    "service.enrolment_code": _code,
    "service.proxy": _proxy,
    "pbx.url": _url,
    "pbx.password": _password,
    "pbx.oauth_client_secret": _code,
    "pbx.name": _name,
    "licences.keys": _keys,
    "uci.callback_host": _host,
    "uci.callback_port": _port,
}


def licence_of(key: str) -> LicenceShown:
    """Return what a licence key says about itself, unverified (`core.licensing.licence_key`). Raises `ValueError`."""
    parts = key.split(".")
    if len(parts) != 3 or len(key) > MAX_KEY:
        raise ValueError("not a licence key")
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        content = json.loads(base64.urlsafe_b64decode(padded))
        seats, until = int(content["seats"]), date.fromisoformat(content["until"])
        serial = clean_line(str(content["serial"]), 100)
    except (binascii.Error, ValueError, KeyError, TypeError, RecursionError) as fault:
        raise ValueError("not a licence key") from fault
    return LicenceShown(serial, seats, until)


# The checks


async def _try_service(draft: Draft, running: Attempt) -> None:
    try:
        service = ServiceSection.model_validate(draft.section("service"))
    except ValidationError:
        running.errors["service.url"] = "field.service.url.clear"
        return
    await ServiceCheck(service).run(_chain(running))
    running.steps[:] = [one for one in running.steps if one.step not in ("name", "key")]


async def _try_pbx(draft: Draft, running: Attempt) -> None:
    config = draft.config(uci__enabled=False)
    await PbxCheck(config, state=draft.state).run(_chain(running))
    running.steps[:] = [one for one in running.steps if not one.step.startswith("uci-")]
    failed = next((one for one in running.steps if one.outcome is StepOutcome.FAILED), None)
    if failed is None:
        return
    if failed.step == "pbx-tls" and failed.variant in _ACCEPTABLE:
        running.certificate = await shown_certificate(config)
    if config.pbx.auth == "classic" and failed.step in ("pbx-rest", "pbx-login"):
        running.asks_for_oauth = await _offers_oauth(config)


async def _try_name(draft: Draft, running: Attempt) -> None:
    config = draft.config()
    await ServiceCheck(config.service, config, draft.state).run(_chain(running))
    # Before the first link the service cannot know the key: that is as it should be.
    running.steps[:] = [
        one.model_copy(update={"outcome": StepOutcome.OK, "code": None, "variant": None})
        if one.step == "key" and one.code in (Code.NOT_LINKED, Code.KEY_NOT_KNOWN)
        else one
        for one in running.steps
    ]


async def _try_licences(draft: Draft, running: Attempt) -> None:
    keys = draft.value("licences.keys")
    for key in keys if isinstance(keys, list) else ():
        with suppress(ValueError):
            running.licences.append(licence_of(str(key)))
    today = datetime.now(UTC).date()
    if any(one.until < today for one in running.licences):
        running.errors["licences.keys"] = "field.licences.keys.expired"


async def _try_uci(draft: Draft, running: Attempt, event_seconds: float = 0) -> None:
    config = draft.config()
    if not config.uci.enabled:
        return
    await PbxCheck(config, event_seconds, draft.state).run(_chain(running))
    failed = [one for one in running.steps if one.outcome is StepOutcome.FAILED]
    running.steps[:] = [one for one in running.steps if one.step.startswith("uci-") or one in failed]


async def _try_call(draft: Draft, running: Attempt) -> None:
    await _try_uci(draft, running, CALL_SECONDS)


def _chain(running: Attempt) -> Chain:
    return Chain(running.steps, lambda _step: None)


async def shown_certificate(config: Config) -> ShownCertificate | None:
    """Return the certificate that the PBX shows now, unverified."""
    target = Target.pbx(config.pbx)
    with suppress(ProxySettingError):
        certificate = await dial.shown_certificate(target, await proxy_for(target))
        if certificate is not None:
            digits = tls.fingerprint(certificate.public_bytes(Encoding.DER)).upper()
            words = tls.described(certificate)
            return ShownCertificate(
                fingerprint=":".join(digits[at : at + 2] for at in range(0, len(digits), 2)),
                subject=clean_line(words["subject"], 200),
                issuer=clean_line(words["issuer"], 200),
                valid_from=words["from"],
                valid_until=words["until"],
            )
    return None


async def _offers_oauth(config: Config) -> bool:
    """Return whether the PBX has OAuth, as STARFACE does from version 10 on."""
    async with HttpClient(Target.pbx(config.pbx)) as http:
        try:
            await discover(http, config.pbx.url)
        except PbxCloudError:
            return False
        except (EndpointElsewhereError, PbxRedirectedError):
            return True
        except (PbxError, UnreachedError, *NETWORK_FAULTS):
            return False
    return True


def own_address(url: str) -> str:
    """Return the address with which this machine reaches a host, without sending anything; empty if there is no way."""
    parts = urlsplit(url)
    with suppress(OSError, ValueError, UnicodeError):
        port = parts.port or 443
        for family, kind, number, _, address in socket.getaddrinfo(
            parts.hostname, port, type=socket.SOCK_DGRAM
        ):
            with suppress(OSError), socket.socket(family, kind, number) as probe:
                probe.connect(address)
                found: Any = probe.getsockname()[0]
                return str(found).partition("%")[0]
    return ""


def certificate_values(fingerprint: str) -> dict[str, Value | None]:
    """Return the values that accept a certificate of the PBX by its fingerprint."""
    return {"pbx.certificate_fingerprint": token(fingerprint).replace(":", "").lower()[:64]}


CALL: Final = Step("call", (), _try_call)
"""Waits for a call of the connector's own PBX user; part of the step UCI."""
STEPS: Final = (
    Step(
        "service",
        (
            Field("service.url", is_required=True, example="https://pbx-teams.example.com"),
            Field("service.enrolment_code", Kind.SECRET),
            Field("service.proxy", is_rare=True, example="http://proxy.example.com:3128"),
        ),
        _try_service,
    ),
    Step(
        "pbx",
        (
            Field("pbx.url", is_required=True, example="https://pbx.example.com"),
            Field("pbx.login", is_required=True, example="0001"),
            Field("pbx.password", Kind.SECRET, is_required=True),
            Field("pbx.oauth_client_secret", Kind.SECRET, is_rare=True),
        ),
        _try_pbx,
    ),
    Step("name", (Field("pbx.name", is_required=True, example="pbx.example.com"),), _try_name),
    Step("licences", (Field("licences.keys", Kind.LINES),), _try_licences),
    Step(
        "uci",
        (
            Field("uci.enabled", Kind.SWITCH),
            Field("uci.callback_host"),
            Field("uci.callback_port", Kind.NUMBER, is_rare=True, example="0"),
        ),
        _try_uci,
    ),
)
"""All steps, in the order in which they are asked."""


def step_named(name: str) -> Step | None:
    return next((one for one in STEPS if one.name == name), None)


def proposed(field_: Field, draft: Draft) -> str:
    """Return what a field contains before anything was entered."""
    if field_.name == "pbx.name":
        return draft.proposed_name()
    if field_.name == "uci.callback_host":
        return own_address(str(draft.value("pbx.url") or ""))
    return ""


def shown(field_: Field, draft: Draft) -> str:
    """Return the text of a field for a person: the entered value, else the proposal; nothing for a secret."""
    value = draft.shown(field_.name)
    if field_.is_secret:
        return ""
    if field_.kind is Kind.SWITCH:
        return "on" if value is not False else ""
    return str(value) if value is not None else proposed(field_, draft)


def first_open(draft: Draft) -> str:
    """Return the name of the first step that was not tried yet, or "done"."""
    return next((one.name for one in STEPS if one.name not in draft.tried), "done")
