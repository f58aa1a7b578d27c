"""REST of a user's telephone: phones, numbers, do-not-disturb, redirects, iFMC phones, accounts."""

import uuid
from typing import Any, Final

from aiohttp import web

from simulator.starface.model import User
from simulator.starface.operation import Asking, Operation, RefusedError, done, json
from simulator.starface.telephony import (
    Destination,
    FmcPhone,
    Number,
    NumberKind,
    Phone,
    Redirect,
    Right,
)
from simulator.starface.uci_phone import redirects_of

GROUP_ACCOUNTS: Final = 100_000
"""First id of group accounts (assumed)."""
_CLX: Final = "REST 6.7; StarCLX, live against 10.0.2.6"


async def get_accounts(asking: Asking) -> web.Response:
    pbx = asking.pbx
    found = [
        {
            "accountId": user.id,
            "displayInformation": user.name or user.login,
            "firstname": user.first_name,
            "lastname": user.family_name,
            "primaryInternalPhoneNumber": user.login,
            "type": "USER",
        }
        for user in pbx.users.values()
    ] + [
        {
            "accountId": GROUP_ACCOUNTS + group.id,
            "displayInformation": group.name,
            "firstname": "",
            "lastname": group.name,
            "primaryInternalPhoneNumber": f"8{group.id:02}",
            "type": "GROUP",
        }
        for group in pbx.groups.values()
    ]
    return json([one | {"federationname": "", "local": True} for one in found])


# Phones


async def get_phone_config(asking: Asking) -> web.Response:
    line = asking.pbx.telephony.lines[asking.owner().id]
    return json(
        {
            "callWaiting": line.call_waiting,
            "displayNumberId": line.display_number_id,
            "doNotDisturb": line.do_not_disturb,
            "primaryPhoneId": line.primary_phone_id,
        }
    )


async def put_phone_config(asking: Asking) -> web.Response:
    owner = asking.owner()
    body = await asking.body(callWaiting=bool, displayNumberId=int, doNotDisturb=bool, primaryPhoneId=int)
    telephony = asking.pbx.telephony
    if body["primaryPhoneId"] not in [phone.id for phone in telephony.phones_of(owner.id)]:
        raise RefusedError(500, "no such phone")
    if body["displayNumberId"] not in [number.id for number in telephony.numbers_of(owner.id)]:
        raise RefusedError(500, "no such number")
    line = telephony.lines[owner.id]
    line.call_waiting, line.do_not_disturb = body["callWaiting"], body["doNotDisturb"]
    line.display_number_id, line.primary_phone_id = body["displayNumberId"], body["primaryPhoneId"]
    return done()


async def get_phones(asking: Asking) -> web.Response:
    return json([phone_shown(one) for one in asking.pbx.telephony.phones_of(asking.owner().id)])


async def post_phone(asking: Asking) -> web.Response:
    """Assign a phone to a user; for administrators."""
    owner = asking.owner()
    body = await asking.body(active=bool, isIFMC=bool, phoneId=int, phoneName=str, userId=int)
    telephony = asking.pbx.telephony
    known = telephony.phones.get(body["phoneId"])
    if known is not None:
        known.user_id, known.active = owner.id, body["active"]
        return done(200)
    phone = telephony.add_phone(owner.id, body["phoneName"])
    phone.active, phone.is_ifmc = body["active"], body["isIFMC"]
    return done(201)


async def get_phone(asking: Asking) -> web.Response:
    return json(phone_shown(_phone(asking)))


async def delete_phone(asking: Asking) -> web.Response:
    phone = _phone(asking)
    del asking.pbx.telephony.phones[phone.id]
    line = asking.pbx.telephony.lines[phone.user_id]
    if line.primary_phone_id == phone.id:
        left = asking.pbx.telephony.phones_of(phone.user_id)
        line.primary_phone_id = left[0].id if left else 0
    return done()


async def get_phone_numbers(asking: Asking) -> web.Response:
    phone = _phone(asking)
    return json(
        [
            {
                "active": number.id not in phone.silent_numbers,
                "phoneNumber": number.number,
                "phoneNumberId": number.id,
            }
            for number in asking.pbx.telephony.numbers_of(phone.user_id)
        ]
    )


