"""The UCI requests of a telephone: dialling, phones, call list, user state, redirects, groups, voicemail, keys.
`METHODS` lists each request with the required right and its source: "shapes assumed" if the source only names the
method.
"""

import time
import xmlrpc.client
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from simulator.starface.model import Call, CallState, Starface, User
from simulator.starface.switchboard import Switchboard
from simulator.starface.telephony import (
    Destination,
    Line,
    Listed,
    Message,
    Phone,
    Redirect,
    Right,
    started,
)

T = TypeVar("T")

TMA: Final = "tmachyshyn/StarfaceApi"
NAME_ALONE: Final = f"{TMA} has the name; shapes assumed"
MAX_LISTED: Final = 100
"""Maximum number of entries in one answer (assumed; a client requests 100)."""


class UciRequestError(Exception):
    """Raised to answer with a fault; no public source has the fault codes."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


class UciPhone:
    """The requests to one PBX; each gets the requesting user and the parameters."""

    def __init__(
        self, pbx: Starface, switchboard: Switchboard, struct: Callable[[Call, str], dict[str, Any]]
    ) -> None:
        """`struct` encodes a call like the events of a dialect."""
        self._pbx = pbx
        self._switchboard = switchboard
        self._struct = struct

    def answer(self, user: User, dialect: str, method: str, params: Sequence[Any]) -> Any:
        """Raises `UciRequestError`."""
        known = METHODS.get(method)
        if known is None:
            raise UciRequestError(2, f"unknown method: {method}")
        if known.right is not None and known.right not in user.rights:
            raise UciRequestError(4, f"not allowed: {method}")
        try:
            return known.call(self, user, dialect, *params)
        except (TypeError, ValueError, KeyError) as fault:
            raise UciRequestError(2, f"wrong parameters of {method}") from fault

    # Calls
    def get_call_ids(self, user: User, _dialect: str) -> list[str]:
        return [call.id for call in self._pbx.calls.values() if call.login == user.login]

    def get_call_state(self, user: User, dialect: str, call_id: str) -> dict[str, Any]:
        call = self._own(user, call_id)
        return self._struct(call, dialect) if call is not None else {}

    def hang_up(self, user: User, _dialect: str, call_id: str) -> bool:
        call = self._own(user, call_id)
        if call is None:
            return False
        self._switchboard.hang_up(call)
        return True

    def place_call(self, user: User, _dialect: str, number: str, phone: str = "", call_id: str = "") -> str:
        return self._switchboard.place(
            user=user, number=str(number), phone_name=str(phone), call_id=str(call_id)
        )

    def forward(self, user: User, _dialect: str, call_id: str, number: str) -> bool:
        call = self._own(user, call_id)
        return call is not None and self._switchboard.forward(call, number)

    # Phones
    def get_phone_ids(self, user: User, _dialect: str) -> list[str]:
        return [phone.name for phone in self._phones(user)]

    def get_primary_phone_id(self, user: User, _dialect: str) -> str:
        phone = self._pbx.telephony.phones.get(self._line(user).primary_phone_id)
        return phone.name if phone is not None else ""

    def set_primary_phone_id(self, user: User, _dialect: str, name: str) -> bool:
        found = next((phone for phone in self._phones(user) if phone.name == name), None)
        if found is not None:
            self._line(user).primary_phone_id = found.id
        return found is not None

    def get_display_numbers(self, user: User, _dialect: str) -> list[dict[str, Any]]:
        return [
            {"id": str(number.id), "number": number.number}
            for number in self._pbx.telephony.numbers_of(user.id)
        ]

    def get_display_number_id(self, user: User, _dialect: str) -> str:
        return str(self._line(user).display_number_id)

    def set_display_number_id(self, user: User, _dialect: str, number_id: str) -> bool:
        known = {str(number.id): number.id for number in self._pbx.telephony.numbers_of(user.id)}
        if str(number_id) in known:
            self._line(user).display_number_id = known[str(number_id)]
        return str(number_id) in known

    def get_call_waiting(self, user: User, _dialect: str) -> bool:
        return self._line(user).call_waiting

    def set_call_waiting(self, user: User, _dialect: str, on: bool) -> bool:
        self._line(user).call_waiting = bool(on)
        return True

    # Call list
    def get_call_list(
        self,
        user: User,
        _dialect: str,
        before: Any = "",
        after: Any = "",
        direction: str = "",
        result: str = "",
        group: str = "",
        order_by: str = "startTime",
        order: str = "DESCENDING",
        offset: int = 0,
        limit: int = MAX_LISTED,
    ) -> dict[str, Any]:
        """The first bound is "before", the second "after". Times are UTC, as ProjektZeit reads them."""
        listed = self._pbx.telephony.call_lists.get(user.id, [])
        before_at, after_at = _seconds(before), _seconds(after)
        # As a database with an index of the time: a long list costs no more than a page of it.
        first = 0 if after_at is None else bisect_right(listed, after_at, key=started)
        end = len(listed) if before_at is None else bisect_left(listed, before_at, key=started)
        found = listed[first:end]
        if direction or result or group == "NON_GROUP":
            found = [
                one
                for one in found
                if direction in ("", "OUTBOUND" if one.is_outgoing else "INBOUND")
                and result in ("", "ANSWERED" if one.is_answered else "MISSED")
                and (group != "NON_GROUP" or not one.group_id)
            ]
        keys: dict[str, Callable[[Listed], Any]] = {
            "duration": lambda one: one.duration,
            "callDescription": lambda one: one.description.casefold(),
        }
        if order_by in keys:
            found = sorted(found, key=keys[order_by])
        if order == "DESCENDING":
            found.reverse()
        page, count = _page_of(found, offset, limit)
        return {"entries": [_listed(one) for one in page], "totalCount": count}

    def delete_listed(self, user: User, _dialect: str, ids: Any) -> bool:
        gone = set(ids) if isinstance(ids, list) else {ids}
        kept = [one for one in self._pbx.telephony.call_lists.get(user.id, ()) if one.id not in gone]
        self._pbx.telephony.call_lists[user.id] = kept
        return True

    # The user's state
    def get_user_state(self, user: User, _dialect: str) -> dict[str, Any]:
        """Return five members, which do not include do-not-disturb."""
        states = {call.state for call in self._pbx.calls.values() if call.login == user.login}
        rings = states & {CallState.RINGING, CallState.INCOMING}
        telephony = "ACTIVE" if states - rings else "RINGING" if rings else "AVAILABLE"
        line = self._line(user)
        return {
            "avatarHash": "",
            "chatPresence": line.chat_presence,
            "telephonyState": telephony,
            "chatPresenceMessage": line.chat_message,
            "redirectAlwaysActive": any(
                one.enabled and one.trigger == "ALWAYS" and one.number.user_id == user.id
                for one in self._pbx.telephony.redirects.values()
            ),
        }

    def set_do_not_disturb(self, user: User, _dialect: str, on: bool) -> bool:
        self._line(user).do_not_disturb = bool(on)
        return True

    def set_chat_message(self, user: User, _dialect: str, text: str) -> bool:
        self._line(user).chat_message = str(text)
        return True

    # Redirects
    def get_redirects(self, user: User, _dialect: str) -> list[dict[str, Any]]:
        return [self._redirect(user, one) for one in redirects_of(self._pbx, user)]

    def set_redirect(self, user: User, _dialect: str, setting: Mapping[str, Any]) -> bool:
        """Change a redirect. Switching one on without a destination has no effect (SFM)."""
        found = next(
            (
                one
                for one in redirects_of(self._pbx, user)
                if one.number.number == setting["calledNumber"] and one.trigger == setting["type"]
            ),
            None,
        )
        destination, enabled = str(setting.get("destination", "")), bool(setting["enabled"])
        if found is None or (enabled and not destination):
            return False
        if setting.get("destinationType") == "VOICEMAIL":
            found.destination, found.mailbox_id = Destination.MAILBOX, destination or found.mailbox_id
        elif destination:
            found.destination, found.phone_number = Destination.PHONE_NUMBER, destination
        found.timeout = int(setting.get("timeout", found.timeout))
        found.enabled = enabled
        return True

    def set_redirects(self, user: User, dialect: str, settings: Sequence[Mapping[str, Any]]) -> bool:
        done = [self.set_redirect(user, dialect, one) for one in settings]
        return all(done)

    # Groups
    def get_groups(self, user: User, _dialect: str) -> list[dict[str, Any]]:
        return [
            {"groupId": str(group.id), "name": group.name, "loggedOn": user.id not in group.logged_off}
            for group in self._pbx.groups.values()
            if user.id in group.members
        ]

    def set_group(self, user: User, _dialect: str, setting: Mapping[str, Any]) -> bool:
        group = self._pbx.groups.get(int(setting["groupId"]))
        if group is None or user.id not in group.members:
            return False
        (group.logged_off.discard if setting["loggedOn"] else group.logged_off.add)(user.id)
        return True

    def set_groups(self, user: User, dialect: str, settings: Sequence[Mapping[str, Any]]) -> bool:
        done = [self.set_group(user, dialect, one) for one in settings]
        return all(done)

    # Voicemail
    def get_mailboxes(self, user: User, _dialect: str) -> list[dict[str, Any]]:
        return [
            {"id": str(box.id), "name": box.name, "number": box.number}
            for box in self._pbx.telephony.mailboxes_of(user.id)
        ]

    def get_messages(
        self,
        user: User,
        _dialect: str,
        before: Any = "",
        after: Any = "",
        _filter: str = "",
        folder: str = "INBOX",
        _order_by: str = "startTime",
        order: str = "DESCENDING",
        offset: int = 0,
        limit: int = MAX_LISTED,
    ) -> dict[str, Any]:
        found = [
            one
            for one in self._messages(user)
            if _is_between(one.at, before, after) and folder in ("", one.folder)
        ]
        found.sort(key=lambda one: one.at, reverse=order == "DESCENDING")
        return _page([self._message(one) for one in found], offset, limit)

    def call_message(self, user: User, dialect: str, message_id: str, phone: str = "") -> str:
        """Ring the user's own phone, which plays the message when picked up."""
        message = next((one for one in self._messages(user) if one.id == message_id), None)
        if message is None:
            return ""
        return self.place_call(user, dialect, self._pbx.telephony.mailboxes[message.mailbox_id].number, phone)

    def call_mailbox(self, user: User, dialect: str, box_id: str, phone: str = "") -> str:
        boxes = {str(box.id): box.number for box in self._pbx.telephony.mailboxes_of(user.id)}
        return self.place_call(user, dialect, boxes[box_id], phone) if box_id in boxes else ""

    def move_message(self, user: User, _dialect: str, message_id: str, folder: str) -> bool:
        for one in self._messages(user):
            if one.id == message_id:
                one.folder = folder
                return True
        return False

    def delete_message(self, user: User, _dialect: str, message_id: str) -> bool:
        for one in self._messages(user):
            if one.id == message_id:
                self._pbx.telephony.messages.remove(one)
                return True
        return False

    def waiting_messages(self, user: User, _dialect: str) -> dict[str, Any]:
        boxes = [box.id for box in self._pbx.telephony.mailboxes_of(user.id)]
        return waiting(self._pbx, boxes[0] if boxes else 0)

    # Keys
    def get_keys(self, user: User, _dialect: str) -> list[dict[str, Any]]:
        """Return the keys. A lamp shows the telephone state of the user that its key belongs to."""
        found = []
        for keys in self._pbx.telephony.key_sets_of(user.id):
            for key in keys.keys:
                watched = self._pbx.users.get(int(key.get("blfAccountId") or 0))
                state = self.get_user_state(watched, "")["telephonyState"] if watched is not None else ""
                found.append(
                    {"id": key["id"], "name": key["name"], "type": key["functionKeyType"], "state": state}
                )
        return found

    def _own(self, user: User, call_id: str) -> Call | None:
        call = self._pbx.calls.get(call_id)
        return call if call is not None and call.login == user.login else None

    def _line(self, user: User) -> Line:
        return self._pbx.telephony.lines[user.id]

    def _phones(self, user: User) -> list[Phone]:
        return [phone for phone in self._pbx.telephony.phones_of(user.id) if phone.active]

    def _redirect(self, user: User, one: Redirect) -> dict[str, Any]:
        is_number = one.destination is Destination.PHONE_NUMBER
        return {
            "calledNumber": one.number.number,
            "enabled": one.enabled,
            "type": one.trigger.value,
            "destinationType": "PHONENUMBER" if is_number else "VOICEMAIL",
            "destination": one.phone_number if is_number else one.mailbox_id,
            "timeout": one.timeout,
            "groupRedirect": one.number.group_id is not None,
            "mailboxes": [{"id": str(box.id)} for box in self._pbx.telephony.mailboxes_of(user.id)],
        }

    def _messages(self, user: User) -> list[Message]:
        boxes = {box.id for box in self._pbx.telephony.mailboxes_of(user.id)}
        return [one for one in self._pbx.telephony.messages if one.mailbox_id in boxes]

    def _message(self, one: Message) -> dict[str, Any]:
        return {
            "id": one.id,
            "callDescription": one.description,
            "callerNumber": one.caller_number,
            "calledNumber": one.called_number,
            "duration": one.duration,
            "folder": one.folder,
            "mailboxId": str(one.mailbox_id),
            "mailboxName": self._pbx.telephony.mailboxes[one.mailbox_id].name,
            "startTime": _moment(one.at),
        }


