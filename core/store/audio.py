"""The stored data of the audio advisor: probes, pairing codes, device reports, suspicious calls and preferences."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, update

from core.audio.device import AudioDevice
from core.audio.evidence import KEPT_FOR, DeviceUse, Source, SuspiciousCall
from core.store import tables
from core.store.audit import AuditKind, add_session_audit
from core.store.database import Database, upsert
from core.store.notices import new_notice
from core.store.retention import delete_in_steps
from core.store.timestamps import from_ms, new_id, to_ms

CODE_LIFETIME: Final = timedelta(minutes=10)
PRESENT: Final = "present"
"""Source of the list of devices that a browser sees. It says which devices exist, not which are used."""
PRESENT_KEPT: Final = timedelta(days=30)
"""How long that list is kept."""
PROBE_KEPT: Final = timedelta(days=180)
"""How long a probe may stay away before it is unpaired."""
_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Letters of pairing codes. Without 0, 1, I and O, which people confuse."""

Person = tuple[str, str]
"""Tenant and object id of a Teams user."""

_USES: Final = TypeAdapter(list[DeviceUse])
_DEVICES: Final = TypeAdapter(list[AudioDevice])
_probe = tables.audio_probe.c
_report = tables.audio_report.c
_call = tables.audio_call.c
_person = tables.audio_person.c
_pairing = tables.audio_pairing.c
_session = tables.session.c
_SIGNED_IN: Final = and_(_session.tenant_id == _person.tenant_id, _session.object_id == _person.object_id)
_ALL: Final = (
    tables.audio_probe,
    tables.audio_pairing,
    tables.audio_report,
    tables.audio_call,
    tables.audio_person,
)


@dataclass(frozen=True, slots=True)
class Probe:
    """A paired audio probe on a person's machine."""

    id: str
    person: Person
    machine: str
    platform: str
    version: str
    paired_at: datetime
    last_seen_at: datetime
    is_connected: bool = False


@dataclass(frozen=True, slots=True)
class AudioPreferences:
    """What a person has decided about the advisor."""

    named: bool = False
    """Administrators may see the person's name next to a conflict."""
    records: bool = False
    """Device names in Teams call records may be read."""
    help_since: datetime | None = None
    """When the person agreed to help with calls; None: not agreed."""
    quiet_until: datetime | None = None
    """No messages before this moment."""
    never: tuple[str, ...] = ()
    """Devices that the bot never writes about."""
    told_at: datetime | None = None
    """When the bot last wrote about a conflict."""


@dataclass(frozen=True, slots=True)
class AudioData:
    """Everything that is stored about one person."""

    uses: tuple[DeviceUse, ...]
    """From all sources. Of the probes only the latest reporter counts, since devices of two machines cannot conflict.
    """
    calls: tuple[SuspiciousCall, ...]
    """Newest first."""
    present: tuple[AudioDevice, ...]
    """Devices that a browser saw."""
    probes: tuple[Probe, ...]
    choices: AudioPreferences
    verdict: str | None
    """The last conclusion."""


@dataclass(frozen=True, slots=True)
class ConflictCount:
    """Conflicts with one device model, for administrators."""

    model: str
    people: int
    names: tuple[str, ...]
    """Names of the people who let administrators see them, each with the login, because two people may share a name."""


