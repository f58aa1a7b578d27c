"""Texts for audit entries: what happened, who did it, the details."""

import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import date
from typing import Any, Final

from core.audit.reading import AuditEntry
from core.language import Language, Words, format_day
from core.store.audit import CONNECTOR, OPERATOR, SEVERAL, SYSTEM, Actor, ActorKind
from wire.bounds import MAX_NAME, clean_line

_WORDS: Final = Words("core.audit")
MAX_DETAIL: Final = 2000
_DAYS: Final = frozenset({"from", "until", "since", "claimed"})
"""Details that may be days, stored in ISO 8601."""
_ISO_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_NOT_PEOPLE: Final = frozenset(
    {actor.name for actor in (SYSTEM, OPERATOR, CONNECTOR, SEVERAL)}
    | {
        _WORDS.text(language, f"actor.{kind}").casefold()
        for language in Language
        for kind in (ActorKind.SYSTEM, ActorKind.OPERATOR, ActorKind.CONNECTOR, ActorKind.SEVERAL)
    }
)
"""Names that stand for the system, the operator, the connector or several people. A person may have such a name too."""


def describe_kind(kind: str, language: Language) -> str:
    """Return the text for a kind of event; the kind itself if there is no text, because a newer replica wrote it."""
    key = f"kind.{kind}"
    return _WORDS.text(language, key) if _WORDS.has(language, key) else kind


def is_foreign(actor: Actor, home: Collection[str]) -> bool:
    """Return whether the actor is a person of another tenant than those in `home`."""
    return actor.kind is ActorKind.PERSON and actor.tenant_id is not None and actor.tenant_id not in home


def describe_actor(
    actor: Actor, language: Language, home: Collection[str], *, with_tenant: bool = False
) -> str:
    """Return the name of an actor for a reader whose own tenants are `home`.

    With `with_tenant`, the tenant id of a person of another tenant is added.
    """
    if actor.kind not in (ActorKind.PERSON, ActorKind.STRANGER):
        return _WORDS.text(language, f"actor.{actor.kind}")
    name = clean_line(actor.name, MAX_NAME)
    if actor.kind is ActorKind.STRANGER:
        return _WORDS.text(language, "actor.stranger", name=name)
    if is_foreign(actor, home):
        word = "actor.foreign-tenant" if with_tenant else "actor.foreign"
        return _WORDS.text(language, word, name=name, tenant=actor.tenant_id)
    if name.casefold() in _NOT_PEOPLE:
        return _WORDS.text(language, "actor.person-named-so", name=name)
    return name


def describe_actor_of_notice(
    name: str, kind: ActorKind | None, language: Language, *, other_organisation: bool
) -> str:
    """Return the name of the actor of a notice, from the fields that `core.licensing.transactions.steps` stored."""
    if kind is None:  # written by an earlier version
        return clean_line(name, MAX_NAME)
    return describe_actor(Actor(kind, name, "another" if other_organisation else None), language, ())


def describe_licence(kind: str, language: Language) -> str:
    """Return the text for a kind of licence, for instance "Benutzerlizenz" for "UAL"."""
    return _value("kind", kind, language)


def describe_actor_kind(actor: Actor | None, language: Language, home: Collection[str]) -> str:
    """Return the text for the kind of an actor, for a reader whose own tenants are `home`."""
    if actor is None:
        return _WORDS.text(language, "actor-kind.unknown")
    return _WORDS.text(language, f"actor-kind.{'foreign' if is_foreign(actor, home) else actor.kind}")


def describe_detail(entry: AuditEntry, language: Language) -> str:
    """Return the details of an entry in one line; empty if its kind has none."""
    key, detail = f"detail.{entry.kind}", entry.detail
    if entry.kind == "policy-changed":
        return clean_line(_policies(detail, language), MAX_DETAIL)
    if not _WORDS.has(language, key):
        return ""
    values = {name: _value(name, value, language) for name, value in detail.items()}
    text = _WORDS.text(language, key, **values)
    if entry.kind == "ended" and detail.get("reason") and detail.get("cause") == "revoked":
        text += "; " + _WORDS.text(language, "reason-given", reason=detail["reason"])
    if entry.kind == "audit-exported" and (detail.get("group") or detail.get("search")):
        parts = (values.get("group", ""), f"“{detail['search']}”" if detail.get("search") else "")
        text += "; " + _WORDS.text(language, "filtered", filter=", ".join(part for part in parts if part))
    return clean_line(text, MAX_DETAIL)


def _value(name: str, value: Any, language: Language) -> str:
    if isinstance(value, list):
        return ", ".join(_value(name.removesuffix("s"), one, language) for one in value)
    text = str(value).lower() if isinstance(value, bool) else str(value if value is not None else "")
    if name in _DAYS and _ISO_DAY.fullmatch(text):
        with suppress(ValueError):
            return format_day(language, date.fromisoformat(text))
    key = f"value.{name}.{text}"
    return _WORDS.text(language, key) if _WORDS.has(language, key) else text


def _policies(detail: Mapping[str, Any], language: Language) -> str:
    return "; ".join(
        _WORDS.text(language, f"policy.{when}", rules=_rules(detail.get(when) or {}, language))
        for when in ("before", "after")
    )


def _rules(policy: Mapping[str, Any], language: Language) -> str:
    """Return the text for a `core.licensing.policy.Policy` given as JSON."""

    def people(named: Mapping[str, Any]) -> str:
        users, groups = len(named.get("user_ids") or ()), len(named.get("group_ids") or ())
        return _WORDS.text(language, "policy.people", users=users, groups=groups)

    parts: list[str] = []
    if policy.get("idle_hours") is not None:
        parts.append(_WORDS.text(language, "policy.idle", hours=policy["idle_hours"]))
    if policy.get("admitted") is not None:
        parts.append(_WORDS.text(language, "policy.admitted", people=people(policy["admitted"])))
    parts += [
        _WORDS.text(language, "policy.reserved", name=one.get("name", ""), seats=one.get("seats", ""))
        for one in policy.get("reservations") or ()
    ]
    return ", ".join(parts) or _WORDS.text(language, "policy.none")
