"""REST of the administration: users, groups, permissions, boxes, conferences, pictures, services."""

import base64
import time
from typing import Any, Final

from aiohttp import web

from simulator.starface.model import Group, User
from simulator.starface.operation import Asking, Operation, RefusedError, done, json, picked
from simulator.starface.telephony import RIGHT_NAMES, Mailbox

SERVICES: Final = (
    {"serviceId": 1, "serviceName": "phone", "label": "Telefon"},
    {"serviceId": 2, "serviceName": "fax", "label": "Fax"},
)
_MORE: Final = ("faxCallerId", "faxCoverPage", "faxEmailJournal", "faxHeader", "missedCallReport")
_PIXEL: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)

# Users


async def post_user(asking: Asking) -> web.Response:
    body = await asking.body(email=str, familyName=str, firstName=str, language=str, login=str)
    if asking.pbx.by_login(body["login"]) is not None:
        raise RefusedError(500, "the login is taken")
    user = asking.pbx.add_user(
        login=body["login"],
        password=body.get("password", ""),
        first_name=body["firstName"],
        family_name=body["familyName"],
        email=body["email"],
        permissions=set(),
    )
    _write_user(user, body)
    return done(201)


async def put_user(asking: Asking) -> web.Response:
    """Change the own user, or any user as an administrator. An empty password is ignored (assumed)."""
    user = asking.owner(404)
    _write_user(user, await asking.body(email=str, familyName=str, firstName=str, language=str, login=str))
    return done()


async def delete_user(asking: Asking) -> web.Response:
    asking.pbx.remove_user(asking.owner(404).id)
    return done()


def _write_user(user: User, body: dict[str, Any]) -> None:
    user.first_name, user.family_name = body["firstName"], body["familyName"]
    user.email, user.language = body["email"], body["language"]
    user.password = body.get("password") or user.password
    user.more |= picked(body, *_MORE)


async def get_avatar(asking: Asking) -> web.Response:
    kind, content = asking.pbx.telephony.avatars.get(asking.owner(404).id, ("image/png", _PIXEL))
    return web.Response(body=content, content_type=kind)


async def put_avatar(asking: Asking) -> web.Response:
    owner, content = asking.owner(404), await asking.request.read()
    if asking.request.content_type not in ("image/png", "image/jpeg", "image/gif") or not content:
        raise RefusedError(500, "no image")
    asking.pbx.telephony.avatars[owner.id] = (asking.request.content_type, content)
    return done()


async def delete_avatar(asking: Asking) -> web.Response:
    asking.pbx.telephony.avatars.pop(asking.owner(404).id, None)
    return done()


# Groups and permissions


async def post_group(asking: Asking) -> web.Response:
    body = await asking.body(name=str)
    _write_group(asking, asking.pbx.add_group(body["name"], ()), body)
    return done()


async def put_group(asking: Asking) -> web.Response:
    body = await asking.body(id=int, name=str)
    _write_group(asking, _group(asking, body["id"]), body)
    return done()


async def delete_group(asking: Asking) -> web.Response:
    asking.pbx.remove_group(_group(asking, asking.id("groupid")).id)
    return done()


def _write_group(asking: Asking, group: Group, body: dict[str, Any]) -> None:
    group.name = body["name"]
    assigned = {int(one["id"]) for one in body.get("assignableUsers") or () if one.get("assigned")}
    group.members = assigned & set(asking.pbx.users)


def _group(asking: Asking, group_id: int) -> Group:
    group = asking.pbx.groups.get(group_id)
    if group is None:
        raise RefusedError(500, "no such group")
    return group


async def put_user_permissions(asking: Asking) -> web.Response:
    """Replace the whole set: permissions that are not named are removed."""
    user = asking.pbx.users.get(asking.id("userId"))
    if user is None:
        raise RefusedError(404, "no such user")
    names = {asking.pbx.permissions[number] for number in await asking.items(int)}
    user.rights = set()
    user.hold(names)
    return done(200)


async def put_permission_users(asking: Asking) -> web.Response:
    name = asking.pbx.permissions.get(asking.id("permissionId"))
    if name is None:
        raise RefusedError(404, "no such permission")
    granted = asking.query("granted").lower() == "true"
    for user_id in await asking.items(int):
        user = asking.pbx.users.get(user_id)
        if user is None:
            raise RefusedError(404, "no such user")
        if granted:
            user.hold(user.permissions | {name})
        else:
            user.permissions.discard(name)
            user.rights -= {right for right, words in RIGHT_NAMES.items() if words == name}
    return done(200)


