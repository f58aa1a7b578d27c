"""Requests over one person's UCI login, and the meaning of a refusal."""

import logging
import time
from typing import Any, Final

from connector.errors import PbxError, PhoneError
from connector.exchange import PbxRedirectedError
from connector.line.features import OfferedRequests
from connector.uci import UciFaultError, UciSession
from core.diagnosis.codes import Code

logger = logging.getLogger(__name__)

OFFER_SECONDS: Final = 600.0
"""How long the PBX's list of offered requests is valid. After that, the next reading of the telephone renews it."""


class UciRequests:
    def __init__(self, session: UciSession) -> None:
        self._session = session
        self.offer = OfferedRequests()
        self._offered_at: float | None = None
        self.is_up = False

    async def ask(self, request: str, *params: Any, is_particular: bool = False) -> Any:
        """Call a request (service and method) and return its answer. Raises `PhoneError` or another `PbxError`.

        A fault may mean anything, because its codes are not published. While the login is valid, a fault counts as a
        missing right until the next login. `is_particular`: the fault may concern these parameters only, so later requests
        are still made.
        """
        if not self.is_up:
            raise PhoneError(Code.LINE_DOWN, "there is no UCI login")
        try:
            answer = await self._session.call(self.offer.full_name(request), *params)
        except (UciFaultError, PbxRedirectedError) as fault:
            if not await self._session.is_logged_in():
                raise PhoneError(Code.LINE_DOWN, "the PBX has forgotten the UCI login") from fault
            if not is_particular:
                self.offer = self.offer.with_refusal(request)
            # Without the PBX's words, which may contain a number.
            raise PhoneError(Code.PHONE_NOT_OFFERED, f"UCI refuses {request}") from fault
        if request not in self.offer.answered:
            self.offer = self.offer.with_answer(request)
        return answer

    async def renew_offer(self) -> None:
        """Renew the list of offered requests if it is too old. It never raises; if the PBX does not answer, every request
        that it has not refused counts as offered.
        """
        if self._offered_at is not None and time.monotonic() - self._offered_at < OFFER_SECONDS:
            return
        provided: tuple[str, ...] = ()
        try:
            provided = await self._session.provided_requests()
        except PbxError as fault:
            logger.debug("the PBX does not list what it offers", extra={"reason": type(fault).__name__})
        refused = self.offer.refused if self._offered_at is None else ()  # it may be granted now
        self.offer = OfferedRequests(provided, refused, self.offer.answered)
        self._offered_at = time.monotonic()

    def forget(self) -> None:
        """Forget the refusals and the age of the offer, because both may differ after a new login."""
        self._offered_at = None
        self.offer = self.offer.without_refusals()
