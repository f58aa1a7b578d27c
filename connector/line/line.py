"""The interface of a person's telephone within the connector: a snapshot and operations.

It does not depend on the PBX's protocol, so that another protocol can implement it.
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
    """One person's telephone. Every operation raises `PhoneError`, or another `PbxError` if the PBX cannot be used.

    The line notifies its creator of a change; the next snapshot shows what has changed.
    """

    async def snapshot(self) -> PhoneLine: ...

    async def dial(self, wanted: Dial) -> Dialled:
        """Place a call. It is idempotent: a repeated call id gets the known result and is not dialled again."""
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