# Boxes


async def get_mailboxes(asking: Asking) -> web.Response:
    term, pbx = asking.query("searchTerm").casefold(), asking.pbx
    return json(
        [
            {
                "id": box.id,
                "voiceboxname": box.name,
                "mailboxnumber": box.number,
                "assignedusers": [pbx.users[user_id].name for user_id in sorted(box.users & set(pbx.users))],
                "assignedgroups": [pbx.groups[one].name for one in sorted(box.groups & set(pbx.groups))],
            }
            for box in pbx.telephony.mailboxes.values()
            if term in f"{box.name} {box.number}".casefold()
        ]
    )


async def post_mailbox(asking: Asking) -> web.Response:
    body = await asking.body(name=str, number=str)
    _write_mailbox(asking.pbx.telephony.add_mailbox(body["name"], body["number"]), body)
    return done()


async def put_mailbox(asking: Asking) -> web.Response:
    body = await asking.body(id=int, name=str, number=str)
    _write_mailbox(_mailbox(asking, body["id"]), body)
    return done()


async def get_mailbox(asking: Asking) -> web.Response:
    """Return a box including its PIN; for administrators only."""
    box, pbx = _mailbox(asking, asking.id("voicemailboxid")), asking.pbx
    return json(
        {
            "id": box.id,
            "name": box.name,
            "number": box.number,
            "password": box.pin,
            "maximumDuration": box.maximum_duration,
            "noRecord": box.no_record,
            "voicemailUsers": [
                {
                    "accountId": one,
                    "name": pbx.users[one].name,
                    "sendMail": False,
                    "voicemailboxName": box.name,
                }
                for one in sorted(box.users & set(pbx.users))
            ],
            "voicemailGroups": [
                {"accountId": one, "name": pbx.groups[one].name, "sendMail": False}
                for one in sorted(box.groups & set(pbx.groups))
            ],
        }
    )


async def delete_mailbox(asking: Asking) -> web.Response:
    box = _mailbox(asking, asking.id("voicemailboxid"))
    telephony = asking.pbx.telephony
    del telephony.mailboxes[box.id]
    telephony.messages = [one for one in telephony.messages if one.mailbox_id != box.id]
    return done()


def _write_mailbox(box: Mailbox, body: dict[str, Any]) -> None:
    box.name, box.number = body["name"], body["number"]
    box.pin = body.get("password", box.pin)
    box.maximum_duration = body.get("maximumDuration", box.maximum_duration)
    box.no_record = body.get("noRecord", box.no_record)
    box.users = {int(one["accountId"]) for one in body.get("voicemailUsers") or ()}
    box.groups = {int(one["accountId"]) for one in body.get("voicemailGroups") or ()}


def _mailbox(asking: Asking, box_id: int) -> Mailbox:
    box = asking.pbx.telephony.mailboxes.get(box_id)
    if box is None:
        raise RefusedError(500, "no such box")
    return box


# Conferences


async def get_conferences(asking: Asking) -> web.Response:
    found = [
        {
            "conferenceId": number,
            "name": one["name"],
            "startTime": one["startTime"],
            "isActive": bool(one.get("isActive")),
            "isReadonly": False,
            "isTerminated": one["startTime"] < time.time() * 1000 and one["occurrence"] == "ONCE",
        }
        for number, one in asking.pbx.telephony.conferences.get(asking.owner().id, {}).items()
    ]
    return json(asking.page(found)[0])


async def post_conference(asking: Asking) -> web.Response:
    owner, body = asking.owner(), await _conference(asking)
    number = asking.pbx.telephony.next_id()
    asking.pbx.telephony.conferences.setdefault(owner.id, {})[number] = body
    return done(201)


async def get_conference(asking: Asking) -> web.Response:
    number, known = _known_conferences(asking)
    shown = picked(known[number], "name", "eMailBody", "occurrence", "startTime", "participants")
    return json({"conferenceId": number} | shown)


async def put_conference(asking: Asking) -> web.Response:
    number, known = _known_conferences(asking)
    known[number] = await _conference(asking)
    return done()


async def delete_conference(asking: Asking) -> web.Response:
    number, known = _known_conferences(asking)
    del known[number]
    return done()