class AudioStore:
    def __init__(self, database: Database, pepper: bytes) -> None:
        """`pepper` is the key for HMACs of pairing codes. It is not in the database, because a code of 40 bits could be
        guessed from a plain hash.
        """
        self._database = database
        self._pepper = pepper

    async def get(self, person: Person) -> AudioData:
        """Read everything that is stored about a person."""
        async with self._database.reading() as connection:
            reports = (
                await connection.execute(
                    select(tables.audio_report).where(_is(_report, person)).order_by(_report.at.desc())
                )
            ).all()
            calls = (
                await connection.execute(select(_call.at).where(_is(_call, person)).order_by(_call.at.desc()))
            ).all()
            probes = (
                await connection.execute(
                    select(tables.audio_probe).where(_is(_probe, person)).order_by(_probe.paired_at)
                )
            ).all()
            choices = (
                await connection.execute(select(tables.audio_person).where(_is(_person, person)))
            ).one_or_none()
        uses: list[DeviceUse] = []
        present: tuple[AudioDevice, ...] = ()
        seen: set[str] = set()
        for report in reports:
            if report.source in seen:
                continue  # an older report of another probe
            seen.add(report.source)
            if report.source == PRESENT:
                present = tuple(_DEVICES.validate_json(report.content))
            else:
                uses += _USES.validate_json(report.content)
        return AudioData(
            uses=tuple(uses),
            calls=tuple(SuspiciousCall(from_ms(call.at)) for call in calls),
            present=present,
            probes=tuple(_to_probe(row) for row in probes),
            choices=_to_preferences(choices) if choices is not None else AudioPreferences(),
            verdict=choices.verdict if choices is not None else None,
        )

    async def report(
        self, person: Person, source: Source, uses: Sequence[DeviceUse], at: datetime, origin: str = ""
    ) -> None:
        """Store a report, replacing the earlier one of this source. `origin`: the probe's id, empty for other
        sources.
        """
        await self._put(
            person=person, source=source, origin=origin, at=at, content=_USES.dump_json(list(uses)).decode()
        )

    async def get_report(self, person: Person, origin: str) -> Sequence[DeviceUse]:
        """Return the last report of one probe."""
        query = select(_report.content).where(_is(_report, person), _report.origin == origin)
        async with self._database.reading() as connection:
            content = (await connection.execute(query)).scalar_one_or_none()
        return _USES.validate_json(content) if content is not None else ()

    async def set_present(self, person: Person, devices: Sequence[AudioDevice], at: datetime) -> None:
        """Replace the list of devices that a browser sees."""
        await self._put(
            person=person,
            source=PRESENT,
            origin="",
            at=at,
            content=_DEVICES.dump_json(list(devices)).decode(),
        )

    async def _put(self, person: Person, source: str, origin: str, at: datetime, content: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(
                upsert(connection, tables.audio_report)
                .values(**_keys(person), source=source, origin=origin, at=to_ms(at), content=content)
                .on_conflict_do_update(
                    index_elements=["tenant_id", "object_id", "source", "origin"],
                    set_={"at": to_ms(at), "content": content},
                )
            )

    async def add_call(self, person: Person, at: datetime) -> None:
        """Store that a call of this person ended as soon as it was answered."""
        async with self._database.writing() as connection:
            await connection.execute(
                insert(tables.audio_call).values(id=new_id(), **_keys(person), at=to_ms(at))
            )

    async def new_code(self, person: Person, at: datetime) -> tuple[str, datetime]:
        """Create a pairing code (two groups of four letters); return it with its expiry. An earlier code stops
        working.
        """
        letters = "".join(secrets.choice(_ALPHABET) for _ in range(8))
        expires = at + CODE_LIFETIME
        values = {"code_hash": self._code_hash(letters), "expires_at": to_ms(expires)}
        async with self._database.writing() as connection:
            await connection.execute(
                upsert(connection, tables.audio_pairing)
                .values(**_keys(person), **values)
                .on_conflict_do_update(index_elements=["tenant_id", "object_id"], set_=values)
            )
        return f"{letters[:4]}-{letters[4:]}", expires

    async def redeem(
        self, code: str, machine: str, platform: str, version: str, at: datetime
    ) -> tuple[Probe, str] | None:
        """Pair a probe; return it with its token, or None when the code is unknown, used or expired.

        One transaction uses up the code and stores the probe. After a crash either the code is still valid, or the
        probe is stored but nobody has its token.
        """
        token = secrets.token_urlsafe(32)
        async with self._database.writing() as connection:
            row = (
                await connection.execute(
                    delete(tables.audio_pairing)
                    .where(_pairing.code_hash == self._code_hash(code), _pairing.expires_at > to_ms(at))
                    .returning(_pairing.tenant_id, _pairing.object_id)
                )
            ).one_or_none()
            if row is None:
                return None
            person = (row.tenant_id, row.object_id)
            probe = Probe(
                id=new_id(),
                person=person,
                machine=machine,
                platform=platform,
                version=version,
                paired_at=at,
                last_seen_at=at,
            )
            await connection.execute(
                insert(tables.audio_probe).values(
                    id=probe.id,
                    **_keys(person),
                    token_hash=_hash(token),
                    machine=machine,
                    platform=platform,
                    version=version,
                    paired_at=to_ms(at),
                    last_seen_at=to_ms(at),
                )
            )
            await add_session_audit(
                connection=connection,
                of=_is(_session, person),
                kind=AuditKind.PROBE_PAIRED,
                detail={"platform": platform},
                at=at,
            )
        return probe, token

    async def get_probe(self, token: str, version: str, at: datetime) -> Probe | None:
        """Return the probe with this token, and note that it was seen; None when no probe has it."""
        async with self._database.writing() as connection:
            row = (
                await connection.execute(
                    update(tables.audio_probe)
                    .where(_probe.token_hash == _hash(token))
                    .values(last_seen_at=to_ms(at), version=version)
                    .returning(tables.audio_probe)
                )
            ).one_or_none()
        return _to_probe(row) if row is not None else None

    async def is_paired(self, probe_id: str) -> bool:
        async with self._database.reading() as connection:
            found = await connection.execute(select(_probe.id).where(_probe.id == probe_id))
            return found.one_or_none() is not None

    async def mark_connected(self, probe_id: str, replica_id: str) -> None:
        """Store which replica the probe is connected to."""
        async with self._database.writing() as connection:
            await connection.execute(
                update(tables.audio_probe).where(_probe.id == probe_id).values(replica=replica_id)
            )

    async def mark_disconnected(self, probe_id: str, replica_id: str) -> None:
        """Store that the probe is no longer connected to this replica. It may be connected to another one by now."""
        async with self._database.writing() as connection:
            await connection.execute(
                update(tables.audio_probe)
                .where(_probe.id == probe_id, _probe.replica == replica_id)
                .values(replica=None)
            )

    async def remove_probe(self, person: Person, probe_id: str, at: datetime) -> bool:
        """Unpair one probe of this person; return False when there is no such probe."""
        async with self._database.writing() as connection:
            removed = await connection.execute(
                delete(tables.audio_probe).where(_is(_probe, person), _probe.id == probe_id)
            )
            await connection.execute(
                delete(tables.audio_report).where(_is(_report, person), _report.origin == probe_id)
            )
            if removed.rowcount > 0:
                await add_session_audit(
                    connection=connection,
                    of=_is(_session, person),
                    kind=AuditKind.PROBE_UNPAIRED,
                    detail={"cause": "by-person"},
                    at=at,
                )
        return removed.rowcount > 0

    async def choose(self, person: Person, **values: Any) -> None:
        """Set columns of the person's row in `audio_person`; create the row if it does not exist."""
        keys = ["tenant_id", "object_id"]
        async with self._database.writing() as connection:
            row = upsert(connection, tables.audio_person).values(
                **_keys(person), **{"named": False, "records": False, "never": "[]", **values}
            )
            await connection.execute(
                row.on_conflict_do_update(index_elements=keys, set_=values)
                if values
                else row.on_conflict_do_nothing(index_elements=keys)
            )

    async def set_help(
        self, person: Person, since: datetime | None, at: datetime, cause: str = "by-person"
    ) -> None:
        """Store the consent to help with calls, or its end (`since` None). `cause`: why it ended, for the audit."""
        await self.choose(person)
        async with self._database.writing() as connection:
            row = select(_person.help_since).where(_is(_person, person)).with_for_update()
            before = (await connection.execute(row)).scalar_one()
            if (before is None) == (since is None):
                return
            value = to_ms(since) if since is not None else None
            await connection.execute(
                update(tables.audio_person).where(_is(_person, person)).values(help_since=value)
            )
            kind = AuditKind.CALL_HELP_OFF if since is None else AuditKind.CALL_HELP_ON
            await add_session_audit(
                connection=connection,
                of=_is(_session, person),
                kind=kind,
                detail={"cause": cause} if since is None else {},
                at=at,
            )

    async def list_helped_users(self) -> Mapping[str, list[int]]:
        """Return the signed-in users who agreed to help with calls: PBX id to PBX user ids.

        The consent of anyone who has signed out in the meantime is deleted.
        """
        wanting = (
            select(_session.pbx_id, _session.pbx_user_id)
            .select_from(tables.audio_person.outerjoin(tables.session, _SIGNED_IN))
            .where(_person.help_since.is_not(None))
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(wanting)).all()
        if any(row.pbx_id is None for row in rows):
            signed_in = select(_session.object_id).where(_SIGNED_IN).exists()
            async with self._database.writing() as connection:
                await connection.execute(
                    update(tables.audio_person)
                    .where(_person.help_since.is_not(None), ~signed_in)
                    .values(help_since=None)
                )
        by_pbx: dict[str, list[int]] = {}
        for row in rows:
            if row.pbx_id is not None:
                by_pbx.setdefault(row.pbx_id, []).append(row.pbx_user_id)
        return by_pbx

    async def get_helped_person(self, pbx_id: str, pbx_user_id: int) -> Person | None:
        """Return the person who is signed in as this PBX user and agreed to help with calls."""
        query = (
            select(_session.tenant_id, _session.object_id)
            .select_from(tables.session.join(tables.audio_person, _SIGNED_IN))
            .where(
                _session.pbx_id == pbx_id,
                _session.pbx_user_id == pbx_user_id,
                _person.help_since.is_not(None),
            )
        )
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).one_or_none()
        return (row.tenant_id, row.object_id) if row is not None else None

    async def add_notice(
        self, person: Person, kind: str, detail: Mapping[str, Any], at: datetime, every: timedelta
    ) -> bool:
        """Store a notice, unless one was stored less than `every` ago or the person wants none now.

        Return whether it was stored. The check and the notice are one transaction.
        """
        await self.choose(person)
        async with self._database.writing() as connection:
            claimed = await connection.execute(
                update(tables.audio_person)
                .where(
                    _is(_person, person),
                    or_(_person.told_at.is_(None), _person.told_at <= to_ms(at - every)),
                    or_(_person.quiet_until.is_(None), _person.quiet_until <= to_ms(at)),
                )
                .values(told_at=to_ms(at))
            )
            if claimed.rowcount == 0:
                return False
            await connection.execute(new_notice(person=person, kind=kind, detail=detail, at=at))
        return True

    async def forget(self, person: Person, at: datetime) -> None:
        """Delete everything about this person, including probes and their tokens."""
        deleted = {"cause": "all-deleted"}
        async with self._database.writing() as connection:
            help_since = select(_person.help_since).where(_is(_person, person))
            had_help = (await connection.execute(help_since)).scalar_one_or_none() is not None
            for table in _ALL:
                gone = await connection.execute(delete(table).where(_is(table.c, person)))
                for _ in range(gone.rowcount if table is tables.audio_probe else 0):
                    await add_session_audit(
                        connection=connection,
                        of=_is(_session, person),
                        kind=AuditKind.PROBE_UNPAIRED,
                        detail=deleted,
                        at=at,
                    )
            if had_help:
                await add_session_audit(
                    connection=connection,
                    of=_is(_session, person),
                    kind=AuditKind.CALL_HELP_OFF,
                    detail=deleted,
                    at=at,
                )

    async def forget_old(self, at: datetime) -> None:
        """Delete what is older than its retention time."""
        limits = [(source.value, KEPT_FOR[source]) for source in Source if source is not Source.SYMPTOM]
        old = or_(
            *(
                and_(_report.source == source, _report.at < to_ms(at - kept))
                for source, kept in [*limits, (PRESENT, PRESENT_KEPT)]
            )
        )
        for table, condition in (
            (tables.audio_report, old),
            (tables.audio_call, _call.at < to_ms(at - KEPT_FOR[Source.SYMPTOM])),
            (tables.audio_pairing, _pairing.expires_at < to_ms(at)),
            (tables.audio_probe, _probe.last_seen_at < to_ms(at - PROBE_KEPT)),
        ):
            await delete_in_steps(self._database, table, condition)
        async with self._database.writing() as connection:
            await connection.execute(
                update(tables.audio_person)
                .where(_person.concluded_at < to_ms(at - KEPT_FOR[Source.PROBE]))
                .values(verdict=None, model=None, concluded_at=None)
            )

    async def count_conflicts(self, pbx_id: str, at: datetime) -> tuple[Sequence[ConflictCount], int]:
        """Return the conflicts of people who are signed in at this PBX, by device model, the most frequent first.

        The second value is the number of people about whom there is any conclusion.
        """
        joined = tables.audio_person.join(tables.session, _SIGNED_IN)
        recent = _person.concluded_at > to_ms(at - KEPT_FOR[Source.PROBE])
        query = (
            select(_person.model, _person.named, _session.display_name, _session.pbx_login)
            .select_from(joined)
            .where(_session.pbx_id == pbx_id, _person.verdict == "conflict", recent)
            .order_by(_session.display_name, _session.pbx_login)
        )
        counted = select(func.count()).select_from(joined).where(_session.pbx_id == pbx_id, recent)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
            known = (await connection.execute(counted)).scalar_one()
        by_model: dict[str, list[Any]] = {}
        for row in rows:
            by_model.setdefault(row.model or "", []).append(row)
        counts = [
            ConflictCount(
                model,
                len(people),
                tuple(f"{row.display_name} ({row.pbx_login})" for row in people if row.named),
            )
            for model, people in by_model.items()
        ]
        return sorted(counts, key=lambda count: (-count.people, count.model)), known

    def _code_hash(self, code: str) -> str:
        """Return the HMAC of a code as people type it: in any case, with or without the dash."""
        letters = "".join(character for character in code.upper() if character.isalnum())
        return hmac.new(self._pepper, f"pairing code {letters}".encode(), hashlib.sha256).hexdigest()


def _is(columns: Any, person: Person) -> ColumnElement[bool]:
    return and_(columns.tenant_id == person[0], columns.object_id == person[1])


def _keys(person: Person) -> dict[str, str]:
    return {"tenant_id": person[0], "object_id": person[1]}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _to_probe(row: Any) -> Probe:
    return Probe(
        id=row.id,
        person=(row.tenant_id, row.object_id),
        machine=row.machine,
        platform=row.platform,
        version=row.version,
        paired_at=from_ms(row.paired_at),
        last_seen_at=from_ms(row.last_seen_at),
        is_connected=row.replica is not None,
    )


def _to_preferences(row: Any) -> AudioPreferences:
    def moment(value: int | None) -> datetime | None:
        return from_ms(value) if value is not None else None

    return AudioPreferences(
        named=bool(row.named),
        records=bool(row.records),
        help_since=moment(row.help_since),
        quiet_until=moment(row.quiet_until),
        never=tuple(json.loads(row.never)),
        told_at=moment(row.told_at),
    )