@dataclass(frozen=True, slots=True)
class Method:
    call: Callable[..., Any]
    source: str
    right: Right | None = None


_P = UciPhone
_CALLS: Final = "UCP.PHP"
_LIST: Final = "ProjektZeit, which cites the vendor's javadoc; id of an entry assumed"
METHODS: Final[Mapping[str, Method]] = {
    "call.getCallIds": Method(_P.get_call_ids, _CALLS),
    "call.getCallState": Method(_P.get_call_state, f"{_CALLS}: an unknown call is an empty struct"),
    "call.hangupCall": Method(_P.hang_up, _CALLS, Right.CALL),
    "call.placeCallWithPhone": Method(_P.place_call, "UCP.PHP, SPICE, SCI, TMA", Right.CALL),
    "call.forward": Method(_P.forward, "vendor's javadoc, list of methods; effect assumed", Right.CALL),
    "call.getCurrentMessageWaitingState": Method(_P.waiting_messages, NAME_ALONE, Right.VOICE),
    "phone.getPhoneIds": Method(_P.get_phone_ids, f"{TMA}, mxhash/StarfaceCallerWorkflow"),
    "phone.getPrimaryPhoneId": Method(_P.get_primary_phone_id, f"{TMA}, mxhash/StarfaceCallerWorkflow"),
    "phone.setPrimaryPhoneId": Method(_P.set_primary_phone_id, NAME_ALONE, Right.SETTING),
    "phone.getAvailableDisplayNumbers": Method(_P.get_display_numbers, "EspoCRM reads number; id assumed"),
    "phone.getDisplayNumberId": Method(_P.get_display_number_id, NAME_ALONE),
    "phone.setDisplayNumberId": Method(_P.set_display_number_id, NAME_ALONE, Right.SETTING),
    "phone.getCallWaitingIndication": Method(_P.get_call_waiting, NAME_ALONE),
    "phone.setCallWaitingIndication": Method(_P.set_call_waiting, NAME_ALONE, Right.SETTING),
    "callList.getCallList": Method(_P.get_call_list, _LIST, Right.CALL_LIST),
    "callList.deleteCallListEntry": Method(_P.delete_listed, NAME_ALONE, Right.CALL_LIST),
    "callList.deleteCallListEntries": Method(_P.delete_listed, NAME_ALONE, Right.CALL_LIST),
    "userState.getUserState": Method(_P.get_user_state, f"{TMA}: five members"),
    "userState.setDoNotDisturbSetting": Method(_P.set_do_not_disturb, f"{TMA}; right assumed", Right.SETTING),
    "userState.setChatPresenceMessage": Method(_P.set_chat_message, TMA),
    "redirect.getRedirectSettings": Method(
        _P.get_redirects, f"{TMA}; members of the Java twin (SFM)", Right.REDIRECT
    ),
    "redirect.setRedirectSetting": Method(
        _P.set_redirect, f"{TMA}; members of the Java twin (SFM)", Right.REDIRECT
    ),
    "redirect.setRedirectSettings": Method(
        _P.set_redirects, f"{TMA}; members of the Java twin (SFM)", Right.REDIRECT
    ),
    "group.getGroupSettings": Method(_P.get_groups, f"{NAME_ALONE} (members of the gRPC twin, StarCLX)"),
    "group.setGroupSetting": Method(_P.set_group, f"{NAME_ALONE} (members of the gRPC twin, StarCLX)"),
    "group.setGroupSettings": Method(_P.set_groups, f"{NAME_ALONE} (members of the gRPC twin, StarCLX)"),
    "voicemailList.getMailboxes": Method(_P.get_mailboxes, NAME_ALONE, Right.VOICE),
    "voicemailList.getVoicemailList": Method(
        _P.get_messages, "SFM, GetVoiceMails: order of parameters and members", Right.VOICE
    ),
    "voicemailList.callVoicemailWithPhone": Method(_P.call_message, NAME_ALONE, Right.VOICE),
    "voicemailList.callMailboxWithPhone": Method(_P.call_mailbox, NAME_ALONE, Right.VOICE),
    "voicemailList.moveVoicemailListEntry": Method(_P.move_message, NAME_ALONE, Right.VOICE),
    "voicemailList.deleteVoicemailListEntry": Method(_P.delete_message, NAME_ALONE, Right.VOICE),
    "functionKey.getFunctionKeys": Method(_P.get_keys, "UCP.PHP, TMA: the name; members and states assumed"),
}
OF_V20: Final[Mapping[str, str]] = {
    "getPhoneIds": "phone.getPhoneIds",
    "getCallIds": "call.getCallIds",
    "getCallState": "call.getCallState",
    "placeCall": "call.placeCallWithPhone",
    "hangupCall": "call.hangupCall",
}
"""`ucp.v20.server.communication.call.…` (UCP.PHP)."""