async def start_conference(asking: Asking) -> web.Response:
    number, known = _known_conferences(asking)
    known[number]["isActive"] = True
    return done()


def _known_conferences(asking: Asking) -> tuple[int, dict[int, dict[str, Any]]]:
    number, known = asking.id("conferenceId"), asking.pbx.telephony.conferences.get(asking.owner().id, {})
    if number not in known:
        raise RefusedError(404, "no such conference")
    return number, known


async def _conference(asking: Asking) -> dict[str, Any]:
    try:
        return await asking.body(eMailBody=str, name=str, occurrence=str, startTime=int)
    except RefusedError as refused:
        raise RefusedError(400, str(refused)) from refused


_TEXTS: Final = {"eMailSubject": "Einladung zur Telefonkonferenz", "eMailBody": "Guten Tag ${name},"}
_CONFERENCES: Final[dict[str, Any]] = {
    **_TEXTS,
    "language": "de",
    "serverAddress": "pbx.example.com",
    "variables": [{"name": "Name", "placeholder": "${name}"}],
}


async def get_conference_configuration(asking: Asking) -> web.Response:
    return json(_CONFERENCES | asking.pbx.telephony.conference_configuration)


async def put_conference_configuration(asking: Asking) -> web.Response:
    wanted = asking.query("userId")
    if not wanted.isdigit() or int(wanted) not in asking.pbx.users:
        raise RefusedError(404, "no such user")
    try:
        body = await asking.body(eMailBody=str, eMailSubject=str, language=str, variables=list)
    except RefusedError as refused:
        raise RefusedError(400, str(refused)) from refused
    asking.pbx.telephony.conference_configuration = body
    return done(200)


async def get_conference_texts(asking: Asking) -> web.Response:
    del asking
    return json(_TEXTS)


async def get_services(asking: Asking) -> web.Response:
    kind = asking.query("type")
    return json([one for one in SERVICES if kind in ("", one["serviceName"])])


async def get_service(asking: Asking) -> web.Response:
    found = [one for one in SERVICES if one["serviceId"] == asking.id("serviceId")]
    if not found:
        raise RefusedError(404, "no such service")
    return json(found[0])


_USER: Final = "/users/{userId}"
_CONFERENCE: Final = f"{_USER}/managedConferences/{{conferenceId}}"
OPERATIONS: Final = (
    Operation("POST", "/users", post_user, administrators=True),
    Operation("PUT", _USER, put_user),
    Operation("DELETE", _USER, delete_user, administrators=True),
    Operation("GET", f"{_USER}/avatar", get_avatar),
    Operation("PUT", f"{_USER}/avatar", put_avatar),
    Operation("DELETE", f"{_USER}/avatar", delete_avatar),
    Operation("GET", f"{_USER}/managedConferences", get_conferences),
    Operation("POST", f"{_USER}/managedConferences", post_conference),
    Operation("GET", _CONFERENCE, get_conference),
    Operation("PUT", _CONFERENCE, put_conference),
    Operation("DELETE", _CONFERENCE, delete_conference),
    Operation("PUT", f"{_CONFERENCE}/start", start_conference),
    Operation("GET", "/conferenceConfiguration", get_conference_configuration),
    Operation("PUT", "/conferenceConfiguration", put_conference_configuration, administrators=True),
    Operation("GET", "/conferenceConfiguration/defaults", get_conference_texts),
    Operation("GET", "/callservices", get_services),
    Operation("GET", "/callservices/{serviceId}", get_service),
    Operation("GET", "/voicemailboxes", get_mailboxes, administrators=True),
    Operation("POST", "/voicemailboxes", post_mailbox, administrators=True),
    Operation("PUT", "/voicemailboxes", put_mailbox, administrators=True),
    Operation("GET", "/voicemailboxes/{voicemailboxid}", get_mailbox, administrators=True),
    Operation("DELETE", "/voicemailboxes/{voicemailboxid}", delete_mailbox, administrators=True),
    Operation("POST", "/groups", post_group, administrators=True),
    Operation("PUT", "/groups", put_group, administrators=True),
    Operation("DELETE", "/groups/{groupid}", delete_group, administrators=True),
    Operation("PUT", "/permissions/users/{userId}", put_user_permissions, administrators=True),
    Operation("PUT", "/permissions/{permissionId}/users", put_permission_users, administrators=True),
)
"""Required rights are assumed unless the description mentions administrators."""
