"""The life cycle of calls in the simulated PBX: which phones ring, how redirects and do-not-disturb work, what the
call list records.

`RULES` gives the source of each rule. Nothing happens automatically after a time: the presenter or test decides
when the phone is picked up and when ringing times out (`/control/calls/{id}/…`).
"""

import time
import uuid
from bisect import insort
from collections.abc import Callable, Mapping
from typing import Final

from simulator.starface.awkward import ASSUMED, Behaviour
from simulator.starface.model import Call, CallState, Starface, User
from simulator.starface.telephony import (
    Destination,
    Listed,
    Mailbox,
    Number,
    Redirect,
    Trigger,
    canonical,
    started,
)

MAX_REDIRECTS: Final = 5
RINGS: Final = (CallState.INCOMING, CallState.RINGING)
_TABLE: Final = 'docs/facts/starface.md, "Calls and their states"'

RULES: Final[Mapping[str, Behaviour]] = {
    "place": Behaviour(
        'A call is placed with number, phone and an id of one\'s own; "" when the PBX refuses: no number, a phone that is'
        " not the user's, an id in use, or another call of the user that still waits for the phone to be picked up",
        "UCP.PHP, SPICE, SCI, TMA",
    ),
    "place-silent": Behaviour("A call that was asked for is REQUESTED, and no event says so", "UCP.PHP"),
    "place-waits": Behaviour("It waits without end for the own phone to be picked up"),
    "incoming": Behaviour("INCOMING, RINGING, CONNECTED, HANGUP", "ESPO, SPICE, IAH"),
    "missed": Behaviour("INCOMING, RINGING, HANGUP", "ESPO, SPICE, IAH"),
    "outgoing": Behaviour("PROCEEDING, RINGBACK, CONNECTED, HANGUP: the names", "IAH, ESPO, SPICE"),
    "outgoing-order": Behaviour("PROCEEDING, RINGBACK, CONNECTED, HANGUP: the order", ASSUMED),
    "two-legs": Behaviour(
        "A call between two users is two calls, each with its own id and events",
        "SFW: an event for each participant",
    ),
    "group": Behaviour(
        "All members ring with the group's id; when one answers, the others' calls end without CONNECTED",
        f"{_TABLE}, inferred",
    ),
    "hangup-ringing": Behaviour("hangupCall on a call that rings refuses it for this user alone", ASSUMED),
    "do-not-disturb": Behaviour(
        "Who does not want to be disturbed receives no calls", "REST 6.7, PhoneConfig"
    ),
    "do-not-disturb-busy": Behaviour("It counts as busy for redirects and hides every event of the call"),
    "do-not-disturb-group": Behaviour("It keeps group calls away as well"),
    "call-waiting": Behaviour(
        "Without call waiting a second call finds the user busy", "REST 6.7, PhoneConfig"
    ),
    "redirect-always": Behaviour("ALWAYS: the call goes elsewhere at once", "REST 6.7, RedirectTrigger"),
    "redirect-busy": Behaviour("BUSY: when the user is busy", "REST 6.7, RedirectTrigger"),
    "redirect-timeout": Behaviour("TIMEOUT: when nobody has answered in time", "REST 6.7, RedirectTrigger"),
    "redirect-silent": Behaviour("Who redirects always sees no event; TIMEOUT ends the own call with HANGUP"),
    "redirect-group": Behaviour("Redirects of a group's number count for the group", "REST 6.7, groupNumber"),
    "voicemail": Behaviour("VOICEMAIL_LINKED, HANGUP, then a message in the box", f"{_TABLE}, inferred"),
    "rename": Behaviour(
        "callChangesIdEvent reports that a call has a new id", 'docs/facts/starface.md, "Events"'
    ),
    "rename-struct": Behaviour("Its struct holds oldId and newId"),
    "forward": Behaviour(
        "call.forward(id, number) sends a call elsewhere", "vendor's javadoc, list of methods"
    ),
    "forward-end": Behaviour("For who forwards it ends with HANGUP"),
    "call-list": Behaviour("A call that was not answered is MISSED, an outgoing one too", "ProjektZeit"),
    "call-list-group": Behaviour(
        "A group call that a colleague took is listed as missed, with the group's id"
    ),
}