async def put_phone_numbers(asking: Asking) -> web.Response:
    """Only the active flag can be changed."""
    phone = _phone(asking)
    known = {number.id for number in asking.pbx.telephony.numbers_of(phone.user_id)}
    for one in await asking.items():
        if one["phoneNumberId"] not in known:
            raise RefusedError(500, "elements cannot be added")
        (phone.silent_numbers.discard if one["active"] else phone.silent_numbers.add)(one["phoneNumberId"])
    return done()


# Numbers


async def get_number_config(asking: Asking) -> web.Response:
    return json(_number_config(asking, asking.owner()))


async def put_number_config(asking: Asking) -> web.Response:
    owner = asking.owner()
    body = await asking.body(possibleSignalnumbers=list, primaryExternalNumberId=int)
    line = asking.pbx.telephony.lines[owner.id]
    own = {number.id for number in asking.pbx.telephony.numbers_of(owner.id)}
    for name in ("primaryExternalNumberId", "primaryInternalNumberId", "signalingNumberId"):
        if body.get(name) is not None and body[name] not in own:
            raise RefusedError(500, "no number of this user")
    line.primary_external_id = body["primaryExternalNumberId"]
    line.primary_internal_id = body.get("primaryInternalNumberId", line.primary_internal_id)
    line.display_number_id = body.get("signalingNumberId", line.display_number_id)
    return json(_number_config(asking, owner))


async def get_assignments(asking: Asking) -> web.Response:
    return json([_assignment(one) for one in asking.pbx.telephony.numbers_of(asking.owner(400).id)])


async def put_assignments(asking: Asking) -> web.Response:
    """Assign numbers of the PBX to the user."""
    owner = asking.owner(400)
    for one in await asking.items():
        number = asking.pbx.telephony.numbers.get(one["phoneNumberId"])
        if number is None:
            raise RefusedError(400, "no such number")
        number.user_id, number.group_id, number.service_id = owner.id, None, one["serviceId"]
    return json([_assignment(one) for one in asking.pbx.telephony.numbers_of(owner.id)])


async def get_assignment(asking: Asking) -> web.Response:
    return json(_assignment(_own_number(asking)))


async def delete_assignment(asking: Asking) -> web.Response:
    _own_number(asking).user_id = None
    return done()


async def delete_assignments(asking: Asking) -> web.Response:
    owner = asking.owner(400)
    for one in await asking.items():
        number = asking.pbx.telephony.numbers.get(one["phoneNumberId"])
        if number is None or number.user_id != owner.id:
            raise RefusedError(400, "no number of this user")
        number.user_id = None
    return done()


async def get_numbers(asking: Asking) -> web.Response:
    kind, assigned = asking.query("type").upper(), asking.query("assigned").lower()
    return json(
        [
            number_shown(one)
            for one in asking.pbx.telephony.numbers.values()
            if kind in ("", one.kind.value)
            and assigned in ("", str((one.user_id or one.group_id) is not None).lower())
        ]
    )


async def get_number(asking: Asking) -> web.Response:
    number = asking.pbx.telephony.numbers.get(asking.id("phoneNumberId"))
    if number is None:
        raise RefusedError(404, "no such number")
    return json(number_shown(number))


# Redirects


async def get_redirects(asking: Asking) -> web.Response:
    return json([_redirect(one) for one in redirects_of(asking.pbx, asking.on_behalf_of())])


async def get_redirect(asking: Asking) -> web.Response:
    return json(_redirect(_own_redirect(asking)))


async def put_redirect(asking: Asking) -> web.Response:
    """Replace a redirect; number and trigger cannot change (a fixed set, without POST and DELETE)."""
    redirect = _own_redirect(asking)
    body = await asking.body(enabled=bool, id=str, redirectDestination=dict, redirectTrigger=dict)
    to = body["redirectDestination"]
    destination = Destination(to["redirectDestinationType"])
    if destination is Destination.PHONE_NUMBER:
        if body["enabled"] and not to["phoneNumber"]:
            raise RefusedError(500, "no number to redirect to")
        redirect.phone_number = to["phoneNumber"] or redirect.phone_number
    elif str(to["mailboxId"]) not in map(str, asking.pbx.telephony.mailboxes):
        raise RefusedError(500, "no such box")
    else:
        redirect.mailbox_id = str(to["mailboxId"])
    redirect.destination, redirect.enabled = destination, body["enabled"]
    return done()


