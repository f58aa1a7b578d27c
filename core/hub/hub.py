"""The hub: opens links, holds them, and carries calls to a PBX, whichever replica holds its link."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.hub.admission import Admission
from core.hub.bus import Bus, pbx_topic
from core.hub.claims import BoundElsewhere, Claimed, NotEnrolled
from core.hub.link import CloseCode, Link, Transport
from core.hub.plane import NobodyThereError, Plane, PlaneDownError
from core.hub.registry import Pbx, Registry
from core.store.database import STORAGE_ERRORS
from core.store.moments import now
from wire.jsonrpc import Frame, LinkBusyError, LinkClosedError, RpcErrorCode, RpcRefusalError, dump
from wire.link import (
    HEARTBEAT_SECONDS,
    HELLO_SECONDS,
    CallEndedAtOnce,
    Challenge,
    Hello,
    LicenceKeyState,
    Method,
    Status,
    UsersChanged,
    Welcome,
)
from wire.model import Empty, WireModel
from wire.plane import NOT_HERE, PlaneAnswer, PlaneCall

logger = logging.getLogger(__name__)

CALL_SECONDS: Final = 10.0
"""How long a person waits for the PBX before they are told that it did not answer."""
REPLACED_GRACE: Final = 2.0
"""A link that is replaced may still bring answers for so long; then its socket is closed."""
LOOK_SECONDS: Final = 30.0
"""How often a replica compares its links with the table, in case the word that one was replaced was lost."""

M = TypeVar("M", bound=WireModel)
RegisterLicenceKeys = Callable[[str, list[str]], Awaitable[list[LicenceKeyState]]]
OnUsers = Callable[[str, UsersChanged | None], Awaitable[None]]
OnCall = Callable[[str, CallEndedAtOnce], Awaitable[None]]


class PbxRefusedError(Exception):
    """The call could not be made, or the connector refused it; the finding says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


class _NotHereError(Exception):
    """The link is somewhere else: the call was handed to nobody."""


