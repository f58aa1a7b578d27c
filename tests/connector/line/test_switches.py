"""Call list, search, switches and voicemail of a line, and what a person may not do."""

import uuid
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connector.errors import PhoneError
from tests.support.line import ANNA, BEN, Site, running_site
from wire.phone import (
    Access,
    CallState,
    Dial,
    Direction,
    Feature,
    HistoryFilter,
    HistoryParams,
    PhoneLine,
    PlayVoicemail,
    Redirect,
    RedirectTarget,
    RedirectTrigger,
    SetMobile,
    SetRedirect,
    Source,
)

LINDNER = "00493023125901"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(tmp_path) as one:
        await one.open(ANNA)
        yield one


async def refused(asked: Awaitable[Any]) -> str:
    with pytest.raises(PhoneError) as raised:
        await asked
    return raised.value.code


def history(**more: Any) -> HistoryParams:
    return HistoryParams(user_id=ANNA, **more)


async def test_the_call_list_by_kind(site: Site) -> None:
    line = site.lines.line(ANNA)
    everything = await line.history(history())
    assert (len(everything.entries), everything.total, everything.has_more) == (8, 8, False)
    newest = everything.entries[0]
    assert (newest.direction, newest.is_answered, newest.name) == (Direction.IN, False, "Mehmet Yıldız")
    assert abs((datetime.now(UTC) - newest.began_at) - timedelta(minutes=38)) < timedelta(minutes=2)
    missed = await line.history(history(filter=HistoryFilter.MISSED))
    assert [one.name for one in missed.entries] == ["Mehmet Yıldız", "Sabine Weiß"]
    outgoing = await line.history(history(filter=HistoryFilter.OUT))
    assert {one.direction for one in outgoing.entries} == {Direction.OUT} and len(outgoing.entries) == 4
    incoming = await line.history(history(filter=HistoryFilter.IN))
    assert len(incoming.entries) == 4


async def test_the_call_list_goes_on_page_by_page_while_new_calls_come(site: Site) -> None:
    line = site.lines.line(ANNA)
    start = datetime.now(UTC)
    found, offset = [], 0
    while True:
        page = await line.history(history(before=start, offset=offset, limit=3))
        found += page.entries
        offset += len(page.entries)
        (leg,) = await site.arrive("1001")
        await site.act(leg["id"], "hangup")
        if not page.has_more:
            break
    assert len(found) == len({one.entry_id for one in found}) == 8
    assert [one.began_at for one in found] == sorted((one.began_at for one in found), reverse=True)
    assert (await line.history(history())).total == 11


async def test_a_call_of_the_list_is_dialled_as_the_pbx_wrote_it(site: Site) -> None:
    await site.stop()
    site.settings = site.settings.model_copy(update={"exit_prefix": "0"})
    await site.start()
    await site.until(lambda line: line.features, "the line is there")
    line = site.lines.line(ANNA)
    (entry, *_) = (await line.history(history())).entries
    wanted = Dial(user_id=ANNA, call_id=str(uuid.uuid4()), number=entry.number)
    assert (await line.dial(wanted)).number == entry.number
    await line.hang_up(wanted.call_id)
    typed = Dial(user_id=ANNA, call_id=str(uuid.uuid4()), number="0049 721 123456")
    assert (await line.dial(typed)).number == "00049721123456"


async def test_a_search_finds_colleagues_contacts_and_the_own_calls(site: Site) -> None:
    line = site.lines.line(ANNA)
    (ben, *_) = (await line.search("ben")).found
    assert (ben.source, ben.number) == (Source.COLLEAGUE, "1002")
    lindner = (await line.search("lindner")).found
    assert [(one.source, one.number) for one in lindner] == [
        (Source.CONTACT, LINDNER),
        (Source.CONTACT, "004915228817386"),
    ]
    assert lindner[0].name == "Jürgen Lindner"
    assert "Hausverwaltung Lindner & Söhne" in lindner[0].detail
    assert (await line.search("23125913")).found[0].name == "Mehmet Yıldız"
    assert (await line.search("l")).found == [], "a letter finds nobody"
    assert (await line.search("no such person")).found == []
    assert len((await line.search("a ")).found) == 0


