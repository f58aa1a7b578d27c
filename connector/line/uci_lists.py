"""A person's call list and voicemail by UCI (`callList`, `voicemailList`).

`getCallList(start before, start after, direction, result, group, order by, order, offset, limit)`: ProjektZeit, which
cites the vendor's javadoc. Times are in UTC. Only the newest page is kept, for one minute, for searches.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from connector.errors import PbxAnswerError, PhoneError
from connector.line import features, readers
from connector.line.uci_requests import UciRequests
from core.diagnosis.codes import Code
from wire.phone import (
    MAX_PAGE,
    History,
    HistoryEntry,
    HistoryFilter,
    HistoryParams,
    PlayVoicemail,
    Voicemail,
    Voicemails,
)

BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Earlier than any call list. The request has a lower and an upper bound; whether one may be omitted is not known."""
SEARCHED_SECONDS: Final = 60.0
_FILTERS: Final = {
    HistoryFilter.ALL: ("", ""),
    HistoryFilter.MISSED: ("INBOUND", "MISSED"),
    HistoryFilter.IN: ("INBOUND", ""),
    HistoryFilter.OUT: ("OUTBOUND", ""),
}
"""Direction and result of each filter."""
ANY_GROUP: Final = ""
"""Includes calls of groups. A client passes "NON_GROUP" to exclude them; other values are assumed."""


class UciLists:
    def __init__(self, uci: UciRequests, group_name: Callable[[str], str]) -> None:
        self._uci = uci
        self._group_name = group_name
        self._newest: list[HistoryEntry] = []
        self._newest_until = 0.0

    async def history(self, wanted: HistoryParams) -> History:
        before = wanted.before or datetime.now(UTC) + timedelta(days=1)
        direction, result = _FILTERS[wanted.filter]
        answer = await self._uci.ask(
            features.CALL_LIST,
            readers.wire_moment(before),
            readers.wire_moment(BEGINNING),
            direction,
            result,
            ANY_GROUP,
            "startTime",
            "DESCENDING",
            min(wanted.offset, 10**9),
            wanted.limit,
        )
        page = readers.entries(answer)
        if page is None:
            raise PbxAnswerError(features.CALL_LIST, 200, "no page of a call list")
        entries, total, listed = page
        return History(
            entries=[
                one.model_copy(update={"group": self._group_name(one.group)}) if one.group else one
                for one in entries[: wanted.limit]
            ],
            total=max(total, wanted.offset + listed),
            has_more=wanted.offset + listed < total,
        )

    async def newest(self) -> list[HistoryEntry]:
        """Return the last calls, cached for a search while somebody types."""
        if time.monotonic() >= self._newest_until:
            self._newest = (await self.history(HistoryParams(user_id=0, limit=MAX_PAGE))).entries
            self._newest_until = time.monotonic() + SEARCHED_SECONDS
        return self._newest

    def outdate(self) -> None:
        self._newest, self._newest_until = [], 0.0

    async def voicemails(self) -> Voicemails:
        """Return the voicemails. The order of parameters and members is from SFWiki, GetVoiceMails."""
        answer = await self._uci.ask(
            features.VOICEMAILS,
            readers.wire_moment(datetime.now(UTC) + timedelta(days=1)),
            readers.wire_moment(BEGINNING),
            "",
            "INBOX",
            "startTime",
            "DESCENDING",
            0,
            MAX_PAGE,
        )
        found: list[Voicemail] | None = readers.voicemails(answer)
        if found is None:
            raise PbxAnswerError(features.VOICEMAILS, 200, "no page of a voicemail list")
        return Voicemails(messages=found)

    async def play(self, wanted: PlayVoicemail) -> str:
        """Let the phone ring and play the message when it is picked up; return the id of that call, empty if unknown."""
        answer = await self._uci.ask(
            features.PLAY_VOICEMAIL, wanted.message_id, wanted.phone_id, is_particular=True
        )
        if answer in ("", False):
            raise PhoneError(Code.ALREADY_DIALLING, "the PBX rejects the call")
        return answer if isinstance(answer, str) else ""
