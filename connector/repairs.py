"""What an administrator of the PBX may do to this connector from Teams (`wire.link.REPAIR_METHODS`).

The service has asked the PBX whether they are an administrator. The owner of the connector can refuse all of it
(`[teams] repairs = false`). A new PBX key is made only for a browser that knows the present one, and is sealed to that
browser: the service carries it and cannot read it.
"""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol

from connector.config import Config
from connector.errors import ConnectorError, PbxError
from connector.methods import PbxMethods
from connector.state import ConnectorState
from core.diagnosis.codes import Code
from wire.bounds import from_b64url
from wire.doctor import DoctorReport
from wire.jsonrpc import Handler, RpcRefusalError
from wire.link import (
    KEY_DELIVERY,
    NEW_KEY,
    KeyChallenge,
    Method,
    NewKeyMade,
    NewKeyParams,
    NewKeyWanted,
    UciRestarted,
    UciState,
    seal_context,
)
from wire.model import Empty
from wire.pbxkey import PbxKey
from wire.sealing import seal

logger = logging.getLogger(__name__)


class Repairable(Protocol):
    """What is repaired: `connector.running.Connector`."""

    config: Config
    state: ConnectorState

    async def examine(self) -> DoctorReport: ...

    async def restart_uci(self) -> UciState: ...

    def new_key(self, keep_old: timedelta, request: str | None = None) -> PbxKey: ...


class RepairMethods:
    def __init__(self, connector: Repairable, methods: PbxMethods) -> None:
        """`methods` issues the nonces and opens the boxes."""
        self._connector = connector
        self._methods = methods

    def handlers(self) -> Mapping[str, Handler]:
        return {
            Method.DOCTOR: self._doctor,
            Method.RESTART_UCI: self._restart_uci,
            Method.KEY_CHALLENGE: self._key_challenge,
            Method.NEW_KEY: self._new_key,
        }

    async def _doctor(self, params: dict[str, Any]) -> DoctorReport:
        Empty.model_validate(params)
        self._check_permitted()
        return await self._connector.examine()

    async def _restart_uci(self, params: dict[str, Any]) -> UciRestarted:
        Empty.model_validate(params)
        self._check_permitted()
        logger.info("UCI is switched off and on again, as an administrator asks from Teams")
        return UciRestarted(uci=await self._connector.restart_uci())

    async def _key_challenge(self, params: dict[str, Any]) -> KeyChallenge:
        Empty.model_validate(params)
        self._check_permitted()
        return KeyChallenge(nonce=self._methods.new_nonce())

    async def _new_key(self, params: dict[str, Any]) -> NewKeyMade:
        """Make a new key, or find the one that was made for the same request, and seal its key file to the browser.

        Nothing that can fail for another reason than the disk comes after the key is made.
        """
        asked = NewKeyParams.model_validate(params)
        self._check_permitted()
        whom = (asked.tenant_id, asked.object_id)
        try:
            _, old_key, wanted = self._methods.open_with_key(
                asked.nonce, asked.box, *whom, NEW_KEY, NewKeyWanted
            )
        except PbxError as refused:
            raise RpcRefusalError(refused.code, str(refused)) from refused
        name = self._connector.config.pbx.name
        context = seal_context(name, *whom, asked.nonce, purpose=KEY_DELIVERY)
        browser = from_b64url(wanted.browser_key)
        try:
            seal(browser, old_key, b"", context)
        except ValueError as unusable:
            raise RpcRefusalError(
                Code.PROTOCOL_ERROR, "the browser's key is not a point of P-256"
            ) from unusable
        try:
            self._connector.new_key(timedelta(hours=wanted.keep_old_hours), wanted.request)
            content = self._connector.state.key_file(name).model_dump_json(by_alias=True, indent=2)
            previous = self._connector.state.previous_pbx_key()
        except ConnectorError as fault:
            logger.error("no new PBX key was made: %s", fault)  # noqa: TRY400 - of the disk, not of the program
            raise RpcRefusalError(Code.STATE_UNUSABLE, "the state cannot be written") from fault
        if previous is None:  # asked again when the old key had already ended
            raise RpcRefusalError(Code.OUTCOME_UNKNOWN, "the old key is no longer valid")
        box = seal(browser, old_key, content.encode(), context)
        return NewKeyMade(box=box, old_key_until=previous[1])

    def _check_permitted(self) -> None:
        if not self._connector.config.teams.repairs:
            raise RpcRefusalError(
                Code.REPAIRS_REFUSED, "repairs from Teams are switched off in this connector"
            )
