"""Watches the PBX and maintains the status that `link.status` reports."""

import asyncio
import logging
from typing import Final

from connector.directory import Directory
from connector.errors import LoginPausedError, PbxError, PbxForbiddenError, PbxLoginFailedError
from connector.readings import Readings
from connector.rest import StarfaceRest
from connector.uci import UciClient
from wire.link import RestState, Status, UciState
from wire.readings import ReadingPart

logger = logging.getLogger(__name__)

CHECK_SECONDS: Final = 15.0
"""Interval of the checks. Four requests a minute are enough to explain a failed sign-in and do not burden the PBX."""
_OF_LOGIN: Final = (PbxLoginFailedError, LoginPausedError, PbxForbiddenError)


class Monitor:
    def __init__(
        self,
        rest: StarfaceRest,
        uci: UciClient,
        directory: Directory,
        readings: Readings,
        look: asyncio.Event,
        *,
        active: bool,
        every: float = CHECK_SECONDS,
    ) -> None:
        """`look` is an event that another part sets when something may have changed, which triggers a check."""
        self._rest = rest
        self._uci = uci
        self._directory = directory
        self._readings = readings
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

    def set_active(self, *, active: bool) -> None:
        """Take whether the connector is switched on."""
        if active is self.status.module_active:
            return
        if active:
            self.status = self.status.model_copy(update={"module_active": True})
        else:
            self.status = Status(
                module_active=False,
                uci=UciState.OFF,
                rest=RestState.UNKNOWN,
                pbx_version=self.status.pbx_version,
            )
        self.changed.set()
        self._look.set()

    def note_rest_state(self, rest: RestState) -> None:
        """Take the PBX's state as a request of the hub found it; check the PBX if the status differs."""
        if self.status.module_active and rest is not self.status.rest:
            self._look.set()

    def request_check(self) -> None:
        """Check the PBX because somebody runs the diagnosis; a paused login gets one more try."""
        self._rest.guard.allow_one()
        self._look.set()

    async def check(self) -> Status:
        """Check the PBX and return the new status."""
        rest, detail = RestState.UNKNOWN, None
        if self.status.module_active:
            try:
                await self._rest.check()
                rest = RestState.OK
                self._readings.read(ReadingPart.LOGIN)
            except PbxError as fault:
                rest = RestState.LOGIN_FAILED if isinstance(fault, _OF_LOGIN) else RestState.UNREACHABLE
                detail = str(fault)
                self._readings.failed(ReadingPart.LOGIN, fault)
        version = await self._version() if rest is RestState.OK else self.status.pbx_version
        self._put(rest, detail, version)
        return self.status

    async def _version(self) -> str | None:
        version = await self._rest.version() or await self._uci.server_version()
        if version is None:
            self._readings.incomplete(
                ReadingPart.VERSION, "pbx-answer-unclear", "the PBX does not report its version"
            )
            return self.status.pbx_version
        self._readings.pbx_version = version
        self._readings.read(ReadingPart.VERSION)
        return version

    def _put(self, rest: RestState, detail: str | None, version: str | None) -> None:
        holders = self._directory.holders
        permissions_read = self._readings.of(ReadingPart.PERMISSIONS) is not None
        # A new model and not a changed copy, so that a value that is too long for the link fails here.
        status = Status(
            module_active=self.status.module_active,
            uci=self._uci.state if self.status.module_active else UciState.OFF,
            rest=rest,
            pbx_version=version[:50] if version is not None else None,
            detail=detail[:500] if detail else None,
            permission_found=holders.licence_permission_found if permissions_read else None,
            permission_name=self._rest.licence_permission[:200],
            permission_candidates=tuple(holders.candidates) or None,
            readings=self._readings.all or None,
        )
        if status != self.status:
            logger.info(
                "PBX status",
                extra={"rest": rest, "uci": status.uci, "pbx_version": version, "detail": detail},
            )
            self.status = status
            self.changed.set()