class Switchboard:
    def __init__(
        self,
        pbx: Starface,
        send_state: Callable[[Call], None],
        send_new: Callable[[Call], None],
        send_renamed: Callable[[Call, str], None],
        send_message: Callable[[Mailbox], None],
    ) -> None:
        """`send_state` sends a call's state to its user, `send_new` its first state, `send_renamed` that it no longer has
        the given id, `send_message` that a box has a new message.
        """
        self._pbx = pbx
        self._send_state = send_state
        self._send_new = send_new
        self._send_renamed = send_renamed
        self._send_message = send_message
        self.at: float | None = None
        """The time of the PBX's clock, if a test has set it."""

    def place(self, user: User, number: str, phone_name: str, call_id: str) -> str:
        """Place a call. Return the id of the call that waits for the user's own phone, or "" if the PBX refuses."""
        telephony = self._pbx.telephony
        primary = telephony.lines[user.id].primary_phone_id
        fits = [
            phone
            for phone in telephony.phones_of(user.id)
            if phone.active and (phone.name == phone_name if phone_name else phone.id == primary)
        ]
        waits = any(
            call.login == user.login
            and call.wanted
            and call.state in (CallState.REQUESTED, CallState.RINGING)
            for call in self._pbx.calls.values()
        )
        if not canonical(number) or not fits or waits or call_id in self._pbx.calls:
            return ""
        own = self._shown_number(user)
        to = self._name_of(number)
        call = Call(
            id=call_id or str(uuid.uuid4()),
            login=user.login,
            state=CallState.REQUESTED,
            caller_number=own,
            caller_name=user.name,
            called_number=number,
            called_name=to,
            is_outgoing=True,
            wanted=number,
        )
        self._pbx.calls[call.id] = call
        if self._pbx.awkward.get("uci-own-leg-rings"):
            self._put(call, CallState.RINGING)
        return call.id

    def lift(self, call: Call) -> None:
        """Pick up the user's own phone; the PBX then dials."""
        if not call.wanted:
            self.connect(call)
            return
        number, call.wanted = call.wanted, ""
        self._put(call, CallState.PROCEEDING)
        target = self._pbx.telephony.number(number)
        if target is None:
            return  # an outside party: `alert` and `connect` decide what it does
        legs = self._arrive(target=target, number=call.caller_number, name=call.caller_name, caller=call)
        if legs:
            self._put(call, CallState.RINGBACK)
        elif not call.peer and not call.forwarded_to:
            self.hang_up(call)

    def arrive(self, called: str, caller_number: str, caller_name: str) -> list[Call]:
        """Simulate a call from outside to a number of this PBX. Return the calls that ring, or that are connected
        to a box.
        """
        target = self._pbx.telephony.number(called)
        name = caller_name or self._name_of(caller_number)
        return (
            self._arrive(target=target, number=caller_number, name=name, caller=None)
            if target is not None
            else []
        )

    def alert(self, call: Call) -> None:
        self._put(call, CallState.RINGBACK if call.is_outgoing else CallState.RINGING)

    def connect(self, call: Call) -> None:
        """Answer a call. If several legs ring for it, the others end."""
        if call.arrival:
            for other in list(self._pbx.calls.values()):
                if other is not call and other.arrival == call.arrival and other.state in RINGS:
                    self._end(other)
        call.answered_at = call.answered_at or time.time()
        self._put(call, CallState.CONNECTED)
        peer = self._peer(call)
        if peer is not None and peer.state is not CallState.CONNECTED:
            peer.peer = call.id
            peer.answered_at = peer.answered_at or time.time()
            self._put(peer, CallState.CONNECTED)

    def park(self, call: Call) -> None:
        self._put(call, CallState.PARKED)

    def hang_up(self, call: Call) -> None:
        """End a call for both parties. If several legs ring, only the refused one ends; the last one ends the call."""
        peer = self._peer(call)
        siblings = [one for one in self._ringing_with(call) if one is not call]
        self._end(call)
        if call.is_outgoing:
            for leg in [one for one in self._pbx.calls.values() if one.peer == call.id]:
                self._end(leg)
        elif peer is not None and not siblings:
            self._end(peer)

    def time_out(self, call: Call) -> list[Call]:
        """End ringing because nobody has answered. Return where the call continues, if a redirect applies."""
        legs = self._ringing_with(call) or [call]
        target = self._pbx.telephony.number(call.called_number)
        if call.group_id and call.group_id.isdigit():
            group_number = f"8{int(call.group_id):02}"
            target = self._pbx.telephony.number(group_number) or target
        redirect = self._pbx.telephony.redirect(target, Trigger.TIMEOUT) if target is not None else None
        peer = self._peer(call)
        for leg in legs:
            self._end(leg)
        if redirect is None:
            if peer is not None:
                self._end(peer)
            return []
        return self._follow(
            redirect=redirect, number=call.caller_number, name=call.caller_name, caller=peer, hops=1
        )

    def rename(self, call: Call) -> str:
        """Give the call a new id."""
        before, call.id = call.id, str(uuid.uuid4())
        self._pbx.calls[call.id] = self._pbx.calls.pop(before)
        for other in self._pbx.calls.values():
            if other.peer == before:
                other.peer = call.id
        self._send_renamed(call, before)
        return call.id

    def forward(self, call: Call, number: str) -> bool:
        """Transfer the user's call to another number; the user leaves the call."""
        target, peer = self._pbx.telephony.number(number), self._peer(call)
        if not canonical(number) or call.state is CallState.HANGUP:
            return False
        call.forwarded_to = number
        self._end(call)
        if target is not None:
            self._arrive(target=target, number=call.caller_number, name=call.caller_name, caller=peer)
        return True

    def leave_message(self, user: User, caller_number: str, caller_name: str) -> Call | None:
        """Connect an outside caller to a user's box until the call ends. Return None if the user has no box."""
        boxes = self._pbx.telephony.mailboxes_of(user.id)
        if not boxes:
            return None
        name = caller_name or self._name_of(caller_number)
        return self._link(
            box=boxes[0], owner=user, number=caller_number, name=name, called=user.login, caller=None
        )

    def _arrive(
        self, target: Number, number: str, name: str, caller: Call | None, hops: int = 0
    ) -> list[Call]:
        always = self._pbx.telephony.redirect(target, Trigger.ALWAYS)
        if always is not None:
            return self._follow(redirect=always, number=number, name=name, caller=caller, hops=hops + 1)
        members, group_id = self._ringing_users(target)
        free = [user for user in members if not self._is_busy(user)]
        if not free:
            busy = self._pbx.telephony.redirect(target, Trigger.BUSY)
            if busy is not None:
                return self._follow(redirect=busy, number=number, name=name, caller=caller, hops=hops + 1)
            for user in members:
                self._list_missed(
                    user=user, number=number, name=name, called=target.number, group_id=group_id
                )
            return []
        arrival = str(uuid.uuid4())
        legs = []
        for user in free:
            call = Call(
                id=str(uuid.uuid4()),
                login=user.login,
                state=CallState.INCOMING,
                caller_number=number,
                caller_name=name,
                called_number=target.number,
                called_name=user.name,
                group_id=group_id,
                peer=caller.id if caller is not None else "",
                arrival=arrival,
            )
            self._pbx.calls[call.id] = call
            self._send_new(call)
            self._put(call, CallState.RINGING)
            legs.append(call)
        if caller is not None:
            caller.peer = legs[0].id
        return legs

    def _follow(
        self, redirect: Redirect, number: str, name: str, caller: Call | None, hops: int
    ) -> list[Call]:
        if redirect.destination is Destination.MAILBOX:
            return self._to_mailbox(redirect=redirect, number=number, name=name, caller=caller)
        target = self._pbx.telephony.number(redirect.phone_number)
        if target is None or hops > MAX_REDIRECTS:
            if caller is not None:
                caller.forwarded_to = redirect.phone_number
            return []  # it leaves the PBX
        return self._arrive(target=target, number=number, name=name, caller=caller, hops=hops)

    def _to_mailbox(self, redirect: Redirect, number: str, name: str, caller: Call | None) -> list[Call]:
        box = self._pbx.telephony.mailboxes.get(int(redirect.mailbox_id or 0))
        owner = next((self._pbx.users.get(user_id) for user_id in (box.users if box else ())), None)
        return (
            []
            if box is None
            else [
                self._link(
                    box=box,
                    owner=owner,
                    number=number,
                    name=name,
                    called=redirect.number.number,
                    caller=caller,
                )
            ]
        )

    def _link(
        self, box: Mailbox, owner: User | None, number: str, name: str, called: str, caller: Call | None
    ) -> Call:
        call = Call(
            id=str(uuid.uuid4()),
            login=owner.login if owner is not None else "",
            state=CallState.VOICEMAIL_LINKED,
            caller_number=number,
            caller_name=name,
            called_number=called,
            called_name=owner.name if owner is not None else box.name,
            peer=caller.id if caller is not None else "",
            mailbox=box.id,
        )
        self._pbx.calls[call.id] = call
        self._send_state(call)
        if caller is not None:
            caller.peer = call.id
            caller.answered_at = time.time()
            self._put(caller, CallState.CONNECTED)
        return call

    def _ringing_users(self, target: Number) -> tuple[list[User], str]:
        if target.group_id is None:
            user = self._pbx.users.get(target.user_id or 0)
            return ([user] if user is not None else []), ""
        group = self._pbx.groups[target.group_id]
        members = [self._pbx.users[user_id] for user_id in sorted(group.members - group.logged_off)]
        return members, str(group.id)

    def _is_busy(self, user: User) -> bool:
        line = self._pbx.telephony.lines[user.id]
        has_call = any(call.login == user.login for call in self._pbx.calls.values())
        return line.do_not_disturb or (has_call and not line.call_waiting)

    def _ringing_with(self, call: Call) -> list[Call]:
        if not call.arrival:
            return []
        return [one for one in self._pbx.calls.values() if one.arrival == call.arrival and one.state in RINGS]

    def _peer(self, call: Call) -> Call | None:
        return self._pbx.calls.get(call.peer)

    def _put(self, call: Call, state: CallState) -> None:
        call.state, call.timestamp = state, self.at or time.time()
        self._send_state(call)

    def _end(self, call: Call) -> None:
        if self._pbx.calls.pop(call.id, None) is None:
            return
        self._put(call, CallState.HANGUP)
        self.ended(call)

    def ended(self, call: Call) -> None:
        """Add an ended call to its user's call list, and to the box if it was connected to one."""
        user = self._pbx.by_login(call.login)
        seconds = int(call.timestamp - call.answered_at) if call.answered_at is not None else 0
        if call.mailbox is not None:
            seconds = int(call.timestamp - call.started)
            words = call.caller_name or call.caller_number
            telephony = self._pbx.telephony
            telephony.add_message(
                box_id=call.mailbox,
                caller=call.caller_number,
                called=call.called_number,
                words=words,
                at=call.started,
                seconds=seconds,
            )
            self._send_message(telephony.mailboxes[call.mailbox])
        if user is None:
            return
        other = call.called_name if call.is_outgoing else call.caller_name
        self._list(user=user, call=call, other=other, seconds=seconds)

    def _list(self, user: User, call: Call, other: str, seconds: int) -> None:
        insort(
            self._pbx.telephony.call_lists.setdefault(user.id, []),
            Listed(
                id=call.id,
                is_outgoing=call.is_outgoing,
                is_answered=call.answered_at is not None,
                caller_number=call.caller_number,
                called_number=call.called_number,
                description=other,
                at=call.started,
                duration=seconds,
                group_id=call.group_id,
            ),
            key=started,
        )

    def _list_missed(self, user: User, number: str, name: str, called: str, group_id: str) -> None:
        call = Call(
            id=str(uuid.uuid4()),
            login=user.login,
            state=CallState.HANGUP,
            caller_number=number,
            caller_name=name,
            called_number=called,
            called_name=user.name,
            group_id=group_id,
        )
        self._list(user=user, call=call, other=name, seconds=0)

    def _shown_number(self, user: User) -> str:
        telephony = self._pbx.telephony
        number = telephony.numbers.get(telephony.lines[user.id].display_number_id)
        return number.number if number is not None else user.login

    def _name_of(self, number: str) -> str:
        """Look a number up among the PBX's own numbers and in its address book."""
        own = self._pbx.telephony.number(number)
        if own is not None:
            users = self._pbx.users.get(own.user_id or 0)
            group = self._pbx.groups.get(own.group_id or 0)
            return users.name if users is not None else group.name if group is not None else ""
        wanted = canonical(number)
        for contact in self._pbx.telephony.contacts.values():
            if wanted and wanted in map(canonical, contact.numbers()):
                return f"{contact.value('NAME')} {contact.value('SURNAME')}".strip()
        return ""