async def test_a_connector_without_administrators_rights_finds_colleagues_and_calls_alone(
    tmp_path: Path,
) -> None:
    async with running_site(tmp_path, login="1002") as site:
        line = await site.open(ANNA)
        snapshot = await site.line()
        assert snapshot.do_not_disturb is None and Feature.MOBILES not in snapshot.features
        assert snapshot.features[Feature.DO_NOT_DISTURB] is Access.CHANGE, (
            "by UCI it is the person's own right"
        )
        assert snapshot.features[Feature.REDIRECTS] is Access.CHANGE
        found = (await line.search("lindner")).found
        assert {one.source for one in found} == {Source.HISTORY}
        assert (await line.search("ben")).found[0].source is Source.COLLEAGUE


async def test_who_may_not_see_the_address_book_finds_nobody_in_it(site: Site) -> None:
    await site.control("PATCH", "users/1001", {"rights": sorted(ALL_RIGHTS - {"address_perm"})})
    found = (await site.lines.line(ANNA).search("lindner")).found
    assert {one.source for one in found} == {Source.HISTORY}


async def test_do_not_disturb_is_switched_and_read_back(site: Site) -> None:
    line = site.lines.line(ANNA)
    assert (await site.line()).do_not_disturb is False
    await line.set_do_not_disturb(on=True)
    assert (await site.line()).do_not_disturb is True
    assert await site.arrive("1001") == []
    await line.set_do_not_disturb(on=False)
    assert (await site.line()).do_not_disturb is False


async def test_a_phone_becomes_the_primary_one(site: Site) -> None:
    await site.lines.line(ANNA).set_primary_phone("SIP/app-1001")
    assert [phone.name for phone in (await site.line()).phones if phone.is_primary] == ["app-1001"]
    assert (
        await refused(site.lines.line(ANNA).set_primary_phone("SIP/of-somebody-else")) == "phone-not-offered"
    )


def redirect_of(line: PhoneLine, trigger: RedirectTrigger, of_number: str = "1001") -> Redirect:
    assert line.redirects is not None
    (found,) = [one for one in line.redirects if (one.trigger, one.of_number) == (trigger, of_number)]
    return found


@pytest.mark.parametrize("by", ["uci", "rest"])
async def test_redirects_to_a_number_and_to_the_mailbox(site: Site, by: str) -> None:
    if by == "rest":
        services = ["call", "callList", "phone", "userState", "voicemailList"]
        await site.awkward("uci-requests", {"requests": [f"ucp.v30.requests.{one}" for one in services]})
        await site.stop()
        await site.start()
        await site.until(lambda line: line.features, "the line is there again")
    line, snapshot = site.lines.line(ANNA), await site.line()
    always = redirect_of(snapshot, RedirectTrigger.ALWAYS)
    assert (always.is_on, always.target, always.access) == (False, RedirectTarget.MAILBOX, Access.CHANGE)
    assert always.mailbox == "Anna Berger"
    late = redirect_of(snapshot, RedirectTrigger.NO_ANSWER)
    assert late.seconds == (20 if by == "uci" else None), "REST has no seconds"
    await line.set_redirect(
        SetRedirect(
            user_id=ANNA,
            redirect_id=always.redirect_id,
            is_on=True,
            target=RedirectTarget.NUMBER,
            number="030 231 25 901",
        )
    )
    now = redirect_of(await site.line(), RedirectTrigger.ALWAYS)
    assert (now.is_on, now.target, now.number) == (True, RedirectTarget.NUMBER, LINDNER)
    assert await site.arrive("1001") == []
    await line.set_redirect(SetRedirect(user_id=ANNA, redirect_id=always.redirect_id, is_on=False))
    now = redirect_of(await site.line(), RedirectTrigger.ALWAYS)
    assert (now.is_on, now.number) == (False, LINDNER), "it can be switched on again"
    await line.set_redirect(
        SetRedirect(
            user_id=ANNA, redirect_id=late.redirect_id, is_on=True, target=RedirectTarget.MAILBOX, seconds=35
        )
    )
    now = redirect_of(await site.line(), RedirectTrigger.NO_ANSWER)
    assert (now.is_on, now.target, now.mailbox) == (True, RedirectTarget.MAILBOX, "Anna Berger")
    assert now.seconds == (35 if by == "uci" else None)
    assert await refused(line.set_redirect(SetRedirect(user_id=ANNA, redirect_id="u-no-such", is_on=True)))


