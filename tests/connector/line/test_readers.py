"""What the PBX answers of a telephone is read, left out or refused; it never breaks a line."""

import xmlrpc.client
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from connector.line import book, readers
from connector.line.features import HANG_UP, PLACE, OfferedRequests, services
from tests.support.line import ANNA, running_site
from wire.phone import Access, Direction, Feature, RedirectTarget

ODD: list[Any] = [
    *(None, True, 0, -1, 2**70, 1.5, float("nan"), "", "x", "\x00", "\ud800", "x" * 9999, b"bytes"),
    *([], {}, [None], [[]], [{}], {"entries": None}, {"entries": [{}, None, 1]}),
    xmlrpc.client.DateTime("nonsense"),
]

READERS: dict[str, Callable[[Any], Any]] = {
    "phones": lambda value: readers.phones(value, value, readers.records(value)),
    "shown numbers": lambda value: readers.shown_numbers(value, value),
    "redirects of UCI": lambda value: readers.uci_redirects(value, {}, Access.CHANGE),
    "redirects of REST": lambda value: readers.rest_redirects(value, {}, Access.CHANGE),
    "mailboxes": readers.mailboxes,
    "mobiles": lambda value: readers.mobiles(value, Access.CHANGE),
    "new voicemails": readers.new_voicemails,
    "call list": readers.entries,
    "voicemails": readers.voicemails,
    "contacts": lambda value: list(book.contacts(value)),
    "moment": readers.moment,
}
RECORDS: dict[str, dict[str, Any]] = {
    "phones": {"phoneName": "SIP/x", "active": True, "isIFMC": False},
    "shown numbers": {"id": "1", "number": "030"},
    "redirects of UCI": {
        "calledNumber": "1001",
        "enabled": True,
        "type": "TIMEOUT",
        "destinationType": "PHONENUMBER",
        "destination": "1002",
        "timeout": 20,
        "groupRedirect": False,
    },
    "redirects of REST": {
        "id": "1",
        "enabled": True,
        "phoneNumber": "1001",
        "groupNumber": False,
        "redirectTrigger": {"redirectTriggerType": "BUSY"},
        "redirectDestination": {"redirectDestinationType": "MAILBOX", "mailboxId": 7},
    },
    "mailboxes": {"id": "1", "name": "box"},
    "mobiles": {"id": "1", "number": "0171", "active": True},
    "call list": {
        "id": "1",
        "direction": "INBOUND",
        "result": "MISSED",
        "callerNumber": "1",
        "calledNumber": "2",
        "callDescription": "N",
        "startTime": "20260101T10:00:00",
        "duration": 3,
        "groupId": "1",
    },
    "voicemails": {
        "id": "1",
        "callDescription": "N",
        "callerNumber": "1",
        "duration": 3,
        "folder": "INBOX",
        "mailboxName": "box",
        "startTime": "20260101T10:00:00",
    },
}
PAGES = frozenset({"call list", "voicemails"})


def page_of(name: str, record: Any) -> Any:
    return {"entries": [record], "totalCount": 1} if name in PAGES else [record]


@pytest.mark.parametrize("name", READERS)
def test_whatever_is_answered_is_read_or_is_nothing(name: str) -> None:
    for value in ODD:
        READERS[name](value)


@pytest.mark.parametrize("name", RECORDS)
def test_whatever_stands_in_a_member_is_read_or_the_record_is_left_out(name: str) -> None:
    whole = READERS[name](page_of(name, RECORDS[name]))
    assert whole and (name not in PAGES or whole[0])
    for member in RECORDS[name]:
        for value in ODD:
            READERS[name](page_of(name, RECORDS[name] | {member: value}))


@pytest.mark.parametrize(
    ("told", "read"),
    [
        (xmlrpc.client.DateTime("20261127T20:15:00"), datetime(2026, 11, 27, 20, 15, tzinfo=UTC)),
        ("2026-11-27T20:15:00", datetime(2026, 11, 27, 20, 15, tzinfo=UTC)),
        ("2026-11-27T20:15:00Z", datetime(2026, 11, 27, 20, 15, tzinfo=UTC)),
        ("20261127T20:15:00.123", datetime(2026, 11, 27, 20, 15, tzinfo=UTC)),
        ("00010101T00:00:00", None),
        ("27.11.2026", None),
    ],
)
def test_times_without_a_zone_are_of_utc(told: Any, read: datetime | None) -> None:
    found = readers.moment(told)
    assert found == read
    if found is not None:
        assert readers.moment(readers.wire_moment(found)) == found