# iFMC


async def get_fmc_phones(asking: Asking) -> web.Response:
    owner = asking.on_behalf_of("userId")
    return json([_fmc(one) for one in asking.pbx.telephony.fmc_phones.values() if one.user_id == owner.id])


async def post_fmc_phone(asking: Asking) -> web.Response:
    """Add an iFMC phone. A number may be used only once per system (the vendor's manual)."""
    owner = asking.on_behalf_of("userId")
    phone = FmcPhone(
        id=str(uuid.uuid4()), user_id=owner.id, number="", active=False, confirm=False, delay=0, schedule=[]
    )
    await _write_fmc(asking, phone)
    asking.pbx.telephony.fmc_phones[phone.id] = phone
    return done(201)


async def get_fmc_phone(asking: Asking) -> web.Response:
    return json(_fmc(_own_fmc(asking)))


async def put_fmc_phone(asking: Asking) -> web.Response:
    await _write_fmc(asking, _own_fmc(asking))
    return done()


async def delete_fmc_phone(asking: Asking) -> web.Response:
    del asking.pbx.telephony.fmc_phones[_own_fmc(asking).id]
    return done()


async def _write_fmc(asking: Asking, phone: FmcPhone) -> None:
    body = await asking.body(active=bool, confirm=bool, delay=int, fmcSchedule=list, number=str)
    if any(
        one.number == body["number"] and one.id != phone.id
        for one in asking.pbx.telephony.fmc_phones.values()
    ):
        raise RefusedError(500, "the number is somebody's iFMC phone already")
    phone.active, phone.confirm, phone.delay = body["active"], body["confirm"], body["delay"]
    phone.schedule, phone.number = body["fmcSchedule"], body["number"]
    phone.telephone_id = str(body.get("telephoneId", phone.telephone_id))


# How they are written


def phone_shown(phone: Phone) -> dict[str, Any]:
    return {
        "active": phone.active,
        "isIFMC": phone.is_ifmc,
        "phoneId": phone.id,
        "phoneName": phone.name,
        "userId": phone.user_id,
    }


def number_shown(number: Number) -> dict[str, Any]:
    found: dict[str, Any] = {"id": number.id, "number": number.number, "type": number.kind.value}
    if number.kind is NumberKind.EXTERNAL:
        found |= {"nationalPrefix": "0049", "localPrefix": "030", "exitCode": "0"}
    if number.user_id is not None:
        found |= {"assignedUserAccountId": number.user_id, "assignedServiceId": number.service_id}
    if number.group_id is not None:
        found |= {"assignedGroupAccountId": GROUP_ACCOUNTS + number.group_id}
    return found


def _assignment(number: Number) -> dict[str, Any]:
    return {"accountId": number.user_id, "phoneNumberId": number.id, "serviceId": number.service_id}


def _number_config(asking: Asking, owner: User) -> dict[str, Any]:
    line = asking.pbx.telephony.lines[owner.id]
    return {
        "possibleSignalnumbers": [number_shown(one) for one in asking.pbx.telephony.numbers_of(owner.id)],
        "primaryExternalNumberId": line.primary_external_id,
        "primaryInternalNumberId": line.primary_internal_id,
        "signalingNumberId": line.display_number_id,
    }


def _redirect(one: Redirect) -> dict[str, Any]:
    mailbox = {"redirectDestinationType": Destination.MAILBOX.value, "mailboxId": one.mailbox_id}
    number = {"redirectDestinationType": Destination.PHONE_NUMBER.value, "phoneNumber": one.phone_number}
    return {
        "id": one.id,
        "enabled": one.enabled,
        "phoneNumber": one.number.number,
        "groupNumber": one.number.group_id is not None,
        "redirectTrigger": {"redirectTriggerType": one.trigger.value},
        "redirectDestination": number if one.destination is Destination.PHONE_NUMBER else mailbox,
        "lastMailboxDestination": mailbox,
        "lastPhoneNumberDestination": number,
    }


def _fmc(phone: FmcPhone) -> dict[str, Any]:
    return {
        "id": phone.id,
        "number": phone.number,
        "active": phone.active,
        "confirm": phone.confirm,
        "delay": phone.delay,
        "fmcSchedule": phone.schedule,
        "telephoneId": phone.telephone_id,
    }


