"""Keep connectors informed for which users they may keep a login to the PBX, and learn which logins they have lost.

The consents are in the database. A connector gets the whole list whenever it changes and whenever its link is new, and
deletes all other logins. So a missed sign-out, or a crash between storing a consent and informing the connector, is
repaired within seconds.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from core.background import Setbacks
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, RefusedError
from core.hub.bus import NOTICES_TOPIC, Bus
from core.hub.hub import AnyMethod, Hub, PbxRefusedError
from core.hub.registry import Pbx, Registry
from wire.link import CallsChallenge, CallsChallengeParams, Followed, KeepParams, Method, UciState
from wire.phone import KeepLines, KeptLines

POLL_SECONDS: Final = 5.0
"""How long to wait at most until the consents are read again."""
MAX_INFORMED_AT_ONCE: Final = 64
"""How many connectors are informed at the same time. Each may take its time to answer."""
PAUSE_SECONDS: Final = 0.5
"""Pause between two reads, so that not every sign-in of a morning rush causes one."""

UsersByPbx = Mapping[str, Sequence[int]]
"""Maps a PBX id to the ids of its users with consent."""


@dataclass(frozen=True, slots=True)
class KeptLogins:
    """One purpose for which connectors keep logins."""

    what: str
    """Name of the purpose for logs, for instance "whose calls to follow"."""
    method: AnyMethod
    params: type[KeepParams | KeepLines]
    answer: type[Followed | KeptLines]
    limit: int
    """The largest number of users of one PBX."""
    read_consents: Callable[[], Awaitable[UsersByPbx]]
    """Reads the consents from the database."""
    on_lost: Callable[[str, int], Awaitable[bool]]
    """Called with the PBX id and a user whose login the connector does not have. Returns False when the consent may
    be newer than the list that the connector got; then the connector is informed again."""
    on_linked: Callable[[str], Awaitable[None]] | None = None
    """Called with the PBX id when a connector has got the list for the first time over a new link."""
    is_offered: Callable[[Pbx], bool] = lambda _pbx: True
    """Whether the PBX's connector supports this purpose."""


