"""The lines of this PBX: which users have one, and which have changed."""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Final

from connector.config import TelephoneSection
from connector.errors import PbxError, PhoneError
from connector.line.book import Book
from connector.line.capabilities import get_capabilities
from connector.line.features import OfferedRequests
from connector.line.line import Line
from connector.line.numbers import NumberPlan
from connector.line.rest_phone import RestPhone
from connector.line.uci_line import LineContext, UciLine
from connector.logins import Logins, UciCredentials, Use
from connector.rest import StarfaceRest
from connector.uci import UciSession
from core.diagnosis.codes import Code
from wire.phone import MAX_CHANGED, NOTHING_KNOWN, Feature, LinesChanged, LineState, Offer, PhoneLine

logger = logging.getLogger(__name__)

READ_SECONDS: Final = 4.0
"""How long to read what REST offers, before the hub's call ends."""
MAX_REFUSED: Final = 10_000
"""Most users in memory whose login the PBX refuses and who have not switched their telephone on again."""


class Lines:
    def __init__(
        self,
        rest: StarfaceRest,
        logins: Logins,
        settings: TelephoneSection,
        group_name: Callable[[str], str],
        provided_requests: Callable[[], Collection[str]] = tuple,
        receives_calls: Callable[[], bool] = lambda: False,
    ) -> None:
        """`group_name` maps a group id to its name and returns the id if the group is unknown. `provided_requests` returns
        the names of the requests that UCI offers to the connector's own login, empty while they are unknown;
        `receives_calls` returns whether this login gets call events now.
        """
        self._rest = rest
        self._provided_requests = provided_requests
        self._receives_calls = receives_calls
        self._logins = logins
        self._refused: dict[int, None] = {}
        self._changed: dict[int, None] = {}
        self.changed = asyncio.Event()
        phone, plan = RestPhone(rest), NumberPlan(settings)
        self._rest_phone = phone
        self._context = LineContext(
            rest=phone,
            plan=plan,
            book=Book(phone, plan),
            group_name=group_name,
            has_by_uci=lambda request: OfferedRequests(provided_requests()).names(request),
            on_changed=self._mark_changed,
            on_refused=self._mark_refused,
        )
        logins.serve(Use.PHONE, self._make)

    def use(self, settings: TelephoneSection) -> None:
        """Take other settings, for the open lines too."""
        self._context.plan = NumberPlan(settings)
        self._context.book = Book(self._rest_phone, self._context.plan)

    @property
    def kept(self) -> frozenset[int]:
        """Ids of the PBX users whose telephone is on, including those whose login the PBX now refuses, until they switch it
        on again. A page shows the refusal as long as this program runs.
        """
        return self._logins.holders(Use.PHONE) | self._refused.keys()

    async def open(self, user_id: int, credentials: UciCredentials) -> None:
        """Switch a telephone on. Raises `LoginRejectedError` or another `PbxError` if UCI refuses the login."""
        await self._logins.open(user_id, Use.PHONE, credentials)
        self._refused.pop(user_id, None)
        logger.info("a user's telephone is on", extra={"user_id": user_id})

    async def keep_only(self, user_ids: Sequence[int]) -> None:
        """Switch off the telephones of all other users."""
        wanted = set(user_ids)
        gone = await self._logins.keep_only(Use.PHONE, user_ids)
        for user_id in [one for one in self._refused if one not in wanted]:
            del self._refused[user_id]
        if gone:
            logger.info("telephones are off", extra={"users": gone})

    def line(self, user_id: int) -> Line:
        """Return the user's line. Raises `PhoneError` if there is none."""
        line = self._logins.user(user_id, Use.PHONE)
        if isinstance(line, UciLine):
            return line
        if user_id in self._refused:
            raise PhoneError(Code.LINE_DOWN, "the PBX refuses the login")
        raise PhoneError(Code.PHONE_OFF, "the telephone of this user is off")

    async def snapshot(self, user_id: int) -> PhoneLine:
        """Return the user's telephone as it is now; `REFUSED` if the PBX has refused the login. Raises `PhoneError`."""
        if user_id in self._refused:
            return PhoneLine(
                state=LineState.REFUSED, features={}, capabilities=dict(NOTHING_KNOWN), calls=[], phones=[]
            )
        return await self.line(user_id).snapshot()

    async def capabilities(self) -> dict[Feature, Offer]:
        """Return what the PBX offers, as the connector's own login sees it. What cannot be read in time is unknown."""
        with suppress(PbxError, TimeoutError):
            async with asyncio.timeout(READ_SECONDS):
                await self._rest_phone.find_offers(await self._rest.own_id())
        return get_capabilities(
            OfferedRequests(self._provided_requests()),
            self._rest_phone,
            {},
            receives_calls=self._receives_calls(),
        )

    def take_changed(self) -> LinesChanged | None:
        """Return and clear the users whose lines have changed, at most `MAX_CHANGED`; None if there is none."""
        if not self._changed:
            self.changed.clear()
            return None
        taken = list(self._changed)[:MAX_CHANGED]
        for user_id in taken:
            del self._changed[user_id]
        return LinesChanged(user_ids=taken)

    def _make(self, user_id: int, session: UciSession) -> UciLine:
        return UciLine(user_id, session, self._context)

    def _mark_changed(self, user_id: int) -> None:
        self._changed[user_id] = None
        self.changed.set()

    def _mark_refused(self, user_id: int) -> None:
        self._refused[user_id] = None
        while len(self._refused) > MAX_REFUSED:
            del self._refused[next(iter(self._refused))]
        self._mark_changed(user_id)
