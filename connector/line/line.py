"""A person's telephone as the connector's own parts see it: a snapshot, a sign that it changed, and what can be asked.

Nothing here knows how the PBX is spoken to, so that another protocol can stand behind it.
"""

from typing import Protocol

from wire.phone import (
    Dial,
    Dialled,
    FoundNumbers,
    History,
    HistoryParams,
    PhoneLine,
    PlayVoicemail,
    SetMobile,
    SetRedirect,
    Voicemails,
)


class Line(Protocol):
    """Every operation raises `PhoneError`, or another `PbxError` where the PBX cannot be used.

    A change is reported to the creator of the line; what has changed shows in the next snapshot.
    """

    async def snapshot(self) -> PhoneLine: ...

    async def dial(self, wanted: Dial) -> Dialled:
        """A call id that was dialled before is answered from what is known, and never dialled twice."""
        ...

    async def hang_up(self, call_id: str) -> None: ...

    async def history(self, wanted: HistoryParams) -> History: ...

    async def search(self, text: str) -> FoundNumbers: ...

    async def set_do_not_disturb(self, *, on: bool) -> None: ...

    async def set_redirect(self, wanted: SetRedirect) -> None: ...

    async def set_primary_phone(self, phone_id: str) -> None: ...

    async def set_mobile(self, wanted: SetMobile) -> None: ...

    async def voicemails(self) -> Voicemails: ...

    async def play_voicemail(self, wanted: PlayVoicemail) -> None: ...
