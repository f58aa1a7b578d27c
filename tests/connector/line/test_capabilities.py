"""The capability record: what a PBX offers for telephones, and that "unknown" is not "absent"."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connector.errors import PhoneError
from connector.line import features as requests
from connector.line.capabilities import get_capabilities, in_words
from connector.line.features import OfferedRequests
from connector.line.rest_phone import Area, RestPhone
from tests.support.line import ANNA, Site, running_site
from wire.phone import Access, Feature, Offer, PhoneCapabilities, PhoneLine, PlayVoicemail

EVERYTHING = ("call", "callList", "phone", "userState", "redirect", "voicemailList")


class Rest(RestPhone):
    """What REST has shown, without a PBX."""

    def __init__(self, **found: Offer) -> None:
        self._denied = {}
        self._found = {Area(area): offer for area, offer in found.items()}


def record(
    offer: OfferedRequests,
    rest: RestPhone | None = None,
    access: Mapping[Area, Access] | None = None,
    *,
    receives_calls: bool = True,
) -> dict[Feature, Offer]:
    return get_capabilities(offer, rest or Rest(), access or {}, receives_calls=receives_calls)


@pytest.mark.parametrize(
    ("offer", "rest", "access", "expected"),
    [
        (OfferedRequests(), Rest(), {}, dict.fromkeys(set(Feature) - {Feature.CALLS}, Offer.UNKNOWN)),
        (
            OfferedRequests(EVERYTHING),
            Rest(),
            {},
            {
                Feature.DIAL: Offer.CHANGE,
                Feature.CALLS: Offer.READ_ONLY,
                Feature.HISTORY: Offer.READ_ONLY,
                Feature.DO_NOT_DISTURB: Offer.CHANGE,
                Feature.REDIRECTS: Offer.CHANGE,
                Feature.PRIMARY_PHONE: Offer.CHANGE,
                Feature.VOICEMAIL: Offer.CHANGE,
                Feature.MOBILES: Offer.UNKNOWN,
            },
        ),
        (
            OfferedRequests(["call"]),
            Rest(phones=Offer.READ_ONLY, redirects=Offer.READ_ONLY, mobiles=Offer.ABSENT),
            {Area.REDIRECTS: Access.READ_ONLY},
            {
                Feature.DIAL: Offer.CHANGE,
                Feature.HISTORY: Offer.ABSENT,
                Feature.VOICEMAIL: Offer.ABSENT,
                Feature.DO_NOT_DISTURB: Offer.READ_ONLY,
                Feature.REDIRECTS: Offer.READ_ONLY,
                Feature.MOBILES: Offer.ABSENT,
                Feature.SEARCH: Offer.UNKNOWN,
            },
        ),
        (
            OfferedRequests(["call"]),
            Rest(phones=Offer.REFUSED, contacts=Offer.REFUSED, accounts=Offer.ABSENT),
            {},
            {Feature.DO_NOT_DISTURB: Offer.REFUSED, Feature.SEARCH: Offer.REFUSED},
        ),
        (
            OfferedRequests((), refused=[requests.PLACE], answered=[requests.CALL_LIST, requests.REDIRECTS]),
            Rest(mobiles=Offer.READ_ONLY),
            {},
            {
                Feature.DIAL: Offer.REFUSED,
                Feature.HANG_UP: Offer.UNKNOWN,
                Feature.HISTORY: Offer.READ_ONLY,
                Feature.REDIRECTS: Offer.UNKNOWN,
                Feature.MOBILES: Offer.CHANGE,
            },
        ),
        (
            OfferedRequests(EVERYTHING, refused=[requests.SET_REDIRECT, requests.VOICEMAILS]),
            Rest(redirects=Offer.READ_ONLY, mobiles=Offer.READ_ONLY),
            {Area.MOBILES: Access.READ_ONLY},
            {
                Feature.REDIRECTS: Offer.READ_ONLY,
                Feature.VOICEMAIL: Offer.REFUSED,
                Feature.MOBILES: Offer.READ_ONLY,
            },
        ),
    ],
    ids=["nothing said", "all of UCI", "few requests", "REST refuses", "shown by answers", "refused in part"],
)
def test_what_is_offered(
    offer: OfferedRequests, rest: RestPhone, access: Mapping[Area, Access], expected: Mapping[Feature, Offer]
) -> None:
    found = record(offer, rest, access)
    assert set(found) == set(Feature), "the record is complete"
    assert {feature: found[feature] for feature in expected} == expected


def test_without_call_events_nothing_is_known_about_calls() -> None:
    assert record(OfferedRequests(EVERYTHING), receives_calls=False)[Feature.CALLS] is Offer.UNKNOWN


def test_the_words_for_a_technician_hold_names_only() -> None:
    words = in_words(record(OfferedRequests(["call"]), Rest(contacts=Offer.READ_ONLY)))
    assert words["change"] == "change: dial, hang-up"
    assert "voicemail" in words["absent"] and "mobiles" in words["unknown"]
    assert set(words) == {"change", "read-only", "absent", "unknown"}


def test_a_record_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    later = {"dial": "change", "park": "change", "voicemail": "soon", "history": 7}
    read = PhoneCapabilities.model_validate({"capabilities": later})
    assert read.capabilities == {Feature.DIAL: Offer.CHANGE, Feature.VOICEMAIL: Offer.UNKNOWN}
    for odd in ([], "dial", dict.fromkeys(map(str, range(51)), "change")):
        with pytest.raises(ValidationError):
            PhoneCapabilities.model_validate({"capabilities": odd})


def test_an_older_service_gets_no_member_that_it_refuses() -> None:
    bare: dict[str, Any] = {"state": "up", "features": {}, "calls": [], "phones": []}
    line = PhoneLine.model_validate(bare)
    assert "capabilities" not in line.model_dump(mode="json")
    assert Feature.CALLS not in OfferedRequests(EVERYTHING).features({})


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as one:
        yield one


async def test_the_record_of_a_person_follows_what_the_pbx_says(site: Site) -> None:
    await site.awkward("uci-requests", {"requests": []})
    await site.open(ANNA)
    line = site.lines.line(ANNA)
    shown = await site.until(lambda line: line.features, "the line is read")
    assert shown.capabilities[Feature.VOICEMAIL] is Offer.UNKNOWN, "the list is shown, playing is untried"
    assert shown.capabilities[Feature.DIAL] is Offer.UNKNOWN
    assert shown.capabilities[Feature.CALLS] is Offer.READ_ONLY
    assert shown.capabilities[Feature.MOBILES] is Offer.CHANGE
    (message, *_) = (await line.voicemails()).messages
    await line.play_voicemail(PlayVoicemail(user_id=ANNA, message_id=message.message_id))
    assert (await site.line()).capabilities[Feature.VOICEMAIL] is Offer.CHANGE

    await site.stop()
    await site.awkward("uci-requests", {"requests": ["ucp.v30.requests.call"]})
    await site.start()
    shown = await site.until(lambda line: line.features, "the line is read again")
    assert shown.capabilities[Feature.DIAL] is Offer.CHANGE
    assert shown.capabilities[Feature.VOICEMAIL] is Offer.ABSENT
    assert shown.capabilities[Feature.DO_NOT_DISTURB] is Offer.READ_ONLY, "REST still shows it"


async def test_a_request_that_is_listed_and_refused_is_distinguished(site: Site) -> None:
    await site.control("PATCH", "users/1001", {"rights": ["callman_perm"]})
    await site.open(ANNA)
    line = site.lines.line(ANNA)
    await site.until(lambda line: line.features, "the line is read")
    with pytest.raises(PhoneError):
        await line.voicemails()
    shown = (await site.line()).capabilities
    assert (shown[Feature.VOICEMAIL], shown[Feature.DIAL]) == (Offer.REFUSED, Offer.CHANGE)


async def test_what_the_connectors_own_login_sees(site: Site) -> None:
    site.provided_requests = [f"ucp.v30.requests.{service}" for service in EVERYTHING]
    found = await site.lines.capabilities()
    assert set(found.values()) == {Offer.CHANGE, Offer.READ_ONLY}
    asked = await site.requests()
    assert await site.lines.capabilities() == found
    assert await site.requests() == asked, "what is known is not read again"


async def test_a_pbx_that_is_away_is_unknown_and_not_absent(site: Site) -> None:
    await site.control("PUT", "answers", [{"path": "^/rest/", "status": 503, "body": ""}])
    found = await site.lines.capabilities()
    assert set(found.values()) - {Offer.READ_ONLY} == {Offer.UNKNOWN}
    await site.control("PUT", "answers", [{"path": "^/rest/fmcPhones", "status": 403, "body": ""}])
    found = await site.lines.capabilities()
    assert (found[Feature.MOBILES], found[Feature.DO_NOT_DISTURB]) == (Offer.REFUSED, Offer.UNKNOWN)
