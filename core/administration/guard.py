"""Checks the administrator permission with the PBX instead of relying on a stored answer."""

import asyncio
from collections.abc import Mapping
from typing import Final, TypeVar

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, RefusedError
from core.hub.bus import Bus, user_topic
from core.hub.hub import Hub, PbxRefusedError
from core.hub.registry import Registry
from core.identity.teams_user import TeamsUser
from core.licensing.ledger import Ledger
from core.licensing.overview import Overview
from core.licensing.session import Proof, Session
from core.signin.refusals import AdministratorAct, Refusals
from core.store.audit import AuditKind, audit
from core.store.timestamps import now
from wire.link import IdParams, Method, PbxUsers
from wire.model import WireModel

M = TypeVar("M", bound=WireModel)

READ_RECHECK_SECONDS: Final = 30.0
"""How long a confirmation counts for reading, since a view updates itself often. Every act asks the PBX again."""


class AdministratorGuard:
    """Checks that a user is an administrator of their PBX, and audits refusals. Its methods raise `RefusedError`."""

    def __init__(
        self,
        registry: Registry,
        hub: Hub,
        ledger: Ledger,
        overview: Overview,
        bus: Bus,
        refusals: Refusals,
    ) -> None:
        self._registry = registry
        self._hub = hub
        self._ledger = ledger
        self._overview = overview
        self._bus = bus
        self._refusals = refusals
        self._checked: dict[str, float] = {}
        """Maps session ids to the event loop's time of the last confirmation by the PBX."""

    async def may_read(self, user: TeamsUser, act: AdministratorAct) -> Session:
        """Return the administrator's session for reading.

        The PBX is asked at most every `READ_RECHECK_SECONDS`. If it cannot be asked, its last answer counts.
        """
        session = await self._candidate(user, act)
        clock = asyncio.get_running_loop().time()
        is_administrator = session.person.is_administrator
        if clock - self._checked.get(session.id, float("-inf")) >= READ_RECHECK_SECONDS:
            try:
                await self._check(session)
            except RefusedError as refused:
                if refused.finding.code in (Code.NOT_ADMINISTRATOR, Code.NOT_SIGNED_IN):
                    self._checked.pop(session.id, None)
                    raise self.refuse(session, act, refused.finding) from None
            else:
                recent = clock - READ_RECHECK_SECONDS
                self._checked = {id_: at for id_, at in self._checked.items() if at > recent} | {
                    session.id: clock
                }
                is_administrator = True
        if not is_administrator:
            raise self.refuse(session, act, Finding(Code.NOT_ADMINISTRATOR))
        return session

    async def may_act(self, user: TeamsUser, act: AdministratorAct, *, remembered: bool = False) -> Session:
        """Return the administrator's session for an act. The PBX is asked now.

        With `remembered`, its last answer counts while there is no link. That answer is from the present installation,
        because a hand-over ends all sessions.
        """
        session = await self._candidate(user, act)
        try:
            await self._check(session)
        except RefusedError as refused:
            is_link_down = refused.finding.code is Code.LINK_DOWN
            if not (remembered and is_link_down and session.may_administer):
                raise self.refuse(session, act, refused.finding) from None
        return session

    async def _candidate(self, user: TeamsUser, act: AdministratorAct) -> Session:
        """Return the user's session if its proof suffices for an administrator. An e-mail address does not suffice."""
        session = await self._overview.session_of(user)
        if session is None:
            raise RefusedError(Finding(Code.NOT_SIGNED_IN))
        if session.proof is Proof.EMAIL:
            needs_password = session.person.is_administrator
            code = Code.PASSWORD_NEEDED if needs_password else Code.NOT_ADMINISTRATOR
            raise self.refuse(session, act, Finding(code))
        return session

    def refuse(self, session: Session, act: AdministratorAct, finding: Finding) -> RefusedError:
        """Audit a refused act; return the error to raise."""
        self._refusals.note_act(session, act, finding)
        return RefusedError(finding)

    async def _check(self, session: Session) -> None:
        """Ask the PBX whether the session's user is an administrator now, and store a changed answer.

        Refuses if they are not, or if that could not be learned.
        """
        params = IdParams(user_id=session.person.pbx_user_id)
        try:
            found = await self.ask(
                pbx_id=session.pbx_id, method=Method.USERS_BY_ID, params=params, answer=PbxUsers
            )
        except PbxRefusedError:
            await self._require_present(session)
            raise
        await self._require_present(session)
        if any(pbx_user.is_administrator is None for pbx_user in found.users):
            # Not known, which is not no: nothing is done, and nothing is taken away.
            pbx = await self._registry.existing(session.pbx_id)
            raise RefusedError(Finding(Code.PBX_ANSWER_UNCLEAR, {"pbx_name": pbx.name}))
        is_administrator = any(pbx_user.is_administrator for pbx_user in found.users)
        if is_administrator != session.person.is_administrator:
            await self._ledger.put_administrator(session.id, is_administrator=is_administrator)
            self._bus.publish(user_topic(*session.teams_user.key))
        if not is_administrator:
            raise RefusedError(Finding(Code.NOT_ADMINISTRATOR))

    async def _require_present(self, session: Session) -> None:
        """Refuse if the session has ended. After a hand-over, an answer comes from another installation."""
        if await self._overview.holder(session.pbx_id, session.id) is None:
            raise RefusedError(Finding(Code.NOT_SIGNED_IN))

    async def ask(self, pbx_id: str, method: Method, params: WireModel, answer: type[M]) -> M:
        """Call the connector of this PBX."""
        pbx = await self._registry.existing(pbx_id)
        return await self._hub.call(pbx=pbx, method=method, params=params, answer=answer)

    async def note(self, session: Session, kind: AuditKind, detail: Mapping[str, object]) -> None:
        """Write an audit row about what this administrator exported or examined."""
        pbx = await self._registry.existing(session.pbx_id)
        await self._ledger.writer.run_small(
            lambda: audit(
                pbx_id=session.pbx_id,
                kind=kind,
                actor=session.actor,
                subject=pbx.name,
                detail=detail,
                now=now(),
            )
        )
