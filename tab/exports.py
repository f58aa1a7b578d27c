"""The tables that administrators export: who holds a licence, and the audit."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from core.administration.administration import AuditExport
from core.audit.reading import AuditEntry
from core.audit.wording import describe_actor, describe_actor_kind, describe_detail, describe_kind
from core.language import Language, Words
from core.licensing.rules import LicenceKind
from core.licensing.session import Session
from core.signin.preferences import parse_time_zone
from tab.export import ExportFile, Format, Rows, write_table
from wire.tab import AuditParams, ExportParams

_WORDS: Final = Words("tab")
AUDIT_DAYS: Final = timedelta(days=89)
"""Days before the last day that an export covers if no first day is given."""

_HOLDERS: Final = ("name", "login", "email", "teams-name", "kind", "since", "last-seen")
_AUDIT: Final = (
    *("at", "event", "actor", "actor-kind", "subject", "detail", "times"),
    *("actor-tenant", "actor-object", "actor-pbx-user", "subject-pbx-user", "code"),
)


def days(since: date | None, until: date | None, time_zone: str) -> tuple[datetime, datetime]:
    """Return the start of the first day and the end of the last day in the given zone, as a half-open interval."""
    zone = _zone(time_zone)
    last = until or datetime.now(zone).date()
    first = since or last - AUDIT_DAYS
    return datetime.combine(first, time.min, zone), datetime.combine(last + timedelta(days=1), time.min, zone)


async def holders(found: Sequence[Session], params: ExportParams, language: Language) -> ExportFile:
    """Write all holders of a licence to a file."""

    async def pages() -> AsyncIterator[Rows]:
        yield await asyncio.to_thread(lambda: [_holder_row(session, language) for session in found])

    return await _export(
        name="holders", columns=_HOLDERS, pages=pages(), params=params, language=language, complete=True
    )


async def audit(found: AuditExport, params: AuditParams, language: Language) -> ExportFile:
    """Write the audit to a file, newest rows first."""

    async def pages() -> AsyncIterator[Rows]:
        async for entries in found.pages:
            yield await asyncio.to_thread(_audit_rows, entries, found, language)

    return await _export(
        name="audit", columns=_AUDIT, pages=pages(), params=params, language=language, complete=found.complete
    )


def _holder_row(session: Session, language: Language) -> Sequence[object]:
    kind: str = session.kind
    if session.kind is LicenceKind.ADMINISTRATION:
        kind = _WORDS.text(language, "export.administration-only")
    return (
        *(session.person.display_name, session.person.login, session.person.email),
        *(session.teams_user.name, kind, session.licence_since, session.last_seen_at),
    )


def _audit_rows(entries: Sequence[AuditEntry], export: AuditExport, language: Language) -> Rows:
    return [_audit_row(entry, export, language) for entry in entries]


def _audit_row(entry: AuditEntry, export: AuditExport, language: Language) -> Sequence[object]:
    actor = entry.actor
    return (
        entry.at,
        describe_kind(entry.kind, language),
        entry.actor_name
        if actor is None
        else describe_actor(actor, language, export.home_tenants, with_tenant=True),
        describe_actor_kind(actor, language, export.home_tenants),
        *(entry.subject, describe_detail(entry, language), entry.times),
        *((actor.tenant_id, actor.object_id, actor.pbx_user_id) if actor is not None else (None,) * 3),
        *(entry.pbx_user_id, entry.kind),
    )


async def _export(
    name: str,
    columns: Sequence[str],
    pages: AsyncIterator[Rows],
    params: ExportParams,
    language: Language,
    *,
    complete: bool,
) -> ExportFile:
    headings = [_WORDS.text(language, f"export.{column}") for column in columns]
    format_ = Format(params.format)
    file = await write_table(
        headings=headings, pages=pages, format_=format_, language=language, zone=_zone(params.time_zone)
    )
    file_name = f"{_WORDS.text(language, f'export.{name}-file')}.{format_}"
    return ExportFile(file=file, name=file_name, media_type=format_.media_type, complete=complete)


def _zone(name: str) -> ZoneInfo:
    return parse_time_zone(name) or ZoneInfo("UTC")
