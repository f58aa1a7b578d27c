"""The tab API's operations about a person's own telephone."""

from typing import Final

from core.diagnosis.codes import PBX_FAULTS, PHONE_FAULTS, Code
from core.diagnosis.finding import RefusedError
from tab import present
from tab.budgets import Cost
from tab.notices import unreachable_reason
from tab.operation import Call, Operation
from wire.phone import Dialled, Feature, FoundNumbers, History, HistoryFilter, PhoneLine, Voicemails
from wire.tab_audio import CallsPrepared
from wire.tab_phone import (
    CallNotices,
    CallNoticesState,
    CallPath,
    CallRequest,
    Done,
    DoNotDisturbRequest,
    HistoryQuery,
    MobileRequest,
    Phone,
    PhoneOnRequest,
    PlayRequest,
    PrimaryPhoneRequest,
    RedirectRequest,
    Redirects,
    SearchQuery,
)


async def get_phone(call: Call) -> Phone:
    try:
        return _phone(await call.services.telephone.line(call.user))
    except RefusedError as refused:
        if refused.finding.code is not Code.PHONE_OFF:
            raise
    return Phone(is_on=False)


async def prepare_phone(call: Call) -> CallsPrepared:
    return present.consent(await call.services.telephone.prepare(call.user))


async def switch_on(call: Call) -> Phone:
    return _phone(await call.services.telephone.open(call.user, call.body.nonce, call.body.box))


async def switch_off(call: Call) -> Phone:
    await call.services.telephone.close(call.user)
    return Phone(is_on=False)


async def dial(call: Call) -> Dialled:
    body = call.body
    return await call.services.telephone.dial(
        call.user,
        body.number,
        body.call_id,
        phone_id=body.phone_id,
        shown_number_id=body.shown_number_id,
        is_confirmed=body.is_confirmed,
    )


async def hang_up(call: Call) -> Done:
    path = CallPath.model_validate(dict(call.request.match_info))
    await call.services.telephone.hang_up(call.user, path.call_id)
    return Done()


async def get_history(call: Call) -> History:
    query = call.query
    return await call.services.telephone.history(
        user=call.user,
        which=HistoryFilter(query.filter),
        before=query.before,
        offset=query.offset,
        limit=query.limit,
    )


async def search(call: Call) -> FoundNumbers:
    return await call.services.telephone.search(call.user, call.query.q)


async def set_do_not_disturb(call: Call) -> Phone:
    return _phone(await call.services.telephone.set_do_not_disturb(call.user, is_on=call.body.is_on))


async def get_redirects(call: Call) -> Redirects:
    line = await call.services.telephone.line(call.user)
    return Redirects(redirects=line.redirects or [], access=line.features.get(Feature.REDIRECTS))


async def set_redirect(call: Call) -> Phone:
    body = call.body
    return _phone(
        await call.services.telephone.set_redirect(
            call.user,
            body.redirect_id,
            is_on=body.is_on,
            target=body.target,
            number=body.number,
            mailbox_id=body.mailbox_id,
            seconds=body.seconds,
        )
    )


async def set_primary_phone(call: Call) -> Phone:
    return _phone(await call.services.telephone.set_primary_phone(call.user, call.body.phone_id))


async def set_mobile(call: Call) -> Phone:
    body = call.body
    return _phone(await call.services.telephone.set_mobile(call.user, body.mobile_id, is_on=body.is_on))


async def get_voicemails(call: Call) -> Voicemails:
    return await call.services.telephone.voicemails(call.user)


async def play_voicemail(call: Call) -> Done:
    body = call.body
    await call.services.telephone.play_voicemail(call.user, body.message_id, body.phone_id)
    return Done()


async def get_call_notices(call: Call) -> CallNoticesState:
    preferences = await call.services.preferences.get(call.user.key)
    return CallNoticesState(
        calls_in_chat=preferences.calls_in_chat,
        missed_calls=preferences.missed_calls,
        numbers_in_chat=preferences.numbers_in_chat,
        unreachable_reason=await unreachable_reason(call),
    )


async def put_call_notices(call: Call) -> CallNoticesState:
    body = call.body
    await call.services.preferences.put_calls(
        call.user.key, calls=body.calls_in_chat, missed=body.missed_calls, numbers=body.numbers_in_chat
    )
    return await get_call_notices(call)


def _phone(line: PhoneLine) -> Phone:
    return Phone(is_on=True, line=line)


_OFFERED: Final = (
    Code.NOT_SIGNED_IN,
    Code.PHONE_NEEDS_LICENCE,
    *PHONE_FAULTS,
    Code.LINK_DOWN,
    *PBX_FAULTS,
    Code.PBX_BUSY,
    Code.OUTCOME_UNKNOWN,
    Code.PROTOCOL_ERROR,
)
_P: Final = "/api/v1/phone"