class Hub:
    """Holds the links of this process, and reaches those of the others.

    `register_licence_keys` is told a PBX's licence keys before its welcome; `on_users` is told what changed of a
    PBX's users, and `None` when a link has opened and nobody knows what changed meanwhile; `on_call` is told of a
    call that ended at once. Whenever a PBX's link or status changes, its topic is published.
    """

    def __init__(
        self,
        registry: Registry,
        plane: Plane,
        bus: Bus,
        register_licence_keys: RegisterLicenceKeys,
        on_users: OnUsers,
        on_call: OnCall,
        *,
        heartbeat: float = HEARTBEAT_SECONDS,
        hello_seconds: float = HELLO_SECONDS,
    ) -> None:
        self._registry = registry
        self._plane = plane
        self._bus = bus
        self._register_licence_keys = register_licence_keys
        self._on_users = on_users
        self._on_call = on_call
        self._heartbeat = heartbeat
        self._hello_seconds = hello_seconds
        self._links: dict[str, Link] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._draining = False
        self.admission = Admission()
        bus.listen("link", self._hear_of_newer)

    @property
    def linked(self) -> list[str]:
        """Ids of the PBXs whose links are open here."""
        return list(self._links)

    def link(self, pbx_id: str) -> Link | None:
        """The link that this replica holds."""
        return self._links.get(pbx_id)

    @property
    def links_open(self) -> int:
        return len(self._links)

    async def run(self) -> None:
        """Until cancelled: closes links that the table says are another's."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.close_stale()
            except STORAGE_ERRORS as fault:
                logger.warning("links not compared", extra={"reason": str(fault)[:300]})

    async def serve(self, transport: Transport, address: str) -> None:
        """The whole life of one connection, from the challenge to its end."""
        if self._draining:
            await transport.close(CloseCode.GOING_AWAY, "shutting down")
            return
        with self.admission.opening(address) as is_admitted:
            opened = await self._open(transport, address) if is_admitted else None
        if not is_admitted:
            await transport.close(CloseCode.TRY_LATER, "too many openings from this address")
        if opened is None:
            return
        link, hello_id, welcome = opened
        extra = {"pbx": link.pbx_name, "epoch": link.epoch}
        if not self._take(link):
            await transport.close(CloseCode.REPLACED, "replaced by a newer link")
            return
        logger.info("link open", extra={**extra, "address": address})
        try:
            await link.welcome(hello_id, welcome.model_dump(mode="json", by_alias=True))
            self._bus.publish(pbx_topic(link.pbx_id))
            await self._on_users(link.pbx_id, None)
            await link.serve()
        finally:
            if self._links.get(link.pbx_id) is link:
                del self._links[link.pbx_id]
            logger.info("link closed", extra={**extra, "reason": link.end})
            with suppress(*STORAGE_ERRORS):  # who looks after this replica's death closes it by the table
                await self._registry.closed(link.pbx_id, link.epoch, link.end, now())
            self._bus.publish(pbx_topic(link.pbx_id))

    async def call(self, pbx: Pbx, method: Method, params: WireModel, answer: type[M]) -> M:
        """Asks a PBX once, by a link that is no older than the row that the caller has read. Raises
        `PbxRefusedError` with the finding when there is no good answer.
        """
        body = params.model_dump(mode="json", by_alias=True)
        for last_try in (False, True):
            try:
                answered = await self._ask(pbx, method, body)
                break
            except _NotHereError:
                # The link moved while we looked; nobody was asked, so whoever has it now may be.
                current = None if last_try else await self._registry.by_id(pbx.id)
                if current is None or current.link_epoch == pbx.link_epoch or not current.is_linked:
                    raise PbxRefusedError(_link_down(current or pbx)) from None
                pbx = current
        evidence = {"pbx_name": pbx.name}
        if answered.code is not None:
            code = Code.named(answered.code) or Code.PROTOCOL_ERROR
            raise PbxRefusedError(Finding(code, {**answered.evidence, **evidence}))
        try:
            return answer.model_validate(answered.result or {})
        except ValidationError as misfit:
            raise PbxRefusedError(Finding(Code.PROTOCOL_ERROR, evidence)) from misfit

    async def answer(self, call: PlaneCall) -> PlaneAnswer:
        """A call of another replica for a link that is held here."""
        link = self._links.get(call.pbx_id)
        if link is None or link.epoch < call.epoch or link.is_retired:
            return PlaneAnswer(code=NOT_HERE)
        return await _ask_link(link, call.method, call.params, call.deadline)

    async def close_stale(self) -> None:
        """Closes links that another replica holds by the table."""
        if not self._links:
            return
        before = dict(self._links)
        held = await self._registry.holds(self._plane.replica_id)
        for pbx_id, link in before.items():
            if held.get(pbx_id) != link.epoch:
                self._retire(link)

    def fence(self) -> None:
        """By the table none of these links is ours any more: close them, and let their connectors come again."""
        for link in list(self._links.values()):
            self._close_soon(link, CloseCode.GOING_AWAY, "this replica was taken for dead", grace=0)

    async def drain(self, seconds: float) -> None:
        """Takes no new link and hands over those that are open, spread over so many seconds; what is in flight is
        answered. Their connectors open them anew at other replicas.
        """
        self._draining = True
        links = list(self._links.values())
        for index, link in enumerate(links):
            self._close_soon(link, CloseCode.GOING_AWAY, "shutting down", grace=CALL_SECONDS)
            if seconds > 0 and (index + 1) % max(1, len(links) // 50) == 0:
                await asyncio.sleep(seconds / 50)
        await asyncio.gather(*self._closing)

    async def _ask(self, pbx: Pbx, method: Method, body: dict[str, Any]) -> PlaneAnswer:
        link = self._links.get(pbx.id)
        if link is not None and link.epoch >= pbx.link_epoch and not link.is_retired:
            return await _ask_link(link, method, body, CALL_SECONDS)
        if not pbx.is_linked or pbx.link_replica is None:
            raise PbxRefusedError(_link_down(pbx))
        if pbx.link_replica == self._plane.replica_id:
            raise _NotHereError
        call = PlaneCall(
            pbx_id=pbx.id, epoch=pbx.link_epoch, method=method, params=body, deadline=CALL_SECONDS
        )
        try:
            answered = await self._plane.call(pbx.link_replica, call)
        except NobodyThereError as nobody:  # the replica has died, and nobody has noticed yet
            raise _NotHereError from nobody
        except PlaneDownError as down:
            raise PbxRefusedError(Finding(Code.PLANE_DOWN, {"pbx_name": pbx.name})) from down
        except TimeoutError:
            return PlaneAnswer(code=Code.OUTCOME_UNKNOWN)
        if answered.code == NOT_HERE:
            raise _NotHereError
        return answered

    def _take(self, link: Link) -> bool:
        """Holds the link, unless a newer one of the same PBX has been quicker."""
        old = self._links.get(link.pbx_id)
        if old is not None and old.epoch > link.epoch:
            return False
        self._links[link.pbx_id] = link
        if old is not None:
            logger.info("link replaced", extra={"pbx": link.pbx_name, "epoch": link.epoch})
            self._close_soon(old, CloseCode.REPLACED, "replaced by a newer link", grace=REPLACED_GRACE)
        return True

    def _hear_of_newer(self, rest: str) -> None:
        pbx_id, _, epoch = rest.partition(":")
        link = self._links.get(pbx_id)
        if link is not None and link.epoch < int(epoch):
            self._retire(link)

    def _retire(self, link: Link) -> None:
        if self._links.get(link.pbx_id) is link:
            del self._links[link.pbx_id]
        self._close_soon(link, CloseCode.REPLACED, "replaced by a newer link", grace=REPLACED_GRACE)

    def _close_soon(self, link: Link, code: CloseCode, reason: str, grace: float) -> None:
        task = asyncio.create_task(link.retire(code, reason, grace))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _open(
        self, transport: Transport, address: str
    ) -> tuple[Link, int | str | None, Welcome] | None:
        challenge = Challenge(nonce=secrets.token_urlsafe(32), server_time=now())
        frame: Frame | None = None
        try:
            async with asyncio.timeout(self._hello_seconds):
                params = challenge.model_dump(mode="json", by_alias=True)
                await transport.send(dump(method=Method.CHALLENGE, params=params))
                frame = await _first_frame(transport)
        except (TimeoutError, ConnectionError):
            logger.info("no hello in time", extra={"address": address})
            self.admission.failed(address)
            await transport.close(CloseCode.HELLO_TIMEOUT, "no hello in time")
            return None
        hello = _hello(frame)
        if frame is None or hello is None:
            await self._refuse(transport, frame, Code.PROTOCOL_ERROR, address)
            return None
        if hello.nonce != challenge.nonce or not hello.is_genuine():
            await self._refuse(transport, frame, Code.BAD_SIGNATURE, address)
            return None
        try:
            claim = await self._registry.claim(hello, address, self._plane.replica_id, now())
            if not isinstance(claim, Claimed):
                await self._refuse_claim(transport, frame, claim, address)
                return None
            if claim.previous_replica not in (None, self._plane.replica_id):
                self._bus.publish(f"link:{claim.pbx_id}:{claim.epoch}")
            states = await self._register_licence_keys(claim.pbx_id, hello.licence_keys)
        except STORAGE_ERRORS:
            logger.warning("no link is taken while the database is away", extra={"address": address})
            await transport.close(CloseCode.TRY_LATER, "the database is away")
            return None
        link = Link(transport, claim.pbx_id, claim.epoch, hello.pbx_name, self._heartbeat)
        link.on(
            {
                Method.STATUS: self._status_handler(link, hello.status),
                Method.USERS_CHANGED: self._event_handler(link, UsersChanged, self._on_users),
                Method.CALL_ENDED_AT_ONCE: self._event_handler(link, CallEndedAtOnce, self._on_call),
            }
        )
        welcome = Welcome(pbx_id=claim.pbx_id, heartbeat_seconds=self._heartbeat, licence_keys=states)
        return link, frame.id, welcome

    async def _refuse_claim(
        self, transport: Transport, frame: Frame, claim: BoundElsewhere | NotEnrolled, address: str
    ) -> None:
        if isinstance(claim, NotEnrolled):
            await self._refuse(transport, frame, Code.ENROLMENT_NEEDED, address)
        else:
            await self._refuse(transport, frame, Code.NAME_BOUND_ELSEWHERE, address)
            self._bus.publish(pbx_topic(claim.pbx_id))

    def _status_handler(self, link: Link, at_first: Status) -> Callable[[dict[str, Any]], Awaitable[Empty]]:
        writing = asyncio.Lock()
        last = at_first

        async def take(params: dict[str, Any]) -> Empty:
            nonlocal last
            status = Status.model_validate(params)
            # Methods run at the same time; the newest status must be the last one written.
            async with writing:
                if status == last:
                    return Empty()
                await self._registry.report(link.pbx_id, link.epoch, status, now())
                last = status
            self._bus.publish(pbx_topic(link.pbx_id))
            return Empty()

        return take

    def _event_handler(
        self, link: Link, kind: type[M], take: Callable[[str, M], Awaitable[None]]
    ) -> Callable[[dict[str, Any]], Awaitable[Empty]]:
        """What an older link still says after a newer one has replaced it counts no longer."""

        async def handle(params: dict[str, Any]) -> Empty:
            if self._links.get(link.pbx_id) is link:
                await take(link.pbx_id, kind.model_validate(params))
            return Empty()

        return handle

    async def _refuse(self, transport: Transport, frame: Frame | None, code: Code, address: str) -> None:
        logger.warning("link refused", extra={"code": code, "address": address})
        self.admission.failed(address)
        error = {"code": int(RpcErrorCode.REFUSED), "message": code, "data": {"code": code, "evidence": {}}}
        try:
            await transport.send(dump(id=frame.id if frame else None, error=error))
        except ConnectionError:
            return
        await transport.close(CloseCode.REFUSED, code)


async def _ask_link(link: Link, method: str, body: dict[str, Any], deadline: float) -> PlaneAnswer:
    try:
        return PlaneAnswer(result=await link.endpoint.call(method, body, deadline=deadline))
    except LinkBusyError:
        return PlaneAnswer(code=Code.PBX_BUSY)
    except (LinkClosedError, ConnectionError, TimeoutError):
        return PlaneAnswer(code=Code.OUTCOME_UNKNOWN)
    except RpcRefusalError as refusal:
        return PlaneAnswer(code=refusal.code, evidence=refusal.evidence)


def _link_down(pbx: Pbx) -> Finding:
    return Finding(Code.LINK_DOWN, {"pbx_name": pbx.name, "since": pbx.link_closed_at or now()})


async def _first_frame(transport: Transport) -> Frame | None:
    async for text in transport:
        try:
            return Frame.model_validate_json(text)
        except ValidationError:
            return None
    raise ConnectionResetError("closed before the hello")


def _hello(frame: Frame | None) -> Hello | None:
    if frame is None or frame.method != Method.HELLO:
        return None
    try:
        return Hello.model_validate(frame.params or {})
    except ValidationError:
        return None