def _phone(asking: Asking) -> Phone:
    phone = asking.pbx.telephony.phones.get(asking.id("phoneId"))
    if phone is None or phone.user_id != asking.owner().id:
        raise RefusedError(500, "no such phone")
    return phone


def _own_number(asking: Asking) -> Number:
    owner = asking.owner(400)
    number = asking.pbx.telephony.numbers.get(asking.id("phoneNumberId"))
    if number is None or number.user_id != owner.id:
        raise RefusedError(400, "no number of this user")
    return number


def _own_redirect(asking: Asking) -> Redirect:
    found = {one.id: one for one in redirects_of(asking.pbx, asking.on_behalf_of())}
    if asking.key("redirectId") not in found:
        raise RefusedError(404, "no such redirect")
    return found[asking.key("redirectId")]


def _own_fmc(asking: Asking) -> FmcPhone:
    phone = asking.pbx.telephony.fmc_phones.get(asking.key("fmcId"))
    if phone is None or phone.user_id != asking.on_behalf_of("userId").id:
        raise RefusedError(404, "no such phone")
    return phone


_USER: Final = "/users/{userId}"
_NUMBERS: Final = f"{_USER}/phonenumberconfig/phonenumbers"
OPERATIONS: Final = (
    Operation("GET", "/accounts", get_accounts),
    Operation("GET", f"{_USER}/phoneconfig", get_phone_config),
    Operation(method="PUT", path=f"{_USER}/phoneconfig", handler=put_phone_config, right=Right.SETTING),
    Operation("GET", f"{_USER}/phoneconfig/phones", get_phones),
    Operation("POST", f"{_USER}/phoneconfig/phones", post_phone, administrators=True),
    Operation("GET", f"{_USER}/phoneconfig/phones/{{phoneId}}", get_phone),
    Operation("DELETE", f"{_USER}/phoneconfig/phones/{{phoneId}}", delete_phone, administrators=True),
    Operation("GET", f"{_USER}/phoneconfig/phones/{{phoneId}}/numbers", get_phone_numbers),
    Operation(
        method="PUT",
        path=f"{_USER}/phoneconfig/phones/{{phoneId}}/numbers",
        handler=put_phone_numbers,
        right=Right.SETTING,
    ),
    Operation("GET", f"{_USER}/phonenumberconfig", get_number_config),
    Operation(
        method="PUT", path=f"{_USER}/phonenumberconfig", handler=put_number_config, right=Right.SETTING
    ),
    Operation("GET", f"{_NUMBERS}/", get_assignments),
    Operation("POST", f"{_NUMBERS}/", put_assignments, administrators=True),
    Operation("PUT", _NUMBERS, put_assignments, administrators=True),
    Operation("POST", f"{_NUMBERS}/delete", delete_assignments, administrators=True),
    Operation("GET", f"{_NUMBERS}/{{phoneNumberId}}", get_assignment),
    Operation("DELETE", f"{_NUMBERS}/{{phoneNumberId}}", delete_assignment, administrators=True),
    Operation("GET", "/phonenumbers", get_numbers, administrators=True),
    Operation("GET", "/phonenumbers/{phoneNumberId}", get_number, administrators=True),
    Operation(method="GET", path="/redirects", handler=get_redirects, right=Right.REDIRECT, source=_CLX),
    Operation(
        method="GET",
        path="/redirects/{redirectId:str}",
        handler=get_redirect,
        right=Right.REDIRECT,
        source=_CLX,
    ),
    Operation(
        method="PUT",
        path="/redirects/{redirectId:str}",
        handler=put_redirect,
        right=Right.REDIRECT,
        source=_CLX,
    ),
    Operation(method="GET", path="/fmcPhones", handler=get_fmc_phones, right=Right.IFMC),
    Operation(method="POST", path="/fmcPhones", handler=post_fmc_phone, right=Right.IFMC),
    Operation(method="GET", path="/fmcPhones/{fmcId:str}", handler=get_fmc_phone, right=Right.IFMC),
    Operation(method="PUT", path="/fmcPhones/{fmcId:str}", handler=put_fmc_phone, right=Right.IFMC),
    Operation(method="DELETE", path="/fmcPhones/{fmcId:str}", handler=delete_fmc_phone, right=Right.IFMC),
)
