"""The methods of people's telephones that the hub may call (`wire.phone`)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from connector.errors import PbxAnswerError, PbxError, PhoneError
from connector.line.lines import Lines
from connector.logins import UciCredentials
from wire.jsonrpc import Handler, RpcRefusalError
from wire.model import Empty, WireModel
from wire.phone import (
    PHONE,
    Dial,
    Dialled,
    FoundNumbers,
    HangUp,
    History,
    HistoryParams,
    KeepLines,
    KeptLines,
    LineParams,
    OpenLine,
    PhoneCapabilities,
    PhoneLine,
    PhoneMethod,
    PlayVoicemail,
    ReadLine,
    SearchParams,
    SetDoNotDisturb,
    SetMobile,
    SetPrimaryPhone,
    SetRedirect,
    Voicemails,
)

M = TypeVar("M", bound=WireModel)
Open = Callable[[OpenLine, str], Awaitable[UciCredentials]]
"""Opens a sealed UCI login for a purpose (`PbxMethods.open_uci_login`)."""

MAX_WORDS: Final = 500


class PhoneMethods:
    def __init__(self, lines: Lines, open_uci_login: Open) -> None:
        self._lines = lines
        self._open_uci_login = open_uci_login

    def handlers(self) -> Mapping[str, Handler]:
        return {
            PhoneMethod.OPEN: _with_refusals(OpenLine, self._open),
            PhoneMethod.KEEP: _with_refusals(KeepLines, self._keep),
            PhoneMethod.LINE: _with_refusals(ReadLine, self._line),
            PhoneMethod.CAPABILITIES: _with_refusals(Empty, self._capabilities),
            PhoneMethod.DIAL: _with_refusals(Dial, self._dial),
            PhoneMethod.HANG_UP: _with_refusals(HangUp, self._hang_up),
            PhoneMethod.HISTORY: _with_refusals(HistoryParams, self._history),
            PhoneMethod.SEARCH: _with_refusals(SearchParams, self._search),
            PhoneMethod.VOICEMAILS: _with_refusals(LineParams, self._voicemails),
            PhoneMethod.PLAY_VOICEMAIL: _with_refusals(PlayVoicemail, self._play_voicemail),
            PhoneMethod.SET_DO_NOT_DISTURB: _with_refusals(SetDoNotDisturb, self._set_do_not_disturb),
            PhoneMethod.SET_REDIRECT: _with_refusals(SetRedirect, self._set_redirect),
            PhoneMethod.SET_PRIMARY_PHONE: _with_refusals(SetPrimaryPhone, self._set_primary_phone),
            PhoneMethod.SET_MOBILE: _with_refusals(SetMobile, self._set_mobile),
        }

    async def _open(self, wanted: OpenLine) -> Empty:
        await self._lines.open(wanted.user_id, await self._open_uci_login(wanted, PHONE))
        return Empty()

    async def _keep(self, wanted: KeepLines) -> KeptLines:
        await self._lines.keep_only(wanted.user_ids)
        return KeptLines(user_ids=sorted(self._lines.kept))

    async def _line(self, wanted: ReadLine) -> PhoneLine:
        line = await self._lines.snapshot(wanted.user_id)
        return line if wanted.with_capabilities else line.model_copy(update={"capabilities": {}})

    async def _capabilities(self, _wanted: Empty) -> PhoneCapabilities:
        return PhoneCapabilities(capabilities=await self._lines.capabilities())

    async def _dial(self, wanted: Dial) -> Dialled:
        return await self._lines.line(wanted.user_id).dial(wanted)

    async def _hang_up(self, wanted: HangUp) -> Empty:
        await self._lines.line(wanted.user_id).hang_up(wanted.call_id)
        return Empty()

    async def _history(self, wanted: HistoryParams) -> History:
        return await self._lines.line(wanted.user_id).history(wanted)

    async def _search(self, wanted: SearchParams) -> FoundNumbers:
        return await self._lines.line(wanted.user_id).search(wanted.search)

    async def _voicemails(self, wanted: LineParams) -> Voicemails:
        return await self._lines.line(wanted.user_id).voicemails()

    async def _play_voicemail(self, wanted: PlayVoicemail) -> Empty:
        await self._lines.line(wanted.user_id).play_voicemail(wanted)
        return Empty()

    async def _set_do_not_disturb(self, wanted: SetDoNotDisturb) -> Empty:
        await self._lines.line(wanted.user_id).set_do_not_disturb(on=wanted.is_on)
        return Empty()

    async def _set_redirect(self, wanted: SetRedirect) -> Empty:
        await self._lines.line(wanted.user_id).set_redirect(wanted)
        return Empty()

    async def _set_primary_phone(self, wanted: SetPrimaryPhone) -> Empty:
        await self._lines.line(wanted.user_id).set_primary_phone(wanted.phone_id)
        return Empty()

    async def _set_mobile(self, wanted: SetMobile) -> Empty:
        await self._lines.line(wanted.user_id).set_mobile(wanted)
        return Empty()


def _with_refusals(kind: type[M], run: Callable[[M], Awaitable[BaseModel]]) -> Handler:
    """Return a handler that validates its params and turns a `PbxError` of `run` into a refusal that crosses the link."""

    async def handler(params: dict[str, Any]) -> BaseModel:
        wanted = kind.model_validate(params)
        try:
            return await run(wanted)
        except PhoneError as refused:
            raise RpcRefusalError(refused.code, str(refused), dict(refused.evidence)) from refused
        except PbxAnswerError as fault:
            # Without the excerpt of the answer, which may contain somebody's name or number.
            words = f"{fault.path} answers {fault.status}, which is not understood"
            raise RpcRefusalError(fault.code, words, {"error": words}) from fault
        except PbxError as fault:
            words = str(fault)[:MAX_WORDS]
            raise RpcRefusalError(fault.code, words, {"error": words}) from fault

    return handler
