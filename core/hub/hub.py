"""The hub: opens links, holds them, and carries calls to a PBX."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.hub.link import CloseCode, Link, Transport
from core.hub.registry import BoundElsewhere, Registry
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

logger = logging.getLogger(__name__)

CALL_SECONDS: Final = 10.0
"""How long a person waits for the PBX before they are told that it did not answer."""

M = TypeVar("M", bound=WireModel)
RegisterLicenceKeys = Callable[[str, list[str]], Awaitable[list[LicenceKeyState]]]
OnChange = Callable[[str], Awaitable[None]]
OnUsers = Callable[[str, UsersChanged | None], Awaitable[None]]
OnCall = Callable[[str, CallEndedAtOnce], Awaitable[None]]


class PbxRefusedError(Exception):
    """The call could not be made, or the connector refused it; the finding says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.code)
        self.finding = finding


class Hub:
    """Holds the links of this process.

    `register_licence_keys` is told a PBX's licence keys before its welcome; `on_change` is told a PBX's id
    whenever its link or status changes; `on_users` is told what changed of a PBX's users, and `None` when a link
    has opened and nobody knows what changed meanwhile; `on_call` is told of a call that ended at once.
    """

    def __init__(
        self,
        registry: Registry,
        register_licence_keys: RegisterLicenceKeys,
        on_change: OnChange,
        on_users: OnUsers,
        on_call: OnCall,
        *,
        heartbeat: float = HEARTBEAT_SECONDS,
        hello_seconds: float = HELLO_SECONDS,
    ) -> None:
        self._registry = registry
        self._register_licence_keys = register_licence_keys
        self._on_change = on_change
        self._on_users = on_users
        self._on_call = on_call
        self._heartbeat = heartbeat
        self._hello_seconds = hello_seconds
        self._links: dict[str, Link] = {}
        self._draining = False

    @property
    def linked(self) -> list[str]:
        """Ids of the PBXs whose links are open here."""
        return list(self._links)

    def link(self, pbx_id: str) -> Link | None:
        return self._links.get(pbx_id)

    @property
    def links_open(self) -> int:
        return len(self._links)

    async def serve(self, transport: Transport, address: str) -> None:
        """The whole life of one connection, from the challenge to its end."""
        if self._draining:
            await transport.close(CloseCode.GOING_AWAY, "shutting down")
            return
        opened = await self._open(transport, address)
        if opened is None:
            return
        link, hello_id, welcome = opened
        old = self._links.get(link.pbx_id)
        self._links[link.pbx_id] = link
        if old is not None:
            logger.info("link replaced", extra={"pbx": link.hello.pbx_name, "epoch": link.epoch})
            await old.close(CloseCode.REPLACED, "replaced by a newer link")
        logger.info("link open", extra={"pbx": link.hello.pbx_name, "epoch": link.epoch, "address": address})
        try:
            await link.welcome(hello_id, welcome.model_dump(mode="json", by_alias=True))
            await self._on_change(link.pbx_id)
            await self._on_users(link.pbx_id, None)
            await link.serve()
        finally:
            if self._links.get(link.pbx_id) is link:
                del self._links[link.pbx_id]
            await self._registry.closed(link.pbx_id, link.epoch, now())
            logger.info("link closed", extra={"pbx": link.hello.pbx_name, "epoch": link.epoch})
            await self._on_change(link.pbx_id)

    async def call(self, pbx_id: str, pbx_name: str, method: Method, params: WireModel, answer: type[M]) -> M:
        """Asks a PBX once. Raises `PbxRefusedError` with the finding when there is no good answer."""
        evidence = {"pbx_name": pbx_name}
        link = self._links.get(pbx_id)
        if link is None:
            raise PbxRefusedError(Finding(Code.LINK_DOWN, {**evidence, "since": now()}))
        try:
            result = await link.endpoint.call(method, params, deadline=CALL_SECONDS)
            return answer.model_validate(result)
        except LinkBusyError as busy:
            raise PbxRefusedError(Finding(Code.PBX_BUSY, evidence)) from busy
        except (LinkClosedError, ConnectionError, TimeoutError) as lost:
            raise PbxRefusedError(Finding(Code.OUTCOME_UNKNOWN, evidence)) from lost
        except RpcRefusalError as refusal:
            code = Code.named(refusal.code) or Code.PROTOCOL_ERROR
            raise PbxRefusedError(Finding(code, {**refusal.evidence, **evidence})) from refusal
        except ValidationError as misfit:
            raise PbxRefusedError(Finding(Code.PROTOCOL_ERROR, evidence)) from misfit

    async def close(self) -> None:
        """Takes no new link and closes those that are open; their connectors come again."""
        self._draining = True
        links = list(self._links.values())
        await asyncio.gather(*(link.close(CloseCode.GOING_AWAY, "shutting down") for link in links))

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
            await transport.close(CloseCode.HELLO_TIMEOUT, "no hello in time")
            return None
        hello = _hello(frame)
        if frame is None or hello is None:
            await self._refuse(transport, frame, Code.PROTOCOL_ERROR, address)
            return None
        if hello.nonce != challenge.nonce or not hello.is_genuine():
            await self._refuse(transport, frame, Code.BAD_SIGNATURE, address)
            return None
        claim = await self._registry.claim(hello, address, now())
        if isinstance(claim, BoundElsewhere):
            owner = await self._registry.by_name(hello.pbx_name)
            await self._refuse(transport, frame, Code.NAME_BOUND_ELSEWHERE, address)
            if owner is not None:
                await self._on_change(owner.id)
            return None
        states = await self._register_licence_keys(claim.pbx.id, hello.licence_keys)
        link = Link(transport, claim.pbx.id, claim.epoch, hello, self._heartbeat)
        link.on(
            {
                Method.STATUS: self._status_handler(link),
                Method.USERS_CHANGED: self._event_handler(link, UsersChanged, self._on_users),
                Method.CALL_ENDED_AT_ONCE: self._event_handler(link, CallEndedAtOnce, self._on_call),
            }
        )
        welcome = Welcome(pbx_id=claim.pbx.id, heartbeat_seconds=self._heartbeat, licence_keys=states)
        return link, frame.id, welcome

    def _status_handler(self, link: Link) -> Callable[[dict[str, Any]], Awaitable[Empty]]:
        writing = asyncio.Lock()

        async def take(params: dict[str, Any]) -> Empty:
            link.status = Status.model_validate(params)
            # Methods run at the same time; the newest status must be the last one written.
            async with writing:
                await self._registry.report(link.pbx_id, link.epoch, link.status)
            await self._on_change(link.pbx_id)
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

    @staticmethod
    async def _refuse(transport: Transport, frame: Frame | None, code: Code, address: str) -> None:
        logger.warning("link refused", extra={"code": code, "address": address})
        error = {"code": int(RpcErrorCode.REFUSED), "message": code, "data": {"code": code, "evidence": {}}}
        try:
            await transport.send(dump(id=frame.id if frame else None, error=error))
        except ConnectionError:
            return
        await transport.close(CloseCode.REFUSED, code)


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