async def test_a_redirect_to_nowhere_or_to_nonsense_is_not_written(site: Site) -> None:
    line = site.lines.line(ANNA)
    always = redirect_of(await site.line(), RedirectTrigger.ALWAYS)
    to_a_number: dict[str, Any] = {
        "user_id": ANNA,
        "redirect_id": always.redirect_id,
        "is_on": True,
        "target": RedirectTarget.NUMBER,
    }
    for number in ("", "to my mobile"):
        assert (
            await refused(line.set_redirect(SetRedirect(**to_a_number, number=number))) == "number-unusable"
        )
    assert not redirect_of(await site.line(), RedirectTrigger.ALWAYS).is_on


async def test_redirects_of_a_group_bear_its_number(site: Site) -> None:
    line = await site.line()
    assert line.redirects is not None
    assert {one.group for one in line.redirects if one.of_number == "801"} == {"801"}


async def test_a_mobile_phone_is_switched_on_and_off(site: Site) -> None:
    line, snapshot = site.lines.line(ANNA), await site.line()
    assert snapshot.mobiles is not None
    (mobile,) = snapshot.mobiles
    assert (mobile.number, mobile.is_on, mobile.access) == ("00491713920002", False, Access.CHANGE)
    for on in (True, False):
        await line.set_mobile(SetMobile(user_id=ANNA, mobile_id=mobile.mobile_id, is_on=on))
        assert [one.is_on for one in (await site.line()).mobiles or ()] == [on]
    assert await refused(line.set_mobile(SetMobile(user_id=ANNA, mobile_id="none", is_on=True)))


async def test_a_voicemail_is_listed_counted_and_played_on_the_own_phone(site: Site) -> None:
    line = site.lines.line(ANNA)
    assert (await site.line()).new_voicemails == 1
    (message,) = (await line.voicemails()).messages
    assert (message.name, message.seconds, message.mailbox, message.is_new) == (
        "Mehmet Yıldız",
        24,
        "Anna Berger",
        True,
    )
    await line.play_voicemail(PlayVoicemail(user_id=ANNA, message_id=message.message_id))
    await site.call_that(CallState.DIALLING)
    await site.until(lambda line: line.calls[0].number == "*91001", "the own phone rings for the voicemail")
    again = PlayVoicemail(user_id=ANNA, message_id=message.message_id)
    assert await refused(line.play_voicemail(again)) == "already-dialling"


async def test_a_new_voicemail_is_reported(site: Site) -> None:
    await site.line()
    (leg,) = await site.arrive("1001")
    late = redirect_of(await site.line(), RedirectTrigger.NO_ANSWER)
    await site.lines.line(ANNA).set_redirect(
        SetRedirect(user_id=ANNA, redirect_id=late.redirect_id, is_on=True)
    )
    await site.act(leg["id"], "timeout")
    (linked,) = await site.pbx_calls()
    await site.act(linked["id"], "hangup")
    await site.until(lambda line: line.new_voicemails == 2, "a second message waits")


ALL_RIGHTS = {
    *("callman_perm", "redirect_perm", "group_redirect_perm", "calllist_perm"),
    *("address_perm", "voice_perm", "setting_perm", "ifmc"),
}


@pytest.mark.parametrize(
    ("missing", "gone", "asked"),
    [
        (
            "callman_perm",
            None,
            lambda line: line.dial(Dial(user_id=ANNA, call_id=str(uuid.uuid4()), number="1002")),
        ),
        ("calllist_perm", Feature.HISTORY, lambda line: line.history(history())),
        ("voice_perm", Feature.VOICEMAIL, lambda line: line.voicemails()),
        ("setting_perm", None, lambda line: line.set_do_not_disturb(on=True)),
    ],
)
async def test_what_a_person_has_no_right_to_is_refused_and_then_not_offered(
    site: Site, missing: str, gone: Feature | None, asked: Any
) -> None:
    await site.control("PATCH", "users/1001", {"rights": sorted(ALL_RIGHTS - {missing})})
    line = site.lines.line(ANNA)
    assert await refused(asked(line)) == "phone-not-offered"
    features = (await site.line()).features
    assert features, "the rest goes on"
    if gone is not None:
        assert gone not in features
    if missing == "callman_perm":
        assert Feature.DIAL not in features and Feature.HISTORY in features
    if missing == "setting_perm":
        assert features[Feature.DO_NOT_DISTURB] is Access.READ_ONLY


