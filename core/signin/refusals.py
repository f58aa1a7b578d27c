"""The audit of refusals: failed and throttled sign-ins, and acts for which a person lacks the permission.

Refusals are counted in memory and written a second later, outside the request. So an unknown PBX name takes as long to
refuse as a known one, and many attempts cost few writes. A crash loses at most the counts of the last second.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Final

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.identity.teams_user import TeamsUser
from core.licensing.session import Session
from core.store.audit import A_MINUTE, AN_HOUR, Actor, AuditKind, count_audit
from core.store.database import STORAGE_ERRORS
from core.store.timestamps import now
from core.store.transaction import Transaction, Writer, WriterClosedError, first

logger = logging.getLogger(__name__)

WRITE_SECONDS: Final = 1.0
MAX_WAITING: Final = 1000
"""Number of different refusals within `WRITE_SECONDS`. The budgets of identities and addresses permit far fewer."""


class AdministratorAct(StrEnum):
    """Acts of an administrator, as named in audit rows about refused ones. `core/audit/words` has a text for each."""

    VIEW_LICENCES = "view-licences"
    """Holders, usage and recommendation."""
    EXPORT_LICENCES = "export-licences"
    REVOKE = "revoke"
    CHANGE_RULES = "change-rules"
    """The rules of a pool, and the search for people to name in them."""
    CHANGE_TRUST = "change-trust"
    """The trust in a Microsoft tenant, and the list of trusted tenants."""
    VIEW_AUDIT = "view-audit"
    EXPORT_AUDIT = "export-audit"
    VIEW_CONNECTION = "view-connection"
    EXAMINE = "examine"
    RESTART_UCI = "restart-uci"
    RENEW_KEY = "renew-key"
    HAND_OVER = "hand-over"
    DOWNLOAD = "download"
    """A link to a package that only administrators may have."""
    VIEW_AUDIO = "view-audio"


_FAILED: Final = frozenset(
    {
        *(Code.WRONG_KEY, Code.LOGIN_REJECTED, Code.EMAIL_NOT_MATCHED, Code.TENANT_NOT_TRUSTED),
        *(Code.GUEST, Code.EMAIL_NOT_VERIFIED, Code.CHALLENGE_EXPIRED),
    }
)
FORBIDDEN: Final = frozenset(
    {
        *(Code.NOT_ADMINISTRATOR, Code.PASSWORD_NEEDED),
        *(Code.TENANT_AUTHORITY_NEEDED, Code.PRIMARY_ELSEWHERE, Code.GUEST),
    }
)
"""Refusals for lack of permission. Every other refusal of an act says that something is missing or gone."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    pbx_id: str | None
    """None if the PBX is to be looked up by its name."""
    pbx_name: str
    kind: AuditKind
    actor: Actor
    detail: tuple[tuple[str, str], ...]
    what: str
    """Refusals of one person with the same `what` within `within` are counted in one audit row."""
    within: timedelta


class Refusals:
    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._waiting: dict[_Refusal, tuple[datetime, int]] = {}

    def note_sign_in(self, user: TeamsUser, pbx_name: str, refusal: Finding) -> None:
        """Record a failed or throttled sign-in. The PBX name is looked up later, when the audit row is written."""
        if refusal.code is Code.THROTTLED:
            kind, cause = AuditKind.SIGN_IN_THROTTLED, ""
        elif refusal.code in _FAILED:
            kind, cause = AuditKind.SIGN_IN_FAILED, refusal.code.value
        else:
            return
        detail = (("cause", cause),) if cause else ()
        self._note(
            _Refusal(
                pbx_id=None,
                pbx_name=pbx_name,
                kind=kind,
                actor=user.acting_as(None),
                detail=detail,
                what=cause,
                within=A_MINUTE,
            )
        )

    def note_act(self, session: Session, act: AdministratorAct, refusal: Finding) -> None:
        """Record an act refused for lack of permission: at most one audit row for each person, act and hour."""
        if refusal.code in FORBIDDEN:
            detail = (("act", act.value), ("cause", refusal.code.value))
            kind = AuditKind.ACT_REFUSED
            self._note(
                _Refusal(
                    pbx_id=session.pbx_id,
                    pbx_name="",
                    kind=kind,
                    actor=session.actor,
                    detail=detail,
                    what=act.value,
                    within=AN_HOUR,
                )
            )

    def _note(self, refusal: _Refusal) -> None:
        at, count = self._waiting.get(refusal, (now(), 0))
        if count or len(self._waiting) < MAX_WAITING:
            self._waiting[refusal] = (at, count + 1)
        else:
            logger.warning("too many refusals at once; one is not audited")

    async def run(self) -> None:
        """Write recorded refusals every `WRITE_SECONDS`, until cancelled."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self.write()

    async def write(self) -> None:
        while self._waiting:
            refusal = next(iter(self._waiting))
            at, count = self._waiting.pop(refusal)
            try:
                await self._writer.run_small(partial(_write, refusal, at, count))
            except (*STORAGE_ERRORS, WriterClosedError):
                logger.warning("a refusal was not audited", exc_info=True)


def _write(refusal: _Refusal, at: datetime, count: int) -> Transaction[None]:
    column, value = ("id", refusal.pbx_id) if refusal.pbx_id is not None else ("name", refusal.pbx_name)
    row = yield from first(f"SELECT id, name FROM pbx WHERE {column} = $1", value)  # noqa: S608 - one of two columns
    if row is None:
        return
    yield from count_audit(
        pbx_id=row["id"],
        kind=refusal.kind,
        actor=refusal.actor,
        subject=row["name"],
        detail=dict(refusal.detail),
        now=at,
        what=refusal.what,
        within=refusal.within,
        times=count,
    )
