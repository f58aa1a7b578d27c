"""Watches the PBX and tells how it stands: what `link.status` reports."""

import asyncio
import logging
from typing import Final

from connector.errors import PbxError, PbxLoginFailedError
from connector.rest import StarfaceRest
from connector.uci import UciClient
from wire.link import RestState, Status, UciState

logger = logging.getLogger(__name__)

CHECK_SECONDS: Final = 15.0
"""Four requests a minute: soon enough to explain a failed sign-in, too few to burden the PBX."""


class Monitor:
    def __init__(
        self,
        rest: StarfaceRest,
        uci: UciClient,
        look: asyncio.Event,
        *,
        active: bool,
        every: float = CHECK_SECONDS,
    ) -> None:
        """`look` is set by whoever has reason to believe that something changed."""
        self._rest = rest
        self._uci = uci
        self._look = look
        self._every = every
        self.status = Status(module_active=active, uci=uci.state, rest=RestState.UNKNOWN)
        self.changed = asyncio.Event()

    async def run(self) -> None:
        while True:
            self._look.clear()
            await self.check()
            try:
                async with asyncio.timeout(self._every):
                    await self._look.wait()
            except TimeoutError:
                continue

    def heard(self, rest: RestState) -> None:
        """A request of the hub has met the PBX in this state: looked into when the status says otherwise."""
        if self.status.module_active and rest is not self.status.rest:
            self._look.set()

    async def check(self) -> Status:
        rest, detail, version = RestState.OK, None, self.status.pbx_version
        if self.status.module_active:
            try:
                await self._rest.check()
                version = await self._rest.version() or await self._uci.server_version() or version
            except PbxLoginFailedError as fault:
                rest, detail = RestState.LOGIN_FAILED, str(fault)
            except PbxError as fault:
                rest, detail = RestState.UNREACHABLE, str(fault)
        else:
            rest = RestState.UNKNOWN
        uci = self._uci.state if self.status.module_active else UciState.OFF
        status = self.status.model_copy(
            update={
                "uci": uci,
                "rest": rest,
                "detail": detail[:500] if detail else None,
                "pbx_version": version,
                "permission_found": self._rest.permission_found,
                "permission_name": self._rest.licence_permission[:200],
            }
        )
        if status != self.status:
            logger.info(
                "PBX status", extra={"rest": rest, "uci": uci, "pbx_version": version, "detail": detail}
            )
            self.status = status
            self.changed.set()
        return status
