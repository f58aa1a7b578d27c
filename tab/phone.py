"""The tab API's operations about a person's own telephone."""

from typing import Final

from core.diagnosis.codes import PBX_FAULTS, PHONE_FAULTS, Code
from core.diagnosis.finding import Finding
from tab import present
from tab.budgets import Cost
from tab.operation import Call, Operation, expect
from tab.problems import ProblemError
from wire.phone import Dialled, Feature, FoundNumbers, History, HistoryFilter, PhoneLine, Voicemails
from wire.tab_audio import CallsPrepared
from wire.tab_phone import (
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
    line = await call.services.telephone.line(call.user)
    if isinstance(line, Finding) and line.code is Code.PHONE_OFF:
        return Phone(is_on=False)
    return _phone(line)


async def prepare_phone(call: Call) -> CallsPrepared:
    return present.consent(expect(await call.services.telephone.prepare(call.user)))


async def switch_on(call: Call) -> Phone:
    return _phone(await call.services.telephone.open(call.user, call.body.nonce, call.body.box))


async def switch_off(call: Call) -> Phone:
    await call.services.telephone.close(call.user)
    return Phone(is_on=False)


async def dial(call: Call) -> Dialled:
    body = call.body
    return expect(
        await call.services.telephone.dial(
            call.user,
            body.number,
            body.call_id,
            phone_id=body.phone_id,
            shown_number_id=body.shown_number_id,
            is_confirmed=body.is_confirmed,
        )
    )


async def hang_up(call: Call) -> Done:
    path = CallPath.model_validate(dict(call.request.match_info))
    expect(await call.services.telephone.hang_up(call.user, path.call_id))
    return Done()


async def get_history(call: Call) -> History:
    query = call.query
    return expect(
        await call.services.telephone.history(
            call.user, HistoryFilter(query.filter), query.before, query.offset, query.limit
        )
    )


async def search(call: Call) -> FoundNumbers:
    return expect(await call.services.telephone.search(call.user, call.query.q))


async def set_do_not_disturb(call: Call) -> Phone:
    return _phone(await call.services.telephone.set_do_not_disturb(call.user, is_on=call.body.is_on))


async def get_redirects(call: Call) -> Redirects:
    line = expect(await call.services.telephone.line(call.user))
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
    return expect(await call.services.telephone.voicemails(call.user))


async def play_voicemail(call: Call) -> Done:
    body = call.body
    expect(await call.services.telephone.play_voicemail(call.user, body.message_id, body.phone_id))
    return Done()


def _phone(line: PhoneLine | Finding) -> Phone:
    if isinstance(line, Finding):
        raise ProblemError(line)
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
        "getPhone",
        "GET",
        _P,
        "My telephone: phones, calls, switches",
        get_phone,
        Phone,
        problems=_OFFERED,
        cost=Cost.LINE,
    ),
    Operation(
        "preparePhone",
        "POST",
        f"{_P}/challenge",
        "What my browser needs to seal my UCI login to the connector",
        prepare_phone,
        CallsPrepared,
        problems=_OFFERED,
    ),
    Operation(
        "switchPhoneOn",
        "PUT",
        _P,
        "Lets the app use my telephone until I sign out or switch it off",
        switch_on,
        Phone,
        PhoneOnRequest,
        (*_OFFERED, Code.LOGIN_REJECTED, Code.CHALLENGE_EXPIRED),
    ),
    Operation(
        "switchPhoneOff",
        "DELETE",
        _P,
        "The connector forgets my UCI login; calls go on",
        switch_off,
        Phone,
    ),
    Operation(
        "dial",
        "POST",
        f"{_P}/calls",
        "Rings my phone and dials. After `outcome-unknown` the calls of my telephone show whether it was done",
        dial,
        Dialled,
        CallRequest,
        _OFFERED,
    ),
    Operation(
        "hangUp",
        "DELETE",
        f"{_P}/calls/{{callId}}",
        "Ends a call of mine, or rejects it while it rings",
        hang_up,
        Done,
        problems=_OFFERED,
    ),
    Operation(
        "getHistory",
        "GET",
        f"{_P}/history",
        "My call list at the PBX, newest first, a page at a time",
        get_history,
        History,
        problems=_OFFERED,
        query=HistoryQuery,
        cost=Cost.LINE,
    ),
    Operation(
        "searchNumbers",
        "GET",
        f"{_P}/search",
        "Colleagues, contacts of the PBX and my calls, by a part of name or number",
        search,
        FoundNumbers,
        problems=_OFFERED,
        query=SearchQuery,
        cost=Cost.LINE,
    ),
    Operation(
        "setDoNotDisturb",
        "PUT",
        f"{_P}/do-not-disturb",
        "Switches do not disturb on or off",
        set_do_not_disturb,
        Phone,
        DoNotDisturbRequest,
        _OFFERED,
    ),
    Operation(
        "getRedirects",
        "GET",
        f"{_P}/redirects",
        "Where my calls are redirected to",
        get_redirects,
        Redirects,
        problems=_OFFERED,
        cost=Cost.LINE,
    ),
    Operation(
        "setRedirect",
        "PUT",
        f"{_P}/redirects",
        "Switches one redirect on or off, or leads it elsewhere",
        set_redirect,
        Phone,
        RedirectRequest,
        _OFFERED,
    ),
    Operation(
        "setPrimaryPhone",
        "PUT",
        f"{_P}/primary",
        "Chooses the phone that rings when I dial",
        set_primary_phone,
        Phone,
        PrimaryPhoneRequest,
        _OFFERED,
    ),
    Operation(
        "setMobile",
        "PUT",
        f"{_P}/mobiles",
        "Lets a phone elsewhere (iFMC) ring as well, or no longer",
        set_mobile,
        Phone,
        MobileRequest,
        _OFFERED,
    ),
    Operation(
        "getVoicemails",
        "GET",
        f"{_P}/voicemails",
        "My voicemail messages",
        get_voicemails,
        Voicemails,
        problems=_OFFERED,
        cost=Cost.LINE,
    ),
    Operation(
        "playVoicemail",
        "POST",
        f"{_P}/voicemails/play",
        "Calls a phone of mine and plays a message there",
        play_voicemail,
        Done,
        PlayRequest,
        _OFFERED,
    ),
)
