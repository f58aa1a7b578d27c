"""The capability record: what a PBX offers for telephones, by name only. Pure.

It comes from the PBX's list of UCI requests, and from what its answers have shown. A PBX that lists nothing and has not been
asked yet is `UNKNOWN`, which is not the same as `ABSENT`.
"""

from collections.abc import Iterable, Mapping

from connector.line import features
from connector.line.features import NEEDED, OfferedRequests
from connector.line.rest_phone import Area, RestPhone
from wire.phone import Access, Feature, Offer


def get_capabilities(
    offer: OfferedRequests, rest: RestPhone, access: Mapping[Area, Access], *, receives_calls: bool
) -> dict[Feature, Offer]:
    """Return the record of one login. `access`: the person's access to areas of REST; without it,
    the right of the connector's login counts. `receives_calls`: the PBX has
    accepted the subscription to call events.
    """
    found = {
        feature: _combined(offer.offer(shows), offer.offer(changes) if changes is not None else None)
        for feature, (shows, changes) in NEEDED.items()
    }
    found[Feature.CALLS] = Offer.READ_ONLY if receives_calls else Offer.UNKNOWN
    if found[Feature.REDIRECTS] is Offer.ABSENT:
        found[Feature.REDIRECTS] = _by_rest(Area.REDIRECTS, rest, access)
    found[Feature.MOBILES] = _by_rest(Area.MOBILES, rest, access)
    sets = offer.offer(features.SET_DO_NOT_DISTURB)
    found[Feature.DO_NOT_DISTURB] = (
        Offer.CHANGE if sets is Offer.READ_ONLY else _combined(rest.offer(Area.PHONES), sets)
    )
    searched = (offer.offer(features.CALL_LIST), rest.offer(Area.ACCOUNTS), rest.offer(Area.CONTACTS))
    found[Feature.SEARCH] = _best(searched)
    return {feature: found.get(feature, Offer.UNKNOWN) for feature in Feature}


def in_words(record: Mapping[Feature, Offer]) -> dict[str, str]:
    """Return the features of each offer, for a technician: `dial, calls, …` by `change`, `absent` and so on."""
    by_offer = {
        offer.value: ", ".join(feature.value for feature, its in record.items() if its is offer)
        for offer in Offer
    }
    return {offer: f"{offer}: {names}" for offer, names in by_offer.items() if names}


def _by_rest(area: Area, rest: RestPhone, access: Mapping[Area, Access]) -> Offer:
    shows = rest.offer(area)
    if shows is not Offer.READ_ONLY or access.get(area) is Access.READ_ONLY or not rest.may_write(area):
        return shows
    return Offer.CHANGE


def _combined(shows: Offer, changes: Offer | None) -> Offer:
    """Return the offer of a feature that one request shows and another changes."""
    if shows is not Offer.READ_ONLY or changes is None:
        return shows
    return {Offer.READ_ONLY: Offer.CHANGE, Offer.UNKNOWN: Offer.UNKNOWN}.get(changes, Offer.READ_ONLY)


def _best(offers: Iterable[Offer]) -> Offer:
    found = set(offers)
    order = (Offer.READ_ONLY, Offer.UNKNOWN, Offer.REFUSED)
    return next((offer for offer in order if offer in found), Offer.ABSENT)
