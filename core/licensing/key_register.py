"""Register the licence keys that a connector sends: make pools of them and record why a key was refused."""

import logging
from collections.abc import Sequence

from core.diagnosis.codes import LicenceReason
from core.licensing.ledger import Ledger
from core.licensing.licence_key import InvalidLicenceKeyError, LicenceKey, VendorKeys, read
from core.store.timestamps import now
from wire.link import LicenceKeyState

logger = logging.getLogger(__name__)


class KeyRegister:
    def __init__(self, ledger: Ledger, vendors: VendorKeys) -> None:
        self._ledger = ledger
        self._vendors = vendors

    async def register(self, pbx_id: str, texts: Sequence[str], epoch: int) -> list[LicenceKeyState]:
        """Register all licence keys of a connector; return the state of each, the unreadable ones first.

        `epoch` is the epoch of the link that sent them: if a newer link has replaced it, the pools do not change.
        """
        readable: list[LicenceKey] = []
        states: list[LicenceKeyState] = []
        for text in texts:
            try:
                readable.append(read(text, self._vendors))
            except InvalidLicenceKeyError as invalid:
                logger.warning("licence key refused", extra={"pbx_id": pbx_id, "reason": invalid.fault})
                states.append(LicenceKeyState(serial=None, accepted=False, reason=LicenceReason.KEY_INVALID))
        invalid_keys = [LicenceReason.KEY_INVALID] * len(states)
        bound_elsewhere = await self._ledger.register_keys(
            pbx_id=pbx_id, keys=readable, refused=invalid_keys, now=now(), epoch=epoch
        )
        for key in readable:
            if key.serial in bound_elsewhere:
                reason = LicenceReason.KEY_BOUND_ELSEWHERE
                logger.warning("licence key refused", extra={"pbx_id": pbx_id, "reason": reason})
                states.append(LicenceKeyState(serial=key.serial, accepted=False, reason=reason))
            else:
                states.append(LicenceKeyState(serial=key.serial, accepted=True))
        return states
