"""Connected audio probes. A probe authenticates with a pairing code or its token, and then sends reports."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from core.advisor.advisor import Advisor, audio_topic
from core.audio.device import AudioDevice, Kind, Platform
from core.audio.evidence import DeviceUse, Program, Source
from core.background import Background
from core.budget import Budgets, address_group, counted
from core.hub.bus import Bus
from core.hub.connection import Connection, Transport, pong
from core.identity.teams_user import TeamsUser
from core.store.audio import AudioStore, Probe
from core.store.timestamps import now
from wire.connection import HEARTBEATS_MISSED, CloseCode
from wire.jsonrpc import Handler, LinkClosedError, RpcRefusalError
from wire.model import Empty
from wire.probe import (
    OPEN_SECONDS,
    PING_SECONDS,
    HelloParams,
    Paired,
    PairParams,
    ProbeMethod,
    ProbeReport,
    ProbeUse,
    ProbeWelcome,
)

logger = logging.getLogger(__name__)

ATTEMPTS: Final = (20 / 60, 20)
"""Pairing codes and tokens from one address (per second, burst). Pairing codes are counted before they are looked up and
given back if they are right. A code has 40 bits and is valid for ten minutes, too short to guess it at this rate."""
REPORTS: Final = (2.0, 120)
"""Reports of one probe (per second, burst). More are refused; the next report replaces them anyway."""
OPENING_AT_ONCE: Final = 500
"""Connections of one address that have not authenticated yet. Each is cut after `OPEN_SECONDS`."""
CONNECTIONS_PER_ADDRESS: Final = 20_000
"""Connections of one address. The desktops of a company may share one."""


class Probes:
    def __init__(self, advisor: Advisor, store: AudioStore, bus: Bus, replica_id: str) -> None:
        self._advisor = advisor
        self._store = store
        self._bus = bus
        self._replica_id = replica_id
        self._attempts = Budgets(*ATTEMPTS)
        self._reports = Budgets(*REPORTS)
        self._opening: Counter[str] = Counter()
        self._of_address: Counter[str] = Counter()
        self._connected: dict[str, Connected] = {}
        self._ending = Background()
        bus.listen("probe-unpaired", self._hear_unpaired)
        bus.listen("probe-connected", self._hear_connected)

    @property
    def connected_count(self) -> int:
        return len(self._connected)

    async def serve(self, transport: Transport, address: str) -> None:
        """Serve one connection until it ends."""
        group = address_group(address)
        if self._opening[group] >= OPENING_AT_ONCE or self._of_address[group] >= CONNECTIONS_PER_ADDRESS:
            await transport.close(CloseCode.TRY_LATER, "too many connections from this address")
            return
        with counted(self._of_address, group), ExitStack() as opening:
            opening.enter_context(counted(self._opening, group))
            await Connected(probes=self, transport=transport, group=group, when_open=opening.close).serve()

    async def remove(self, user: TeamsUser, probe_id: str) -> None:
        """Unpair a probe and invalidate its token. Idempotent."""
        if await self._store.remove_probe(user.key, probe_id, now()):
            self._bus.publish(f"probe-unpaired:{probe_id}", audio_topic(*user.key))

    async def remove_all(self, user: TeamsUser) -> None:
        """Notify and disconnect all probes of a person whose data is being deleted."""
        probes = (await self._store.get(user.key)).probes
        self._bus.publish(*(f"probe-unpaired:{probe.id}" for probe in probes))

    async def close(self) -> None:
        await asyncio.gather(
            *(
                connected.close(CloseCode.GOING_AWAY, "shutting down")
                for connected in [*self._connected.values()]
            )
        )

    async def opened(self, probe: Probe, connected: "Connected") -> None:
        old, self._connected[probe.id] = self._connected.get(probe.id), connected
        if old is not None:
            await old.close(CloseCode.REPLACED, "replaced by a newer connection")
        await self._store.mark_connected(probe.id, self._replica_id)
        self._bus.publish(f"probe-connected:{probe.id}:{self._replica_id}", audio_topic(*probe.person))

    async def closed(self, probe: Probe, connected: "Connected") -> None:
        if self._connected.get(probe.id) is connected:
            del self._connected[probe.id]
            await self._store.mark_disconnected(probe.id, self._replica_id)
            await self._advisor.end_active_uses(probe.person, probe.id)

    async def pair(self, params: PairParams, group: str) -> tuple[Probe, str]:
        """Redeem a pairing code; return the probe and its new token. `group` is the key of the client's address.

        Raises `RpcRefusalError`.
        """
        self._attempt(group)
        redeemed = await self._store.redeem(
            code=params.code,
            machine=params.machine,
            platform=params.platform,
            version=params.version,
            at=now(),
        )
        if redeemed is None:
            raise RpcRefusalError("pairing-code-unknown", "the pairing code is unknown, used or too old")
        self._attempts[group].give_back()
        logger.info("probe paired", extra={"platform": params.platform})
        return redeemed

    async def hello(self, params: HelloParams, group: str) -> Probe:
        """Authenticate a paired probe by its token. Raises `RpcRefusalError`."""
        # A token of 256 bits cannot be guessed. Only wrong ones are counted, since many probes of a company may reconnect.
        if not self._attempts.has(group):
            raise RpcRefusalError("throttled", "too many attempts; wait a minute")
        probe = await self._store.get_probe(params.token, params.version, now())
        if probe is None:
            self._attempts[group].spend()
            raise RpcRefusalError("probe-unpaired", "this probe is paired with nobody any more")
        return probe

    async def report(self, probe: Probe, report: ProbeReport) -> None:
        if not self._reports[probe.id].take():
            raise RpcRefusalError("throttled", "too many reports; wait a minute")
        if not await self._store.is_paired(probe.id):  # the message from another replica was lost
            self._hear_unpaired(probe.id)
        elif probe.id in self._connected:
            at = now()  # the same time for all uses of one report
            uses = [_use(use, probe, at) for use in report.uses]
            await self._advisor.store_report(probe.person, probe.id, uses)

    async def get_person_name(self, probe: Probe) -> str:
        return await self._advisor.get_person_name(probe.person)

    def _attempt(self, group: str) -> None:
        if not self._attempts[group].take():
            raise RpcRefusalError("throttled", "too many attempts; wait a minute")

    def _hear_unpaired(self, probe_id: str) -> None:
        connected = self._connected.pop(probe_id, None)
        if connected is not None:
            self._ending.start(connected.unpaired())

    def _hear_connected(self, rest: str) -> None:
        probe_id, _, replica_id = rest.partition(":")
        if replica_id != self._replica_id and probe_id in self._connected:
            connected = self._connected.pop(probe_id)
            self._ending.start(connected.close(CloseCode.REPLACED, "replaced by a newer connection"))


class Connected(Connection):
    """One connection of a probe."""

    FRAMES = (5.0, 200)
    MAX_BAD_FRAMES = 5
    MAX_REFUSED_FRAMES = 50

    def __init__(
        self, probes: Probes, transport: Transport, group: str, when_open: Callable[[], None]
    ) -> None:
        self._probes = probes
        self._group = group
        self._when_open = when_open
        self.probe: Probe | None = None
        handlers: dict[str, Handler] = {
            ProbeMethod.PAIR: self._pair,
            ProbeMethod.HELLO: self._hello,
            ProbeMethod.REPORT: self._report,
            ProbeMethod.PING: pong,
        }
        super().__init__(transport, handlers, max_in_flight=4)

    async def serve(self) -> None:
        watch = asyncio.create_task(self._watch())
        try:
            await super().serve()
        finally:
            watch.cancel()
            if self.probe is not None:
                await self._probes.closed(self.probe, self)

    async def unpaired(self) -> None:
        try:
            await self.endpoint.notify(ProbeMethod.UNPAIRED, Empty())
        except (ConnectionError, LinkClosedError):
            return
        await self.close(CloseCode.REFUSED, "unpaired")

    async def _watch(self) -> None:
        await asyncio.sleep(OPEN_SECONDS)
        if self.probe is None:
            await self.close(CloseCode.HELLO_TIMEOUT, "neither paired nor said hello")
            return
        clock = asyncio.get_running_loop().time
        while (left := PING_SECONDS * HEARTBEATS_MISSED - self.silent_for(clock())) > 0:  # noqa: ASYNC110 - see below
            await asyncio.sleep(left)  # every frame moves the end
        await self.close(CloseCode.SILENT, "no ping")

    async def _pair(self, params: dict[str, Any]) -> Paired:
        probe, token = await self._probes.pair(PairParams.model_validate(params), self._group)
        await self._take(probe)
        return Paired(token=token, person=await self._probes.get_person_name(probe))

    async def _hello(self, params: dict[str, Any]) -> ProbeWelcome:
        probe = await self._probes.hello(HelloParams.model_validate(params), self._group)
        await self._take(probe)
        return ProbeWelcome(person=await self._probes.get_person_name(probe))

    async def _take(self, probe: Probe) -> None:
        if self.probe is not None:
            await self._probes.closed(self.probe, self)
        self.probe = probe
        self._when_open()
        await self._probes.opened(probe, self)

    async def _report(self, params: dict[str, Any]) -> Empty:
        if self.probe is None:
            raise RpcRefusalError("probe-unpaired", "pair or say hello first")
        try:
            report = ProbeReport.model_validate(params)
        except ValidationError as misfit:
            raise RpcRefusalError("invalid-request", "the report cannot be read") from misfit
        await self._probes.report(self.probe, report)
        return Empty()


def _use(use: ProbeUse, probe: Probe, at: datetime) -> DeviceUse:
    kind = Kind(use.kind)
    device = use.device
    return DeviceUse(
        source=Source.PROBE,
        program=Program(use.program),
        kind=kind,
        device=AudioDevice(
            label=device.label,
            kind=kind,
            platform=Platform(probe.platform),
            endpoint_id=device.endpoint_id,
            container_id=device.container_id,
            usb_id=device.usb_id,
            serial=device.serial,
        ),
        at=at,
        active=use.active,
        assumed=use.assumed,
        exclusive=use.exclusive,
    )