async def test_without_the_right_to_redirect_there_are_no_redirects(site: Site) -> None:
    """Not by REST either, although the connector's own login might."""
    await site.control("PATCH", "users/1001", {"rights": sorted(ALL_RIGHTS - {"redirect_perm"})})
    for _ in range(2):
        line = await site.line()
        assert Feature.REDIRECTS not in line.features and line.redirects is None
        assert Feature.DIAL in line.features
        await site.lines.line(ANNA).set_do_not_disturb(on=False)  # after every change the state is read again


async def test_a_pbx_that_tells_each_person_only_what_they_may_do(site: Site) -> None:
    """If the user's login has no redirects but the connector's login has, the user lacks a right."""
    everything = [f"ucp.v30.requests.{name}" for name in ("call", "phone", "redirect")]
    site.provided_requests = everything
    await site.awkward("uci-requests", {"requests": everything[:2]})
    await site.stop()
    await site.start()
    line = await site.until(lambda line: line.features, "the line is there")
    assert Feature.REDIRECTS not in line.features and line.redirects is None
    site.provided_requests = everything[:2]
    await site.stop()
    await site.start()
    line = await site.until(lambda line: line.features, "the line is there")
    assert line.features[Feature.REDIRECTS] is Access.CHANGE, "nobody has them by UCI"


@pytest.mark.parametrize("missing", ["ifmc", "redirect_perm"])
async def test_by_rest_a_person_changes_only_what_they_hold_the_permission_for(
    site: Site, missing: str
) -> None:
    await site.awkward("uci-requests", {"requests": ["ucp.v30.requests.call", "ucp.v30.requests.phone"]})
    await site.control("PATCH", "users/1001", {"rights": sorted(ALL_RIGHTS - {missing})})
    await site.open(BEN)
    await site.stop()
    await site.start()
    for user_id, access in ((ANNA, Access.READ_ONLY), (BEN, Access.CHANGE)):
        line = await site.until(lambda line: line.features, "the line is there", user_id)
        feature = Feature.MOBILES if missing == "ifmc" else Feature.REDIRECTS
        assert line.features[feature] is access
    line = await site.line()
    if missing == "ifmc":
        (mobile,) = line.mobiles or ()
        asked: Awaitable[None] = site.lines.line(ANNA).set_mobile(
            SetMobile(user_id=ANNA, mobile_id=mobile.mobile_id, is_on=True)
        )
    else:
        (always, *_) = line.redirects or ()
        asked = site.lines.line(ANNA).set_redirect(
            SetRedirect(user_id=ANNA, redirect_id=always.redirect_id, is_on=True)
        )
    assert await refused(asked) == "phone-not-offered"


async def test_a_mailbox_of_somebody_else_is_no_target(site: Site) -> None:
    always = redirect_of(await site.line(), RedirectTrigger.ALWAYS)
    wanted = SetRedirect(
        user_id=ANNA,
        redirect_id=always.redirect_id,
        is_on=True,
        target=RedirectTarget.MAILBOX,
        mailbox_id="99999",
    )
    assert await refused(site.lines.line(ANNA).set_redirect(wanted)) == "phone-not-offered"
    assert not redirect_of(await site.line(), RedirectTrigger.ALWAYS).is_on


async def test_a_pbx_that_offers_little_is_shown_with_little(site: Site) -> None:
    await site.awkward(
        "uci-requests", {"requests": ["ucp.v22.requests.call.hangupCall", "ucp.v22.requests.callList"]}
    )
    await site.awkward("forbidden", {"paths": ["^/rest/"]})
    await site.open(BEN)
    line = await site.line(BEN)
    assert line.features == {
        Feature.HANG_UP: Access.CHANGE,
        Feature.HISTORY: Access.READ_ONLY,
        Feature.SEARCH: Access.READ_ONLY,
    }
    assert line.phones == []


async def test_a_pbx_that_does_not_say_what_it_offers_is_not_taken_to_offer_nothing(site: Site) -> None:
    await site.awkward("uci-requests", {"requests": []})
    await site.open(BEN)
    assert set((await site.line(BEN)).features) == set(Feature) - {Feature.CALLS}
