"""Takes the licence keys that a connector brings, makes pools of them, remembers why one was refused."""

import logging
from collections.abc import Sequence

from core.diagnosis.codes import LicenceReason
from core.licensing.ledger import Ledger
from core.licensing.licence_key import InvalidLicenceKeyError, VendorKeys, read
from core.store.moments import now
from wire.link import LicenceKeyState

logger = logging.getLogger(__name__)


class KeyRegister:
    def __init__(self, ledger: Ledger, vendors: VendorKeys) -> None:
        self._ledger = ledger
        self._vendors = vendors
        self._refused: dict[str, tuple[LicenceReason, ...]] = {}

    def refused(self, pbx_id: str) -> Sequence[LicenceReason]:
        """Why keys of this PBX make no pool; known from the moment its connector was here."""
        return self._refused.get(pbx_id, ())

    async def register(self, pbx_id: str, texts: Sequence[str]) -> list[LicenceKeyState]:
        states: list[LicenceKeyState] = []
        refused: list[LicenceReason] = []
        serials: list[str] = []
        for text in texts:
            try:
                key = read(text, self._vendors)
            except InvalidLicenceKeyError as invalid:
                logger.warning("licence key refused", extra={"pbx_id": pbx_id, "reason": invalid.fault})
                states.append(LicenceKeyState(serial=None, accepted=False, reason=LicenceReason.KEY_INVALID))
                refused.append(LicenceReason.KEY_INVALID)
                continue
            if await self._ledger.put_pool(pbx_id, key, now()):
                serials.append(key.serial)
                states.append(LicenceKeyState(serial=key.serial, accepted=True))
            else:
                reason = LicenceReason.KEY_BOUND_ELSEWHERE
                logger.warning("licence key refused", extra={"pbx_id": pbx_id, "reason": reason})
                states.append(LicenceKeyState(serial=key.serial, accepted=False, reason=reason))
                refused.append(reason)
        await self._ledger.withdraw_pools_except(pbx_id, serials, now())
        self._refused[pbx_id] = tuple(refused)
        return states