def test_a_call_list_with_odd_records_keeps_the_others_and_goes_on() -> None:
    good = RECORDS["call list"]
    answer = {"entries": [good, {}, None, good | {"id": "", "direction": "SIDEWAYS"}], "totalCount": 70}
    found = readers.entries(answer)
    assert found is not None
    entries, total, listed = found
    assert (len(entries), total, listed) == (2, 70, 4), "the next page begins after all of them"
    assert (entries[0].direction, entries[1].direction) == (Direction.IN, Direction.UNKNOWN)
    assert entries[1].entry_id and entries[1].entry_id == readers.entries(answer)[0][1].entry_id  # type: ignore[index]


def test_rest_and_uci_name_the_mailbox_differently() -> None:
    (uci, _), = readers.uci_redirects(
        [RECORDS["redirects of UCI"] | {"destinationType": "VOICEMAIL", "destination": "7"}], {"7": "box"}, Access.CHANGE
    ) or ()  # fmt: skip
    ((rest, _),) = readers.rest_redirects([RECORDS["redirects of REST"]], {"7": "box"}, Access.CHANGE) or ()
    for redirect in (uci, rest):
        assert (redirect.target, redirect.mailbox, redirect.mailbox_id) == (
            RedirectTarget.MAILBOX,
            "box",
            "7",
        )


def test_names_of_requests_in_every_form() -> None:
    for provided in (
        ["ucp.v30.requests.call"],
        ["ucp.v22.requests.call.hangupCall"],
        ["ucp.v20.server.communication.call"],
        ["call"],
    ):
        assert OfferedRequests(provided).has(HANG_UP)
    only = OfferedRequests(["ucp.v22.requests.call.hangupCall"])
    assert (only.has(PLACE), only.full_name(HANG_UP)) == (False, "ucp.v22.requests.call.hangupCall")
    assert (
        OfferedRequests(["ucp.v22.requests.call", "ucp.v30.requests.call"])
        .full_name(PLACE)
        .startswith("ucp.v30.")
    )
    assert OfferedRequests().has(PLACE) and not OfferedRequests().names(PLACE), (
        "not told is not no, and not yes either"
    )
    assert not OfferedRequests().with_refusal(PLACE).has(PLACE) and OfferedRequests().with_refusal(
        PLACE
    ).without_refusals().has(PLACE)
    assert set(OfferedRequests().features({})) == set(Feature) - {
        Feature.SEARCH,
        Feature.MOBILES,
        Feature.CALLS,
    }
    assert (
        services(["ucp.v22.requests.call", "ucp.v30.requests.call", "ucp.v30.requests.phone"])
        == "call, phone"
    )


@pytest.mark.parametrize(
    "rule",
    [
        {"status": 200, "body": None},
        {"status": 200, "body": [None, 1, {"name": "Lindner"}]},
        {"status": 200, "body": {"contacts": [{"phoneNumberValues": 7}], "summaryBlockSchema": []}},
        {"status": 200, "body": "<html>Lindner</html>"},
        {"status": 404, "body": {}},
        {"status": 500, "body": "Lindner"},
        {"status": 503, "body": ""},
        {"status": 200, "body": "[]", "cut": True},
    ],
    ids=str,
)
async def test_rest_that_answers_nonsense_costs_its_own_part_alone(
    tmp_path: Any, rule: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with running_site(tmp_path) as site:
        line = await site.open(ANNA)
        paths = r"^/rest/(contacts|accounts|fmcPhones|redirects|users/\d+/phoneconfig)"
        await site.control("PUT", "answers", [rule | {"path": paths}])
        offered = {Feature.DIAL, Feature.HISTORY, Feature.REDIRECTS, Feature.VOICEMAIL}
        shown = await site.until(
            lambda line: offered <= set(line.features) and line.phones, "the rest of the line is read"
        )
        assert shown.do_not_disturb is None and not shown.mobiles
        found = (await line.search("Lindner")).found
        assert [one.name for one in found] == ["Jürgen Lindner"], "of the own call list"
        assert "Lindner" not in (shown.detail or "") + caplog.text