PHONE_OPERATIONS: Final = (
    Operation(
        id="getPhone",
        method="GET",
        path=_P,
        summary="Get the state of my telephone: phones, calls and settings",
        run=get_phone,
        answer=Phone,
        problems=_OFFERED,
        cost=Cost.LINE,
    ),
    Operation(
        id="preparePhone",
        method="POST",
        path=f"{_P}/challenge",
        summary="Get what my browser needs to seal my UCI login to the connector",
        run=prepare_phone,
        answer=CallsPrepared,
        problems=_OFFERED,
    ),
    Operation(
        id="switchPhoneOn",
        method="PUT",
        path=_P,
        summary="Switch my telephone on; it stays on until I sign out or switch it off",
        run=switch_on,
        answer=Phone,
        body=PhoneOnRequest,
        problems=(*_OFFERED, Code.LOGIN_REJECTED, Code.CHALLENGE_EXPIRED),
    ),
    Operation(
        id="switchPhoneOff",
        method="DELETE",
        path=_P,
        summary="Switch my telephone off; the connector deletes my UCI login, and calls continue",
        run=switch_off,
        answer=Phone,
    ),
    Operation(
        id="dial",
        method="POST",
        path=f"{_P}/calls",
        summary="Dial a number: my phone rings first. After `outcome-unknown`, look for the call on my telephone",
        run=dial,
        answer=Dialled,
        body=CallRequest,
        problems=_OFFERED,
    ),
    Operation(
        id="hangUp",
        method="DELETE",
        path=f"{_P}/calls/{{callId}}",
        summary="End one of my calls, or reject it while it rings",
        run=hang_up,
        answer=Done,
        problems=_OFFERED,
    ),
    Operation(
        id="getHistory",
        method="GET",
        path=f"{_P}/history",
        summary="Get a page of my call list, newest first",
        run=get_history,
        answer=History,
        problems=_OFFERED,
        query=HistoryQuery,
        cost=Cost.LINE,
    ),
    Operation(
        id="searchNumbers",
        method="GET",
        path=f"{_P}/search",
        summary="Search colleagues, the PBX's contacts and my calls by part of a name or number",
        run=search,
        answer=FoundNumbers,
        problems=_OFFERED,
        query=SearchQuery,
        cost=Cost.LINE,
    ),
    Operation(
        id="setDoNotDisturb",
        method="PUT",
        path=f"{_P}/do-not-disturb",
        summary="Switch do not disturb on or off",
        run=set_do_not_disturb,
        answer=Phone,
        body=DoNotDisturbRequest,
        problems=_OFFERED,
    ),
    Operation(
        id="getRedirects",
        method="GET",
        path=f"{_P}/redirects",
        summary="List my call redirects",
        run=get_redirects,
        answer=Redirects,
        problems=_OFFERED,
        cost=Cost.LINE,
    ),
    Operation(
        id="setRedirect",
        method="PUT",
        path=f"{_P}/redirects",
        summary="Switch a redirect on or off, or change its destination",
        run=set_redirect,
        answer=Phone,
        body=RedirectRequest,
        problems=_OFFERED,
    ),
    Operation(
        id="setPrimaryPhone",
        method="PUT",
        path=f"{_P}/primary",
        summary="Set the phone that rings when I dial",
        run=set_primary_phone,
        answer=Phone,
        body=PrimaryPhoneRequest,
        problems=_OFFERED,
    ),
    Operation(
        id="setMobile",
        method="PUT",
        path=f"{_P}/mobiles",
        summary="Set whether a mobile phone (iFMC) rings too",
        run=set_mobile,
        answer=Phone,
        body=MobileRequest,
        problems=_OFFERED,
    ),
    Operation(
        id="getVoicemails",
        method="GET",
        path=f"{_P}/voicemails",
        summary="List my voicemail messages",
        run=get_voicemails,
        answer=Voicemails,
        problems=_OFFERED,
        cost=Cost.LINE,
    ),
    Operation(
        id="playVoicemail",
        method="POST",
        path=f"{_P}/voicemails/play",
        summary="Call one of my phones and play a voicemail message there",
        run=play_voicemail,
        answer=Done,
        body=PlayRequest,
        problems=_OFFERED,
    ),
    Operation(
        id="getCallNotices",
        method="GET",
        path=f"{_P}/notices",
        summary="Get which messages about my calls the bot sends to my chat",
        run=get_call_notices,
        answer=CallNoticesState,
    ),
    Operation(
        id="putCallNotices",
        method="PUT",
        path=f"{_P}/notices",
        summary="Set which messages about my calls the bot sends to my chat",
        run=put_call_notices,
        answer=CallNoticesState,
        body=CallNotices,
    ),
)
