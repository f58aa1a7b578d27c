"""Open a link: a signed challenge, the check who owns the name, and an answer that reveals nothing to strangers.

A connector that does not own the name gets the same refusal after the same time for every name: a free one, one that
needs an enrolment code, and one that belongs to somebody else (docs/trust.md).
"""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from core.background import Background
from core.budget import Budgets, address_group
from core.diagnosis.codes import Code
from core.hub.admission import Admission
from core.hub.bus import Bus, claims_topic
from core.hub.claims import BoundElsewhere, Claimed, NotEnrolled
from core.hub.connection import Transport
from core.hub.link import Link
from core.hub.registry import Registry
from core.store.database import STORAGE_ERRORS
from core.store.timestamps import now
from core.store.transaction import UnstorableValueError
from wire.connection import CloseCode
from wire.jsonrpc import Frame, RpcErrorCode, dump
from wire.link import Challenge, Hello, LicenceKeyState, Method, NameState, Status, Welcome
from wire.pbx_name import is_host_name

logger = logging.getLogger(__name__)

RegisterLicenceKeys = Callable[[str, list[str], int], Awaitable[list[LicenceKeyState]]]

STRANGERS_ANSWERED_AFTER: Final = 0.25
"""Seconds from the hello to a refusal. All look-ups take less time, so the delay does not depend on the name."""
EVIDENCE: Final = (1 / 60, 1)
"""How often a refused identity is recorded for one name, per second and as a burst. Each record wakes administrators'
tabs."""
EVIDENCE_OF_ADDRESS: Final = (1 / 6, 20)
"""How often refused claims from one address are recorded for one name, per second and as a burst."""
EVIDENCE_AT_ONCE: Final = 20
"""How many records are written at the same time. Further ones are dropped, because refused connectors try again."""


@dataclass(frozen=True, slots=True)
class OpenedLink:
    """A successful handshake; the welcome is still to be sent."""

    link: Link
    hello_id: int | str | None
    welcome: Welcome
    status: Status
    """The connector's status from its hello."""


