"""The hub opens links, holds them, and sends calls to a PBX, whichever replica holds its link."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from core.background import Background, Setbacks
from core.budget import Budgets
from core.diagnosis.codes import PBX_FAULTS, PHONE_FAULTS, Code
from core.diagnosis.finding import Finding, RefusedError
from core.hub.admission import Admission
from core.hub.bus import Bus, connection_topic, pbx_topics
from core.hub.connection import Transport
from core.hub.line_changes import LINE_CHANGES, LineChanges
from core.hub.link import Link
from core.hub.opening import Opening, RegisterLicenceKeys
from core.hub.plane import NobodyThereError, OutgoingCall, Plane, PlaneDownError, Reply
from core.hub.registry import Pbx, Registry
from core.store.database import STORAGE_ERRORS
from core.store.timestamps import now
from core.store.transaction import UnstorableValueError
from wire.connection import HEARTBEATS_MISSED, CloseCode
from wire.jsonrpc import LinkBusyError, LinkClosedError, RpcRefusalError
from wire.link import (
    HEARTBEAT_SECONDS,
    HELLO_SECONDS,
    MAX_USERS_AT_ONCE,
    REPAIR_METHODS,
    CallEndedAtOnce,
    IdsParams,
    Method,
    PbxTrust,
    Status,
    UsersChanged,
)
from wire.model import Empty, WireModel
from wire.phone import PhoneMethod
from wire.plane import NOT_HERE, PlaneCall

logger = logging.getLogger(__name__)

CALL_SECONDS: Final = 10.0
"""How long a person waits for an answer of the PBX before the call fails."""
REPLACED_GRACE: Final = 2.0
"""How long a replaced link may still deliver answers before its socket is closed, in seconds."""
TICKS: Final = 5
"""How often all links are checked within one heartbeat interval."""
CHANGES: Final = (1.0, 20)
"""Reports of one PBX about its status, users and calls, per second and as a burst. Beyond that, a status is delayed and
replaced by newer ones, and other reports are answered later."""
COMPARE_SECONDS: Final = 30.0
"""How often a replica compares its links with the table, in case it missed that one was replaced."""

M = TypeVar("M", bound=WireModel)
AnyMethod = Method | PhoneMethod
OnUsers = Callable[[str, int, UsersChanged | None], Awaitable[None]]
OnCall = Callable[[str, int, CallEndedAtOnce], Awaitable[None]]
OnLines = Callable[[str, Collection[int]], Awaitable[None]]
ReadTrust = Callable[[str], Awaitable[PbxTrust]]


class PbxRefusedError(RefusedError):
    """The call could not be made, or the connector refused it; the finding says why."""


class _NotHereError(Exception):
    """The link is not where it was expected. The call was not sent."""


_REASONS: Final = frozenset(
    (
        *PBX_FAULTS,
        Code.LOGIN_REJECTED,
        Code.CHALLENGE_EXPIRED,
        Code.PBX_BUSY,
        Code.OUTCOME_UNKNOWN,
    )
)
"""Codes that a connector may use to refuse a call, and codes for links that end. A connector may only speak for its
PBX: other codes (about tokens, licences, administrators, faults of the service) are treated as a protocol error."""
_PHONE_REASONS: Final = _REASONS | frozenset(PHONE_FAULTS)
"""Codes that a connector may use to refuse a call of `PhoneMethod`."""
_REPAIR_REASONS: Final = _REASONS | {Code.REPAIRS_REFUSED, Code.STATE_UNUSABLE}
"""Codes that a connector may use to refuse a repair."""
_LINK_FAULTS: Final = (LinkBusyError, LinkClosedError, RpcRefusalError, ConnectionError, TimeoutError)


class Hub:
    """Holds the links of this process, and reaches the links of the other replicas.

    Callbacks, each called with the PBX id:

    - `register_licence_keys`: with the licence keys of a connector and the link's epoch, before the welcome.
    - `on_users`: with the epoch and the users that changed; with None when a link has opened, because changes may
      have been missed.
    - `on_call`: with the epoch and a call that ended as soon as it was answered.
    - `on_lines`: with the ids of users whose telephone line changed.
    - `read_trust`: when the connector asks which tenants its PBX trusts.

    With the epoch a callback can ignore what an older link reports. Whenever a PBX's link or status changes, the hub
    publishes the topic of its connection.
    """

    def __init__(
        self,
        registry: Registry,
        plane: Plane,
        bus: Bus,
        register_licence_keys: RegisterLicenceKeys,
        on_users: OnUsers,
        on_call: OnCall,
        on_lines: OnLines,
        read_trust: ReadTrust,
        *,
        heartbeat: float = HEARTBEAT_SECONDS,
        hello_seconds: float = HELLO_SECONDS,
        admission: Admission | None = None,
    ) -> None:
        self._registry = registry
        self._plane = plane
        self._bus = bus
        self._on_users = on_users
        self._on_call = on_call
        self._on_lines = on_lines
        self._read_trust = read_trust
        self._heartbeat = heartbeat
        self._links: dict[str, Link] = {}
        self._under_way = Background()
        self._setbacks = Setbacks()
        self._missed: dict[str, int] = {}
        """Links that this replica holds according to the table but not in fact: PBX id to epoch."""
        self._draining = False
        self.openings: Counter[str] = Counter()
        """Counts handshakes by their outcome: `opened`, or the code of the refusal."""
        self.calls: Counter[str] = Counter()
        """Counts calls by their outcome: `answered`, or a code."""
        self.admission = admission or Admission()
        self._opening = Opening(
            registry=registry,
            bus=bus,
            replica_id=plane.replica_id,
            register_licence_keys=register_licence_keys,
            admission=self.admission,
            outcomes=self.openings,
            heartbeat=heartbeat,
            hello_seconds=hello_seconds,
        )
        self._changes = Budgets(*CHANGES)
        """Kept for each PBX, so that reconnecting does not refill the budget."""
        self._line_changes = Budgets(*LINE_CHANGES)
        bus.listen("link", self._on_newer_link)
        bus.listen("handed-over", self._on_hand_over)

    @property
    def linked(self) -> list[str]:
        """Ids of the PBXs whose links are open here."""
        return list(self._links)

    def link(self, pbx_id: str) -> Link | None:
        """Return the PBX's link if this replica holds it."""
        return self._links.get(pbx_id)

    @property
    def links_open(self) -> int:
        return len(self._links)

    async def run(self) -> None:
        """Watch all links until cancelled.

        Ping silent links, cut those that stay silent, and close those that belong to another replica by the table.
        There is one task for all links, so that an idle link costs no more than its socket.
        """
        clock = asyncio.get_running_loop().time
        looked = clock()
        while True:
            await asyncio.sleep(self._heartbeat / TICKS)
            self._check_heartbeats(clock())
            if clock() - looked >= COMPARE_SECONDS:
                looked = clock()
                try:
                    await self.close_stale()
                except Exception as fault:  # noqa: BLE001 - the heartbeat of all links goes on
                    self._setbacks.record_failure("links", fault, "links not compared with the table")
                else:
                    self._setbacks.record_success("links")

    async def serve(self, transport: Transport, address: str) -> None:
        """Serve one connection, from the challenge to its end."""
        if self._draining:
            await transport.close(CloseCode.GOING_AWAY, "shutting down")
            return
        with self.admission.opening(address) as is_admitted:
            opened = await self._opening.open(transport, address) if is_admitted else None
        if not is_admitted:
            self.openings[Code.THROTTLED] += 1
            await transport.close(CloseCode.TRY_LATER, "too many connection attempts from this address")
        if opened is None:
            return
        # Keep an idle link small: drop everything that only the handshake needed.
        link, hello_id, welcome = opened.link, opened.hello_id, opened.welcome
        link.add_handlers(
            {
                Method.STATUS: self._status_handler(link, opened.status),
                Method.USERS_CHANGED: self._event_handler(link, UsersChanged, self._on_users),
                Method.CALL_ENDED_AT_ONCE: self._event_handler(link, CallEndedAtOnce, self._on_call),
                Method.TRUST: partial(self._tell_trust, link),
                PhoneMethod.CHANGED: LineChanges(
                    partial(self._line_changes.__getitem__, link.pbx_id), partial(self._notify_lines, link)
                ).take,
            }
        )
        del opened
        if not self._add_link(link):
            await transport.close(CloseCode.REPLACED, "replaced by a newer link")
            return
        self.openings["opened"] += 1
        self.admission.link_opened(address)
        logger.info("link open", extra={"pbx": link.pbx_name, "epoch": link.epoch, "address": address})
        try:
            await link.welcome(hello_id, welcome)
            del welcome
            # The hello carried licence keys, so the pools may have changed too.
            self._bus.publish(*pbx_topics(link.pbx_id))
            await self._on_users(link.pbx_id, link.epoch, None)
            await link.serve()
        finally:
            if self._links.get(link.pbx_id) is link:
                del self._links[link.pbx_id]
            self.admission.link_closed(address)
            logger.info("link closed", extra={"pbx": link.pbx_name, "epoch": link.epoch, "reason": link.end})
            if link.was_abused:
                self.admission.count_failure(address)
            with suppress(*STORAGE_ERRORS):  # `close_stale` stores it when the database is back
                await self._registry.record_closed(
                    pbx_id=link.pbx_id, epoch=link.epoch, reason=link.end, now=now()
                )
            self._bus.publish(connection_topic(link.pbx_id))

    async def call(
        self, pbx: Pbx, method: AnyMethod, params: WireModel, answer: type[M], seconds: float = CALL_SECONDS
    ) -> M:
        """Call a method of a PBX's connector; return its answer.

        The call is sent at most once, over a link that is at least as new as `pbx`. Raises PbxRefusedError with the
        finding when there is no valid answer within `seconds`.
        """
        try:
            found = await self._call(pbx=pbx, method=method, params=params, answer=answer, seconds=seconds)
        except PbxRefusedError as refused:
            self.calls[refused.finding.code] += 1
            raise
        self.calls["answered"] += 1
        return found

    async def call_for_users(
        self,
        pbx: Pbx,
        method: Method,
        user_ids: Sequence[int],
        answer: type[M],
        seconds: float = CALL_SECONDS,
    ) -> AsyncIterator[tuple[Sequence[int], M]]:
        """Call a method for any number of users, `MAX_USERS_AT_ONCE` in a call; yield the user ids and the answer of
        each.

        Raises PbxRefusedError at the first call without a valid answer.
        """
        for begin in range(0, len(user_ids), MAX_USERS_AT_ONCE):
            asked = user_ids[begin : begin + MAX_USERS_AT_ONCE]
            yield (
                asked,
                await self.call(
                    pbx=pbx,
                    method=method,
                    params=IdsParams(user_ids=list(asked)),
                    answer=answer,
                    seconds=seconds,
                ),
            )

    async def _call(
        self, pbx: Pbx, method: AnyMethod, params: WireModel, answer: type[M], seconds: float
    ) -> M:
        link = self._links.get(pbx.id)
        if link is not None and link.is_usable(pbx.link_epoch):
            try:
                result = await link.endpoint.call(method, params, deadline=seconds)
            except _LINK_FAULTS as fault:
                raise _refused(pbx, method, *_code_for(fault)) from fault
        else:
            result = await self._call_elsewhere(pbx=pbx, method=method, params=params, seconds=seconds)
        try:
            return answer.model_validate(result)
        except ValidationError as misfit:
            raise PbxRefusedError(Finding(Code.PROTOCOL_ERROR, {"pbx_name": pbx.name})) from misfit

    async def answer(self, call: PlaneCall) -> Reply:
        """Answer a call of another replica for a link that this one holds."""
        link = self._links.get(call.pbx_id)
        if link is None or not link.is_usable(call.epoch):
            return Reply(code=NOT_HERE)
        try:
            result = await link.endpoint.call(call.method, call.params, deadline=call.deadline)
        except _LINK_FAULTS as fault:
            code, evidence = _code_for(fault)
            return Reply(code=code, evidence=evidence)
        return Reply(result)

    async def close_stale(self) -> None:
        """Bring links and table in line.

        Close links that belong to another replica by the table. Store the end of links that no longer exist but are
        open in the table, because the database was away when they ended. A handshake enters the table before its link
        exists here, so a link counts as missing only when two comparisons in a row miss it.
        """
        before = dict(self._links)
        held = await self._registry.list_held_links(self._plane.replica_id)
        missed = {pbx_id: epoch for pbx_id, epoch in held.items() if pbx_id not in self._links}
        for pbx_id, epoch in missed.items():
            if self._missed.get(pbx_id) == epoch:
                await self._registry.record_closed(
                    pbx_id=pbx_id, epoch=epoch, reason="connection-lost", now=now()
                )
                self._bus.publish(connection_topic(pbx_id))
        self._missed = missed
        for pbx_id, link in before.items():
            if held.get(pbx_id) != link.epoch:
                self._retire(link)

    def close_all(self) -> None:
        """Close all links after this replica was evicted; their connectors reconnect."""
        for link in list(self._links.values()):
            self._under_way.start(link.retire(CloseCode.GOING_AWAY, "this replica was evicted", 0))

    async def drain(self, seconds: float) -> None:
        """Refuse new links and close the open ones, spread over `seconds`. Calls in flight are still answered.

        The connectors reconnect to other replicas.
        """
        self._draining = True
        links = list(self._links.values())
        for index, link in enumerate(links):
            self._under_way.start(link.retire(CloseCode.GOING_AWAY, "shutting down", CALL_SECONDS))
            if seconds > 0 and (index + 1) % max(1, len(links) // 50) == 0:
                await asyncio.sleep(seconds / 50)
        await self._under_way.finish()

    def _check_heartbeats(self, clock: float) -> None:
        for link in list(self._links.values()):  # nothing here may raise: all links depend on this heartbeat
            silent = link.silent_for(clock)
            if silent >= self._heartbeat * HEARTBEATS_MISSED:
                self._under_way.start(link.cut())
            elif silent >= self._heartbeat and clock - link.pinged_at >= self._heartbeat:
                link.pinged_at = clock
                self._under_way.start(link.ping())

    async def _call_elsewhere(
        self, pbx: Pbx, method: AnyMethod, params: WireModel, seconds: float
    ) -> dict[str, Any]:
        """Send the call through the replica that holds the link according to `pbx`.

        If the link has moved since that row was read, the call was not sent, so it is tried once more with the
        present row.
        """
        try:
            return await self._call_replica(pbx=pbx, method=method, params=params, seconds=seconds)
        except _NotHereError:
            current = await self._registry.by_id(pbx.id)
        if current is None or current.link_epoch == pbx.link_epoch:
            raise PbxRefusedError(_link_down(current or pbx))
        link = self._links.get(pbx.id)
        try:
            if link is not None and link.is_usable(current.link_epoch):
                return await link.endpoint.call(method, params, deadline=seconds)
            return await self._call_replica(pbx=current, method=method, params=params, seconds=seconds)
        except _LINK_FAULTS as fault:
            raise _refused(pbx, method, *_code_for(fault)) from fault
        except _NotHereError:
            raise PbxRefusedError(_link_down(current)) from None

    async def _call_replica(
        self, pbx: Pbx, method: AnyMethod, params: WireModel, seconds: float
    ) -> dict[str, Any]:
        if not pbx.is_linked or pbx.link_replica is None:
            raise PbxRefusedError(_link_down(pbx))
        if pbx.link_replica == self._plane.replica_id:
            raise _NotHereError
        outgoing = OutgoingCall(
            pbx_id=pbx.id, epoch=pbx.link_epoch, method=method, params=params, deadline=seconds
        )
        try:
            answered = await self._plane.call(pbx.link_replica, outgoing)
        except NobodyThereError as nobody:  # the replica has died, but was not evicted yet
            raise _NotHereError from nobody
        except PlaneDownError as down:
            raise PbxRefusedError(Finding(Code.PLANE_DOWN, {"pbx_name": pbx.name})) from down
        except TimeoutError as lost:
            raise _refused(pbx=pbx, method=method, code=Code.OUTCOME_UNKNOWN, evidence={}) from lost
        if answered.code == NOT_HERE:
            raise _NotHereError
        if answered.code is not None:
            raise _refused(pbx=pbx, method=method, code=answered.code, evidence=answered.evidence)
        return answered.result or {}

    def _add_link(self, link: Link) -> bool:
        """Add the link, replacing an older one; return False when a newer link of the same PBX is already here."""
        old = self._links.get(link.pbx_id)
        if old is not None and old.epoch > link.epoch:
            return False
        if old is not None:
            logger.info("link replaced", extra={"pbx": link.pbx_name, "epoch": link.epoch})
            self._retire(old)
        self._links[link.pbx_id] = link
        return True

    def _on_newer_link(self, rest: str) -> None:
        pbx_id, _, epoch = rest.partition(":")
        link = self._links.get(pbx_id)
        if link is not None and link.epoch < int(epoch):
            self._retire(link)

    def _on_hand_over(self, rest: str) -> None:
        """Close the link of the old owner at once, without waiting for its answers."""
        pbx_id, _, epoch = rest.partition(":")
        link = self._links.get(pbx_id)
        if link is not None and link.epoch < int(epoch):
            self._retire(link, grace=0)

    def _retire(self, link: Link, grace: float = REPLACED_GRACE) -> None:
        if self._links.get(link.pbx_id) is link:
            del self._links[link.pbx_id]
        self._under_way.start(link.retire(CloseCode.REPLACED, "replaced by a newer link", grace))

    def _status_handler(self, link: Link, initial: Status) -> Callable[[dict[str, Any]], Awaitable[Empty]]:
        newest: Status | None = None
        is_writing = False
        # Kept as text: a model needs ten times the memory, and most links never report again.
        last = initial.model_dump_json()

        async def take(params: dict[str, Any]) -> Empty:
            """Store a reported status. Reports may run concurrently: one of them writes, always the newest status,
            and no faster than the budget allows.
            """
            nonlocal is_writing, last, newest
            newest = Status.model_validate(params)
            if is_writing:
                return Empty()
            is_writing = True
            try:
                while newest is not None:
                    if newest.model_dump_json() != last:
                        await self._pace(link)
                    status, newest = newest, None
                    text = status.model_dump_json()
                    if text != last:
                        with _refusing_unstorable():
                            await self._registry.report(
                                pbx_id=link.pbx_id, epoch=link.epoch, status=status, now=now()
                            )
                        last = text
                        self._bus.publish(connection_topic(link.pbx_id))
            finally:
                is_writing = False
            return Empty()

        return take

    async def _pace(self, link: Link) -> None:
        """Wait while the PBX exceeds its budget of changes."""
        if seconds := self._changes[link.pbx_id].reserve():
            await asyncio.sleep(seconds)

    async def _tell_trust(self, link: Link, params: dict[str, Any]) -> PbxTrust:
        """Answer `link.trust`. A link that was replaced, perhaps after a hand-over, learns nothing any more."""
        Empty.model_validate(params)
        await self._pace(link)
        if self._links.get(link.pbx_id) is not link:
            raise RpcRefusalError(Code.LINK_DOWN)
        return await self._read_trust(link.pbx_id)

    async def _notify_lines(self, link: Link, user_ids: Collection[int]) -> None:
        if self._links.get(link.pbx_id) is link:
            with suppress(*STORAGE_ERRORS):  # the readers of the line get the error
                await self._on_lines(link.pbx_id, user_ids)

    def _event_handler(
        self, link: Link, kind: type[M], take: Callable[[str, int, M], Awaitable[None]]
    ) -> Callable[[dict[str, Any]], Awaitable[Empty]]:
        """Return a handler that passes an event on to `take`, unless a newer link has replaced this one.

        When the PBX exceeds its budget, the connector waits longer for the answer.
        """

        async def handle(params: dict[str, Any]) -> Empty:
            event = kind.model_validate(params)
            await self._pace(link)
            if self._links.get(link.pbx_id) is link:
                with _refusing_unstorable():
                    await take(link.pbx_id, link.epoch, event)
            return Empty()

        return handle


@contextmanager
def _refusing_unstorable() -> Iterator[None]:
    try:
        yield
    except UnstorableValueError as unstorable:
        raise RpcRefusalError(Code.UNSTORABLE_VALUE, "a value cannot be stored") from unstorable


def _code_for(fault: Exception) -> tuple[str, dict[str, Any]]:
    """Return the code and the evidence for a call that got no result from a link."""
    if isinstance(fault, RpcRefusalError):
        return fault.code, fault.evidence
    return (Code.PBX_BUSY if isinstance(fault, LinkBusyError) else Code.OUTCOME_UNKNOWN), {}


def _refused(pbx: Pbx, method: AnyMethod, code: str, evidence: dict[str, Any]) -> PbxRefusedError:
    named = Code.named(code)
    believed = _REPAIR_REASONS if method in REPAIR_METHODS else _REASONS
    if isinstance(method, PhoneMethod):
        believed = _PHONE_REASONS
    known = named if named in believed else Code.PROTOCOL_ERROR
    kind = evidence.get("kind")
    variant = kind if isinstance(kind, str) else None
    return PbxRefusedError(Finding(known, {**evidence, "pbx_name": pbx.name}, variant))


def _link_down(pbx: Pbx) -> Finding:
    return Finding(Code.LINK_DOWN, {"pbx_name": pbx.name, "since": pbx.link_closed_at or now()})
