"""The repairs of a connector that its PBX's administrators make from Teams, without visiting the site.

The PBX is asked for the permission before each of them, the connector's owner may refuse them, and each is audited. A new
PBX key is made at the connector and sealed to the browser that asked: this service carries it and cannot read it.

Methods raise `RefusedError` when a repair is refused, or when its answer is lost.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from core.administration.guard import AdministratorGuard
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, RefusedError
from core.hub.hub import Hub, PbxRefusedError
from core.hub.registry import Pbx, Registry, RepairSupport
from core.identity.teams_user import TeamsUser
from core.licensing.session import Session
from core.signin.refusals import AdministratorAct
from core.store.audit import AuditKind
from wire.doctor import DoctorReport
from wire.link import KeyChallenge, Method, NewKeyMade, NewKeyParams, UciRestarted, UciState
from wire.model import Empty, WireModel
from wire.sealing import SealedBox

logger = logging.getLogger(__name__)

DOCTOR_SECONDS: Final = 60.0
"""Time-out of a diagnostics run. Most take two seconds; a run waits for parts that do not answer."""
RESTART_SECONDS: Final = 40.0
"""Time-out for switching UCI off and on. The connector itself waits 20 seconds for the PBX."""

M = TypeVar("M", bound=WireModel)


@dataclass(frozen=True, slots=True)
class PreparedKey:
    """What the browser needs in order to seal its request for a new key to the connector."""

    pbx_name: str
    nonce: str
    sealing_key: str
    sealing_signature: str
    connector_identity: str


@dataclass(frozen=True, slots=True)
class RestartedUci:
    uci: UciState
    """The state of the UCI connector after it was switched off and on again."""
    finding: Finding | None
    """What is wrong if it is not on."""


class Repairs:
    def __init__(self, registry: Registry, hub: Hub, guard: AdministratorGuard) -> None:
        self._registry = registry
        self._hub = hub
        self._guard = guard

    async def examine(self, user: TeamsUser) -> DoctorReport:
        """Run diagnostics in the connector, for itself and its PBX. Needs a link."""
        session, pbx = await self._admit(user, AdministratorAct.EXAMINE)
        repair = self._ask(pbx, Method.DOCTOR, Empty(), DoctorReport, DOCTOR_SECONDS)
        return await self._audited(
            session, AuditKind.EXAMINED, repair, lambda report: "faults" if report.has_failed else "ok"
        )

    async def restart_uci(self, user: TeamsUser) -> RestartedUci:
        """Switch the PBX's UCI connector off and on again."""
        session, pbx = await self._admit(user, AdministratorAct.RESTART_UCI)
        repair = self._ask(pbx, Method.RESTART_UCI, Empty(), UciRestarted, RESTART_SECONDS, "uci")
        answer = await self._audited(
            session, AuditKind.UCI_RESTARTED, repair, lambda answer: f"uci-{answer.uci.value}"
        )
        found: Finding | None = None
        if answer.uci is not UciState.ON:
            evidence = {"pbx_name": pbx.name, "state": answer.uci.value}
            found = Finding(Code.UCI_CONNECTOR_OFF, evidence, f"restarted-{answer.uci.value}")
        return RestartedUci(answer.uci, found)

    async def prepare_key(self, user: TeamsUser) -> PreparedKey:
        """Return what the browser needs in order to ask for a new PBX key. Changes nothing."""
        _, pbx = await self._admit(user, AdministratorAct.RENEW_KEY)
        answer = await self._ask(pbx, Method.KEY_CHALLENGE, Empty(), KeyChallenge)
        return PreparedKey(
            pbx_name=pbx.name,
            nonce=answer.nonce,
            sealing_key=pbx.sealing_key,
            sealing_signature=pbx.sealing_signature,
            connector_identity=pbx.identity,
        )

    async def renew_key(self, user: TeamsUser, nonce: str, box: SealedBox) -> NewKeyMade:
        """Let the connector make a new PBX key, and return it sealed to the browser that asked.

        The request is audited before it is sent as well, so that no crash of the service hides it. When the answer is lost,
        nobody knows whether there is a new key: the refusal says how to find out.
        """
        session, pbx = await self._admit(user, AdministratorAct.RENEW_KEY)
        await self._note(session, AuditKind.KEY_RENEWAL, "asked")
        params = NewKeyParams(tenant_id=user.tenant_id, object_id=user.object_id, nonce=nonce, box=box)
        repair = self._ask(pbx, Method.NEW_KEY, params, NewKeyMade, variant="new-key")
        try:
            return await self._audited(session, AuditKind.KEY_RENEWAL, repair, lambda _made: "key-made")
        except RefusedError as refused:
            if refused.finding.code is not Code.LOGIN_REJECTED:
                raise
            # The box was sealed with another key.
            raise RefusedError(Finding(Code.WRONG_KEY, refused.finding.evidence, "trusted")) from refused

    async def _admit(self, user: TeamsUser, act: AdministratorAct) -> tuple[Session, Pbx]:
        """Return the administrator's session and their PBX. The PBX is asked now. Raises `RefusedError`."""
        session = await self._guard.may_act(user, act)
        pbx = await self._registry.existing(session.pbx_id)
        refusal = find_refusal(pbx, act)
        if refusal is not None:
            raise RefusedError(refusal)
        return session, pbx

    async def _audited(
        self, session: Session, kind: AuditKind, repair: Awaitable[M], get_outcome: Callable[[M], str]
    ) -> M:
        """Await the repair and audit its outcome, also when it is refused or its answer is lost."""
        try:
            answer = await repair
        except RefusedError as refused:
            await self._note(session, kind, "no-answer" if _is_unknown(refused.finding) else "refused")
            raise
        await self._note(session, kind, get_outcome(answer))
        return answer

    async def _note(self, session: Session, kind: AuditKind, outcome: str) -> None:
        await self._guard.note(session, kind, {"outcome": outcome})
        logger.info("repair from Teams", extra={"pbx_id": session.pbx_id, "act": kind, "outcome": outcome})

    async def _ask(
        self,
        pbx: Pbx,
        method: Method,
        params: WireModel,
        answer: type[M],
        seconds: float | None = None,
        variant: str | None = None,
    ) -> M:
        """Call the connector. `variant` selects the text for an answer that is lost."""
        limit = {"seconds": seconds} if seconds is not None else {}
        try:
            return await self._hub.call(pbx=pbx, method=method, params=params, answer=answer, **limit)
        except PbxRefusedError as refused:
            finding = refused.finding
            if variant is None or not _is_unknown(finding):
                raise
            raise RefusedError(Finding(finding.code, finding.evidence, variant)) from refused


def find_refusal(pbx: Pbx, act: AdministratorAct) -> Finding | None:
    """Return why this connector does not do it, as far as its hello says so; None if it does."""
    evidence = {"pbx_name": pbx.name, "version": pbx.connector_version or "?"}
    if pbx.repairs is RepairSupport.REFUSED:
        return Finding(Code.REPAIRS_REFUSED, evidence)
    if pbx.repairs is RepairSupport.UNKNOWN and act is not AdministratorAct.EXAMINE:
        return Finding(Code.CONNECTOR_OUTDATED, evidence, "repairs")
    return None


def _is_unknown(finding: Finding) -> bool:
    """Return whether the connector may have done it without anybody knowing."""
    return finding.code in (Code.OUTCOME_UNKNOWN, Code.PROTOCOL_ERROR)
