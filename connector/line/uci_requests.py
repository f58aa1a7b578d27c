"""Requests of one person's UCI login, and what a refusal of one means."""

import logging
import time
from typing import Any, Final

from connector.errors import PbxError, PhoneError
from connector.exchange import RedirectedError
from connector.line.features import Offer
from connector.uci import UciFaultError, UciSession
from core.diagnosis.codes import Code

logger = logging.getLogger(__name__)

OFFER_SECONDS: Final = 600.0
"""So old may be what the PBX said it offers, before somebody who looks lets it be asked again."""


class UciRequests:
    def __init__(self, session: UciSession) -> None:
        self._session = session
        self.offer = Offer()
        self._offered_at: float | None = None
        self.is_up = False

    async def ask(self, request: str, *params: Any, is_particular: bool = False) -> Any:
        """`request`: service and method. A fault may mean anything, its codes are public nowhere: while the login stands it
        is taken for a right that is missing, until the next login. `is_particular`: it may also be about these
        parameters, and says nothing of the next request. Raises `PhoneError` or another `PbxError`.
        """
        if not self.is_up:
            raise PhoneError(Code.LINE_DOWN, "there is no UCI login")
        try:
            return await self._session.call(self.offer.full_name(request), *params)
        except (UciFaultError, RedirectedError) as fault:
            if not await self._session.is_logged_in():
                raise PhoneError(Code.LINE_DOWN, "the PBX has forgotten the UCI login") from fault
            if not is_particular:
                self.offer = self.offer.refusing(request)
            # Without the PBX's words: they may hold a number.
            raise PhoneError(Code.PHONE_NOT_OFFERED, f"UCI refuses {request}") from fault

    async def learn(self) -> None:
        """What the PBX offers, from time to time. Raises nothing: who is not told goes by what was known."""
        if self._offered_at is not None and time.monotonic() - self._offered_at < OFFER_SECONDS:
            return
        provided: tuple[str, ...] = ()
        try:
            provided = await self._session.provided_requests()
        except PbxError as untold:
            logger.debug("the PBX does not tell what it offers", extra={"reason": type(untold).__name__})
        refused = self.offer.refused if self._offered_at is None else ()  # a right may have been given since
        self.offer = Offer(provided, refused)
        self._offered_at = time.monotonic()

    def forget(self) -> None:
        """At a new login all may be different."""
        self._offered_at = None
        self.offer = self.offer.as_told()
