"""Telling each connector for which users it may keep a login to the PBX, and learning whose it has lost.

Who agreed is in the database. Each connector is told whenever that changes or its link is new, and forgets everybody else: so
a sign-out that a connector did not hear of, or a crash between the two, is made good within seconds.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from core.background import Setbacks
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.hub.bus import NOTICES_TOPIC, Bus
from core.hub.hub import AnyMethod, Hub, PbxRefusedError
from core.hub.registry import Pbx, Registry
from wire.link import CallsChallenge, Followed, KeepParams, Method, UciState
from wire.model import Empty
from wire.phone import KeepLines, KeptLines

LOOK_SECONDS: Final = 5.0
TOLD_AT_ONCE: Final = 64
"""Connectors that are being told; each may take its time to answer."""
PAUSE_SECONDS: Final = 0.5
"""A morning's rush of sign-ins is not one look each."""

Wanted = Mapping[str, Sequence[int]]
"""PBX id to the ids of its users."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What connectors keep."""

    what: str
    """For logs: "whose calls to follow"."""
    method: AnyMethod
    params: type[KeepParams | KeepLines]
    answer: type[Followed | KeptLines]
    limit: int
    """Users of one PBX."""
    wanted: Callable[[], Awaitable[Wanted]]
    lost: Callable[[str, int], Awaitable[bool]]
    """Told PBX and user whom the connector has not kept. False: it may not have been asked yet, so it is told again."""
    is_offered: Callable[[Pbx], bool] = lambda _pbx: True


class Keeper:
    def __init__(self, hub: Hub, registry: Registry, bus: Bus, kept: Kept) -> None:
        self._hub = hub
        self._registry = registry
        self._bus = bus
        self._kept = kept
        self._told: dict[str, tuple[int, tuple[int, ...]]] = {}
        """What each connector was told last, on the link of which epoch."""
        self._setbacks = Setbacks(first_pause=LOOK_SECONDS)
        self._telling = asyncio.Semaphore(TOLD_AT_ONCE)
        self._changing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """Nobody is forgotten in the moment in which they say yes."""

    def changing(self, pbx_id: str) -> AbstractAsyncContextManager[None]:
        """Around a consent that is noted and then told to the connector."""
        return self._changing[pbx_id]

    def tell_anew(self, pbx_id: str) -> None:
        """What the connector was told before may no longer hold."""
        self._told.pop(pbx_id, None)

    async def run(self) -> None:
        """Keeps the connectors up to date, until cancelled."""
        with self._bus.watch(NOTICES_TOPIC) as woken:  # published whenever a session begins or ends
            while True:
                woken.clear()
                try:
                    await self.tell_connectors()
                except Exception as fault:  # noqa: BLE001 - whatever it is, the next look may do better
                    self._setbacks.failed("connectors", fault, f"connectors not told {self._kept.what}")
                else:
                    self._setbacks.worked("connectors")
                await asyncio.sleep(PAUSE_SECONDS)
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await woken.wait()
                except TimeoutError:
                    continue

    async def tell_connectors(self) -> None:
        """Those for whom something has changed, side by side: a PBX that is slow or odd keeps no other waiting."""
        wanted = await self._kept.wanted()
        linked = self._hub.linked
        self._told = {pbx_id: told for pbx_id, told in self._told.items() if pbx_id in linked}
        for pbx_id in self._changing.keys() - set(linked):
            if not self._changing[pbx_id].locked():
                del self._changing[pbx_id]
        changed = [pbx_id for pbx_id in linked if not self._is_told(pbx_id, wanted)]
        await asyncio.gather(
            *(self._tell_safely(pbx_id) for pbx_id in changed if not self._setbacks.rests(pbx_id))
        )

    def _is_told(self, pbx_id: str, wanted: Wanted) -> bool:
        link = self._hub.link(pbx_id)
        return link is None or self._told.get(pbx_id) == (link.epoch, self._users(pbx_id, wanted))

    def _users(self, pbx_id: str, wanted: Wanted) -> tuple[int, ...]:
        return tuple(sorted(wanted.get(pbx_id, ())))[: self._kept.limit]

    async def _tell_safely(self, pbx_id: str) -> None:
        try:
            async with self._telling, self._changing[pbx_id]:
                await self._tell(pbx_id)
        except PbxRefusedError as refused:
            what = f"a connector was not told {self._kept.what}"
            self._setbacks.refused(pbx_id, refused.finding.code, what)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the other connectors are told
            self._setbacks.failed(pbx_id, fault, f"a connector cannot be told {self._kept.what}")
        else:
            self._setbacks.worked(pbx_id)

    async def _tell(self, pbx_id: str) -> None:
        wanted = await self._kept.wanted()  # read again: somebody may just have said yes
        link = self._hub.link(pbx_id)
        pbx = await self._registry.by_id(pbx_id)
        if link is None or pbx is None or self._is_told(pbx_id, wanted):
            return
        users = self._users(pbx_id, wanted)
        lost: set[int] = set()
        if self._kept.is_offered(pbx):
            params = self._kept.params(user_ids=list(users))
            answer = await self._hub.call(
                pbx=pbx, method=self._kept.method, params=params, answer=self._kept.answer
            )
            lost = set(users) - set(answer.user_ids)
        self._told[pbx_id] = (link.epoch, users)
        for user_id in lost:
            if not await self._kept.lost(pbx_id, user_id):
                self.tell_anew(pbx_id)


@dataclass(frozen=True, slots=True)
class PreparedConsent:
    """What the browser needs to seal a UCI login to the connector."""

    pbx_name: str
    login: str
    nonce: str
    sealing_key: str
    sealing_signature: str
    connector_identity: str


async def prepare_consent(
    hub: Hub, pbx: Pbx, login: str, impossible: Code, while_down: Code | None = None
) -> PreparedConsent | Finding:
    """`impossible`: what is said where UCI logins cannot be made from login and password; `while_down`: what instead while
    the connector only waits for UCI, so that nobody knows whether they can.
    """
    try:
        challenge = await hub.call(
            pbx=pbx, method=Method.CALLS_CHALLENGE, params=Empty(), answer=CallsChallenge
        )
    except PbxRefusedError as refused:
        return refused.finding
    if not challenge.possible:
        waits = pbx.status is not None and pbx.status.uci in (UciState.CONNECTING, UciState.FAILED)
        return Finding(while_down if while_down and waits else impossible, {"pbx_name": pbx.name})
    return PreparedConsent(
        pbx_name=pbx.name,
        login=login,
        nonce=challenge.nonce,
        sealing_key=pbx.sealing_key,
        sealing_signature=pbx.sealing_signature,
        connector_identity=pbx.identity,
    )