class Keeper:
    """Keeps all connectors that are linked to this replica informed about one purpose."""

    def __init__(self, hub: Hub, registry: Registry, bus: Bus, kept: KeptLogins) -> None:
        self._hub = hub
        self._registry = registry
        self._bus = bus
        self._kept = kept
        self._informed: dict[str, tuple[int, tuple[int, ...]]] = {}
        """For each PBX: the epoch of the link, and the user ids that its connector got last."""
        self._setbacks = Setbacks(first_pause=POLL_SECONDS)
        self._informing = asyncio.Semaphore(MAX_INFORMED_AT_ONCE)
        self._changing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """For each PBX: held while a consent is stored and sent, so that a concurrent update does not drop it."""

    def changing(self, pbx_id: str) -> AbstractAsyncContextManager[None]:
        """Return the lock to hold while a consent is stored and then sent to the connector."""
        return self._changing[pbx_id]

    def forget_informed(self, pbx_id: str) -> None:
        """Make sure that the connector is informed again, although the list has not changed."""
        self._informed.pop(pbx_id, None)

    async def run(self) -> None:
        """Keep the connectors up to date until cancelled."""
        with self._bus.watch(NOTICES_TOPIC) as woken:  # published whenever a session begins or ends
            while True:
                woken.clear()
                try:
                    await self.inform_connectors()
                except Exception as fault:  # noqa: BLE001 - the next attempt may succeed
                    self._setbacks.record_failure(
                        "connectors", fault, f"connectors not informed {self._kept.what}"
                    )
                else:
                    self._setbacks.record_success("connectors")
                await asyncio.sleep(PAUSE_SECONDS)
                try:
                    async with asyncio.timeout(POLL_SECONDS):
                        await woken.wait()
                except TimeoutError:
                    continue

    async def inform_connectors(self) -> None:
        """Inform all connectors whose list has changed, in parallel, so that a slow PBX does not delay the others."""
        consents = await self._kept.read_consents()
        linked = self._hub.linked
        self._informed = {pbx_id: informed for pbx_id, informed in self._informed.items() if pbx_id in linked}
        for pbx_id in self._changing.keys() - set(linked):
            if not self._changing[pbx_id].locked():
                del self._changing[pbx_id]
        changed = [pbx_id for pbx_id in linked if not self._is_informed(pbx_id, consents)]
        await asyncio.gather(
            *(self._inform_safely(pbx_id) for pbx_id in changed if not self._setbacks.is_resting(pbx_id))
        )

    def _is_informed(self, pbx_id: str, consents: UsersByPbx) -> bool:
        link = self._hub.link(pbx_id)
        return link is None or self._informed.get(pbx_id) == (link.epoch, self._users(pbx_id, consents))

    def _users(self, pbx_id: str, consents: UsersByPbx) -> tuple[int, ...]:
        return tuple(sorted(consents.get(pbx_id, ())))[: self._kept.limit]

    async def _inform_safely(self, pbx_id: str) -> None:
        try:
            async with self._informing, self._changing[pbx_id]:
                await self._inform(pbx_id)
        except PbxRefusedError as refused:
            what = f"a connector was not informed {self._kept.what}"
            self._setbacks.record_refusal(pbx_id, refused.finding.code, what)
        except Exception as fault:  # noqa: BLE001 - the other connectors must be informed all the same
            self._setbacks.record_failure(pbx_id, fault, f"a connector cannot be informed {self._kept.what}")
        else:
            self._setbacks.record_success(pbx_id)

    async def _inform(self, pbx_id: str) -> None:
        consents = await self._kept.read_consents()  # read again: somebody may just have consented
        link = self._hub.link(pbx_id)
        pbx = await self._registry.by_id(pbx_id)
        if link is None or pbx is None or self._is_informed(pbx_id, consents):
            return
        users = self._users(pbx_id, consents)
        lost: set[int] = set()
        if self._kept.is_offered(pbx):
            params = self._kept.params(user_ids=list(users))
            answer = await self._hub.call(
                pbx=pbx, method=self._kept.method, params=params, answer=self._kept.answer
            )
            lost = set(users) - set(answer.user_ids)
        epoch, _users = self._informed.get(pbx_id, (None, ()))
        self._informed[pbx_id] = (link.epoch, users)
        for user_id in lost:
            if not await self._kept.on_lost(pbx_id, user_id):
                self.forget_informed(pbx_id)
        if self._kept.on_linked is not None and epoch != link.epoch:
            await self._kept.on_linked(pbx_id)


@dataclass(frozen=True, slots=True)
class PreparedConsent:
    """What the browser needs to seal a UCI login to the connector."""

    pbx_name: str
    login: str
    nonce: str
    sealing_key: str
    sealing_signature: str
    connector_identity: str
    needs_password: bool
    """The browser seals the password itself, because the PBX uses OAuth."""


async def prepare_consent(
    hub: Hub, pbx: Pbx, login: str, impossible: Code, while_down: Code | None = None
) -> PreparedConsent:
    """Ask the connector for what a browser needs to seal a UCI login. Raises `RefusedError` when that is not possible.

    `impossible` is the code when the PBX does not accept UCI logins made from login and password. `while_down`, if
    given, is the code while the connector's UCI connection is down, so that this is unknown.
    """
    params = CallsChallengeParams(takes_password=pbx.takes_uci_password)
    challenge = await hub.call(pbx=pbx, method=Method.CALLS_CHALLENGE, params=params, answer=CallsChallenge)
    if not challenge.possible:
        waits = pbx.status is not None and pbx.status.uci in (UciState.CONNECTING, UciState.FAILED)
        code = while_down if while_down and waits else impossible
        raise RefusedError(Finding(code, {"pbx_name": pbx.name}))
    return PreparedConsent(
        pbx_name=pbx.name,
        login=login,
        nonce=challenge.nonce,
        sealing_key=pbx.sealing_key,
        sealing_signature=pbx.sealing_signature,
        connector_identity=pbx.identity,
        needs_password=challenge.needs_password,
    )