class Opening:
    """Performs handshakes. `outcomes` counts failed ones by their code, or as `no-hello`."""

    def __init__(
        self,
        registry: Registry,
        bus: Bus,
        replica_id: str,
        register_licence_keys: RegisterLicenceKeys,
        admission: Admission,
        outcomes: Counter[str],
        *,
        heartbeat: float,
        hello_seconds: float,
    ) -> None:
        self._registry = registry
        self._bus = bus
        self._replica_id = replica_id
        self._register_licence_keys = register_licence_keys
        self._admission = admission
        self._outcomes = outcomes
        self._heartbeat = heartbeat
        self._hello_seconds = hello_seconds
        self._evidence = Budgets(*EVIDENCE)
        self._evidence_of_address = Budgets(*EVIDENCE_OF_ADDRESS)
        self._writing = Background()

    async def open(self, transport: Transport, address: str) -> OpenedLink | None:
        """Perform the handshake; return None when it failed and the connection was closed.

        A failure counts against the address, unless the database is away.
        """
        try:
            return await self._open(transport, address)
        except STORAGE_ERRORS:
            logger.warning("link refused: the database is away", extra={"address": address})
            await transport.close(CloseCode.TRY_LATER, "the database is away")
        except ConnectionError:
            self._admission.count_failure(address)
        except Exception:
            logger.exception("handshake failed", extra={"address": address})
            self._outcomes[Code.INTERNAL] += 1
            self._admission.count_failure(address)
            await transport.close(CloseCode.POLICY, "internal error")
        return None

    async def _open(self, transport: Transport, address: str) -> OpenedLink | None:
        challenge = Challenge(nonce=secrets.token_urlsafe(32), server_time=now())
        frame: Frame | None = None
        try:
            async with asyncio.timeout(self._hello_seconds):
                await transport.send(dump(method=Method.CHALLENGE, params=challenge))
                frame = await _first_frame(transport)
        except (TimeoutError, ConnectionError):
            logger.info("hello timed out", extra={"address": address})
            self._outcomes["no-hello"] += 1
            self._admission.count_failure(address)
            await transport.close(CloseCode.HELLO_TIMEOUT, "hello timed out")
            return None
        answered_at = asyncio.get_running_loop().time() + STRANGERS_ANSWERED_AFTER
        hello = _hello(frame)
        if frame is None or hello is None:
            await self._refuse(transport=transport, frame=frame, code=Code.PROTOCOL_ERROR, address=address)
            return None
        if hello.nonce != challenge.nonce or not hello.is_genuine(frame.params or {}):
            await self._refuse(transport=transport, frame=frame, code=Code.BAD_SIGNATURE, address=address)
            return None
        try:
            if frame.method == Method.CHECK:
                await self._check(
                    transport=transport, frame=frame, hello=hello, address=address, answered_at=answered_at
                )
                return None
            return await self._claim(
                transport=transport, frame=frame, hello=hello, address=address, answered_at=answered_at
            )
        except UnstorableValueError:
            await self._refuse(transport=transport, frame=frame, code=Code.PROTOCOL_ERROR, address=address)
            return None

    async def _check(
        self, transport: Transport, frame: Frame, hello: Hello, address: str, answered_at: float
    ) -> None:
        """Answer `link.check`: say how a hello would be answered, without opening a link."""
        if not self._admission.may_check(address):
            await self._throttle(transport, "too many checks from this address")
            return
        may_try_code = self._take_code(hello, address)
        checked = await self._registry.check(hello, now(), may_try_code=may_try_code)
        if checked.name in (NameState.MINE, NameState.FREE):
            self._give_back_code(hello, address, taken=may_try_code)
        elif not is_host_name(hello.pbx_name):
            await _until(answered_at)
            await self._refuse(transport=transport, frame=frame, code=Code.PBX_NAME_INVALID, address=address)
            return
        else:
            await _until(answered_at)
        await transport.send(dump(id=frame.id, result=checked))
        await transport.close(CloseCode.DONE, "checked")

    async def _claim(
        self, transport: Transport, frame: Frame, hello: Hello, address: str, answered_at: float
    ) -> OpenedLink | None:
        if not self._admission.may_open(hello.identity):
            self._admission.count_failure(address)
            await self._throttle(transport, "too many links from this connector")
            return None
        may_try_code = self._take_code(hello, address)
        may_be_new = not self._registry.enrolment_required and self._admission.take_new_name(address)
        claim = await self._registry.claim(
            hello=hello,
            address=address,
            replica_id=self._replica_id,
            now=now(),
            may_be_new=may_be_new,
            may_try_code=may_try_code,
        )
        if may_be_new and not (isinstance(claim, Claimed) and claim.is_new):
            self._admission.give_back_new_name(address)
        if not isinstance(claim, Claimed):
            await _until(answered_at)
            known = is_host_name(hello.pbx_name)
            code = Code.ENROLMENT_NEEDED if known else Code.PBX_NAME_INVALID
            await self._refuse(transport=transport, frame=frame, code=code, address=address)
            self._record_refusal(claim, hello, address)
            return None
        self._give_back_code(hello, address, taken=may_try_code)
        self._evidence.forget((claim.pbx_id, hello.identity))  # it may lose the name again later
        if claim.previous_replica not in (None, self._replica_id):
            self._bus.publish(f"link:{claim.pbx_id}:{claim.epoch}")
        states = await self._register_licence_keys(claim.pbx_id, hello.licence_keys, claim.epoch)
        link = Link(transport=transport, pbx_id=claim.pbx_id, epoch=claim.epoch, pbx_name=hello.pbx_name)
        welcome = Welcome(pbx_id=claim.pbx_id, heartbeat_seconds=self._heartbeat, licence_keys=states)
        return OpenedLink(link=link, hello_id=frame.id, welcome=welcome, status=hello.status)

    def _take_code(self, hello: Hello, address: str) -> bool:
        return bool(hello.enrolment_code) and self._admission.take_code(hello.pbx_name, address)

    def _give_back_code(self, hello: Hello, address: str, *, taken: bool) -> None:
        if taken:
            self._admission.give_back_code(hello.pbx_name, address)

    def _record_refusal(self, claim: BoundElsewhere | NotEnrolled, hello: Hello, address: str) -> None:
        """Record a refused claim for the administrators of the name, after the answer and at most once a minute."""
        if not isinstance(claim, BoundElsewhere) or len(self._writing) >= EVIDENCE_AT_ONCE:
            return
        from_there = self._evidence_of_address[claim.pbx_id, address_group(address)]
        if from_there.has and self._evidence[claim.pbx_id, hello.identity].take():
            from_there.spend()
            self._writing.start(self._write(claim.pbx_id, hello, address))

    async def _write(self, pbx_id: str, hello: Hello, address: str) -> None:
        with suppress(*STORAGE_ERRORS):
            await self._registry.note_refused_claim(pbx_id=pbx_id, hello=hello, address=address, now=now())
            self._bus.publish(claims_topic(pbx_id))

    async def _throttle(self, transport: Transport, reason: str) -> None:
        self._outcomes[Code.THROTTLED] += 1
        await transport.close(CloseCode.TRY_LATER, reason)

    async def _refuse(self, transport: Transport, frame: Frame | None, code: Code, address: str) -> None:
        logger.warning("link refused", extra={"code": code, "address": address})
        self._outcomes[code] += 1
        self._admission.count_failure(address)
        error = {"code": int(RpcErrorCode.REFUSED), "message": code, "data": {"code": code, "evidence": {}}}
        await transport.send(dump(id=frame.id if frame else None, error=error))
        await transport.close(CloseCode.REFUSED, code)


async def _first_frame(transport: Transport) -> Frame | None:
    async for text in transport:
        return _parsed(text)
    raise ConnectionResetError("closed before the hello")


def _parsed(text: str) -> Frame | None:
    try:
        return Frame.model_validate_json(text)
    except ValidationError:
        return None


def _hello(frame: Frame | None) -> Hello | None:
    if frame is None or frame.method not in (Method.HELLO, Method.CHECK):
        return None
    try:
        return Hello.model_validate(frame.params or {})
    except (ValidationError, ArithmeticError):  # a time at the edge of the calendar overflows
        return None


async def _until(moment: float) -> None:
    await asyncio.sleep(moment - asyncio.get_running_loop().time())
