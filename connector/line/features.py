"""What a PBX offers a person: what it lists at login without what it has refused since. Pure.

It is not known whether `getProvidedRequests` returns services (`ucp.v30.requests.call`) or single requests
(`ucp.v30.requests.call.hangupCall`), so both are understood. If the PBX lists nothing, every request counts as offered.
"""

from collections.abc import Collection, Mapping
from typing import Final

from wire.phone import Access, Feature, Offer

PLACE: Final = "call.placeCallWithPhone"
HANG_UP: Final = "call.hangupCall"
CALL_LIST: Final = "callList.getCallList"
PHONES: Final = "phone.getPhoneIds"
PRIMARY: Final = "phone.getPrimaryPhoneId"
SET_PRIMARY: Final = "phone.setPrimaryPhoneId"
SHOWN_NUMBERS: Final = "phone.getAvailableDisplayNumbers"
SHOWN_NUMBER: Final = "phone.getDisplayNumberId"
SET_SHOWN_NUMBER: Final = "phone.setDisplayNumberId"
SET_DO_NOT_DISTURB: Final = "userState.setDoNotDisturbSetting"
REDIRECTS: Final = "redirect.getRedirectSettings"
SET_REDIRECT: Final = "redirect.setRedirectSetting"
MAILBOXES: Final = "voicemailList.getMailboxes"
VOICEMAILS: Final = "voicemailList.getVoicemailList"
PLAY_VOICEMAIL: Final = "voicemailList.callVoicemailWithPhone"
WAITING: Final = "call.getCurrentMessageWaitingState"

NEEDED: Final[Mapping[Feature, tuple[str, str | None]]] = {
    Feature.DIAL: (PLACE, PLACE),
    Feature.HANG_UP: (HANG_UP, HANG_UP),
    Feature.HISTORY: (CALL_LIST, None),
    Feature.PRIMARY_PHONE: (PHONES, SET_PRIMARY),
    Feature.REDIRECTS: (REDIRECTS, SET_REDIRECT),
    Feature.VOICEMAIL: (VOICEMAILS, PLAY_VOICEMAIL),
}
"""Features by UCI: the request that shows the feature, and the request that changes it."""


class OfferedRequests:
    """The requests that a PBX offers one person."""

    def __init__(
        self,
        provided: Collection[str] = (),
        refused: Collection[str] = (),
        answered: Collection[str] = (),
    ) -> None:
        """`provided`: the names that the PBX listed, empty if it listed none. `refused`: requests that it has refused;
        `answered`: requests that it has carried out.
        """
        self._names = frozenset(provided)
        self._provided = frozenset(_bare(name) for name in provided)
        self.refused = frozenset(refused)
        self.answered = frozenset(answered)

    def without_refusals(self) -> "OfferedRequests":
        """Return the offer as the PBX listed it, without what its answers have shown."""
        return OfferedRequests(self._names)

    def with_refusal(self, request: str) -> "OfferedRequests":
        return OfferedRequests(self._names, {*self.refused, request}, self.answered - {request})

    def with_answer(self, request: str) -> "OfferedRequests":
        return OfferedRequests(self._names, self.refused - {request}, {*self.answered, request})

    def full_name(self, request: str) -> str:
        """Return the request's full name in the PBX's dialect; one login may mix dialects (MXH, IAH)."""
        service = request.partition(".")[0]
        old = {f"ucp.v22.requests.{one}" for one in (request, service)}
        new = {f"ucp.v30.requests.{one}" for one in (request, service)}
        dialect = "v22" if self._names & old and not self._names & new else "v30"
        return f"ucp.{dialect}.requests.{request}"

    def is_refused(self, request: str) -> bool:
        return request in self.refused

    def names(self, request: str) -> bool:
        """Return whether the PBX lists the request or its service."""
        return bool(self._provided & {request, request.partition(".")[0]})

    def has(self, request: str) -> bool:
        """Return whether a request counts as offered. `request`: service and method, for instance `call.hangupCall`."""
        if request in self.refused:
            return False
        return not self._provided or self.names(request)

    def offer(self, request: str) -> Offer:
        """Return what is known about one request: `READ_ONLY` if it is offered, `REFUSED`, `ABSENT` or `UNKNOWN`."""
        if request in self.refused:
            return Offer.REFUSED
        if self._provided:
            return Offer.READ_ONLY if self.names(request) else Offer.ABSENT
        return Offer.READ_ONLY if request in self.answered else Offer.UNKNOWN

    def features(self, rest: Mapping[Feature, Access]) -> dict[Feature, Access]:
        """Return the features by UCI together with `rest`, those by REST."""
        found = dict(rest)
        for feature, (shows, changes) in NEEDED.items():
            if self.has(shows) and (feature is not Feature.REDIRECTS or feature not in rest):
                can_change = changes is not None and self.has(changes)
                found[feature] = Access.CHANGE if can_change else found.get(feature, Access.READ_ONLY)
        if self.has(SET_DO_NOT_DISTURB):
            found[Feature.DO_NOT_DISTURB] = Access.CHANGE
        return {feature: found[feature] for feature in Feature if feature in found}


def services(provided: Collection[str]) -> str:
    """Return the short names of what a PBX offers, for a technician."""
    return ", ".join(sorted({_bare(name) for name in provided}))


def _bare(name: str) -> str:
    """Return the short name: `call` for both `ucp.v30.requests.call` and `ucp.v30.server.communication.call`."""
    for mark in (".requests.", ".server.communication.", ".server."):
        if mark in name:
            return name.partition(mark)[2]
    return name