def redirects_of(pbx: Starface, user: User) -> list[Redirect]:
    """Return the redirects of the user's own numbers and, with the right for it (PERM), those of the user's groups."""
    groups = {group.id for group in pbx.groups.values() if user.id in group.members}
    return [
        one
        for one in pbx.telephony.redirects.values()
        if one.number.user_id == user.id
        or (one.number.group_id in groups and Right.GROUP_REDIRECT in user.rights)
    ]


def waiting(pbx: Starface, box_id: int) -> dict[str, Any]:
    """Return the struct of `newMessageWaitingIndicationEvent`; its members are assumed."""
    new = [one for one in pbx.telephony.messages if (one.mailbox_id, one.folder) == (box_id, "INBOX")]
    return {"mailboxId": str(box_id), "newMessages": len(new)}


def _listed(one: Listed) -> dict[str, Any]:
    return {
        "id": one.id,
        "direction": "OUTBOUND" if one.is_outgoing else "INBOUND",
        "result": "ANSWERED" if one.is_answered else "MISSED",
        "callerNumber": one.caller_number,
        "calledNumber": one.called_number,
        "callDescription": one.description,
        "startTime": _moment(one.at),
        "duration": one.duration,
        "groupId": one.group_id,
    }


def _page(entries: Sequence[dict[str, Any]], offset: int, limit: int) -> dict[str, Any]:
    page, count = _page_of(entries, offset, limit)
    return {"entries": list(page), "totalCount": count}


def _page_of(entries: Sequence[T], offset: int, limit: int) -> tuple[Sequence[T], int]:
    """With how many there are on all pages."""
    first = max(0, int(offset))
    return entries[first : first + min(max(0, int(limit)), MAX_LISTED)], len(entries)


def _is_between(at: float, before: Any, after: Any) -> bool:
    before_at, after_at = _seconds(before), _seconds(after)
    return (before_at is None or at < before_at) and (after_at is None or at > after_at)


def _moment(at: float) -> xmlrpc.client.DateTime:
    return xmlrpc.client.DateTime(time.gmtime(at))


def _seconds(moment: Any) -> float | None:
    """Return the time in seconds since the epoch; None for "", which means no bound."""
    text = str(moment)
    if not text:
        return None
    return datetime.strptime(text.replace("-", ""), "%Y%m%dT%H:%M:%S").replace(tzinfo=UTC).timestamp()
