"""The simulated PBX as a telephone sees it: what is set is read back, and counts for the next call."""

import xmlrpc.client
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web

from connector.login import internal_secret, uci_token
from tests.support.starface import running_starface, serving
from tests.support.world import eventually

ANNA, BEN, CLARA = (("1001", "anna-1001"), ("1002", "ben-1002"), ("1003", "clara-1003"))
OUTSIDE = "00493023125901"
OUTSIDE_NAME = "Jürgen Lindner"


class Person:
    """A user with a REST token and a UCI login whose events arrive."""

    def __init__(self, http: aiohttp.ClientSession, url: str, port: int, who: tuple[str, str]) -> None:
        self.http, self.url, self.port = http, url, port
        self.login, self.password = who
        self.events: list[dict[str, Any]] = []
        self.heard: list[tuple[str, Any]] = []

    async def begin(self, dialect: str = "v22") -> "Person":
        async with self.http.get(f"{self.url}/rest/login") as response:
            template = await response.json()
        template["secret"] = internal_secret(self.login, template["nonce"], self.password)
        async with self.http.post(f"{self.url}/rest/login", json=template) as response:
            self.headers = {"authToken": (await response.json())["token"]}
        assert await self.uci("connection.login") is True
        assert await self.uci("service.subscribeEvents", f"ucp.{dialect}.events.call") is True
        self.id = (await self.rest("GET", "/users/me"))["id"]
        return self

    async def rest(self, method: str, path: str, body: Any = None, status: int | None = None) -> Any:
        async with self.http.request(
            method, f"{self.url}/rest{path}", headers=self.headers, json=body
        ) as response:
            assert response.status == status if status else response.status < 300, await response.text()
            return await response.json() if response.content_type == "application/json" else None

    async def uci(self, method: str, *params: Any, dialect: str = "v22") -> Any:
        query = {
            "auth": uci_token(self.login, self.password),
            "callback.host": "127.0.0.1",
            "callback.port": str(self.port),
            "callback.path": f"/{self.login}",
        }
        address = urlencode({f"de.vertico.starface.{name}": value for name, value in query.items()})
        name = method if method.startswith("ucp.") else f"ucp.{dialect}.requests.{method}"
        body = xmlrpc.client.dumps(params, methodname=name)
        async with self.http.post(f"{self.url}/xml-rpc?{address}", data=body) as response:
            return xmlrpc.client.loads(await response.text())[0][0]

    @property
    def states(self) -> list[str]:
        return [event["state"] for event in self.events]

    async def hears(self, *states: str) -> None:
        """Wait for exactly these states since the beginning."""

        async def all_there() -> bool:
            return len(self.states) >= len(states)

        await eventually(all_there, f"{states}, not {self.states}", seconds=20)
        assert self.states == list(states)


class Site:
    def __init__(self, http: aiohttp.ClientSession, url: str, people: list[Person]) -> None:
        self.http, self.url, self.people = http, url, people

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        async with self.http.request(method, f"{self.url}/control/{path}", json=body) as response:
            assert response.status < 300, await response.text()
            return await response.json()

    async def arrive(self, called: str) -> list[dict[str, str]]:
        body = {"called": called, "callerNumber": OUTSIDE}
        return (await self.control("POST", "incoming", body))["calls"]

    async def act(self, call_id: str, act: str) -> list[dict[str, str]]:
        return (await self.control("POST", f"calls/{call_id}/{act}"))["calls"]

    async def redirect(
        self, person: Person, trigger: str, number: str | None, phone_number: str = ""
    ) -> None:
        """By REST, as a telephone does it: read, change, write the whole."""
        for one in await person.rest("GET", "/redirects"):
            fits = one["redirectTrigger"]["redirectTriggerType"] == trigger
            if fits and one["phoneNumber"] in (phone_number or one["phoneNumber"],):
                to = (
                    one["lastMailboxDestination"]
                    if number is None
                    else {"redirectDestinationType": "PHONENUMBER", "phoneNumber": number}
                )
                body = one | {"enabled": True, "redirectDestination": to}
                await person.rest("PUT", f"/redirects/{one['id']}", body, 204)
                again = await person.rest("GET", f"/redirects/{one['id']}")
                assert again["enabled"] and again["redirectDestination"] == to


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    people: dict[str, Person] = {}

    async def take(request: web.Request) -> web.Response:
        (params, method) = xmlrpc.client.loads(await request.text())
        person = people[request.match_info["login"]]
        person.heard.append((str(method), params[0]))
        if str(method).endswith("receiveCallState"):
            person.events.append(params[0])
        return web.Response(text=xmlrpc.client.dumps((True,), methodresponse=True))

    app = web.Application()
    app.router.add_post("/{login}", take)
    async with (
        running_starface() as pbx_port,
        serving(app) as callback_port,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
    ):
        url = f"http://127.0.0.1:{pbx_port}"
        for who in (ANNA, BEN, CLARA):
            people[who[0]] = Person(http, url, callback_port, who)
        site = Site(http, url, list(people.values()))
        await site.control("PUT", "awkward", {"name": "uci-first-event-without-state", "on": False})
        for person in people.values():
            await person.begin()
        yield site


async def test_dialling_a_colleague_is_two_calls_with_their_own_ids(site: Site) -> None:
    anna, ben, _clara = site.people
    call = await anna.uci("call.placeCallWithPhone", "1002", "", "my-own-id")
    assert call == "my-own-id"
    assert await anna.uci("call.placeCallWithPhone", "1003", "", "") == "", "one waits already"
    assert await anna.uci("call.placeCallWithPhone", "", "", "") == ""
    await anna.hears("RINGING")
    calls = await site.act(call, "lift")
    (bens,) = (one["id"] for one in calls if one["login"] == "1002")
    await anna.hears("RINGING", "PROCEEDING", "RINGBACK")
    await ben.hears("INCOMING", "RINGING")
    assert ben.events[-1]["callerName"] == "Anna Berger"
    await site.act(bens, "connect")
    await anna.hears("RINGING", "PROCEEDING", "RINGBACK", "CONNECTED")
    assert (await anna.uci("userState.getUserState"))["telephonyState"] == "ACTIVE"
    assert await anna.uci("call.hangupCall", call) is True
    await ben.hears("INCOMING", "RINGING", "CONNECTED", "HANGUP")
    await anna.hears("RINGING", "PROCEEDING", "RINGBACK", "CONNECTED", "HANGUP")
    for person, direction in ((anna, "OUTBOUND"), (ben, "INBOUND")):
        found = await person.uci("callList.getCallList", "", "", "", "", "NON_GROUP")
        newest = found["entries"][0]
        assert (newest["direction"], newest["result"]) == (direction, "ANSWERED")


async def test_a_call_is_placed_with_a_phone_of_ones_own(site: Site) -> None:
    anna, _ben, _clara = site.people
    phones = await anna.uci("phone.getPhoneIds")
    assert await anna.uci("call.placeCallWithPhone", OUTSIDE, "SIP/snom-1002", "") == ""
    placed = await anna.uci("call.placeCallWithPhone", OUTSIDE, phones[1], "")
    state = await anna.uci("call.getCallState", placed)
    assert (state["calledNumber"], state["calledName"]) == (OUTSIDE, OUTSIDE_NAME)
    for act in ("lift", "alert", "hangup"):
        await site.act(placed, act)
    await anna.hears("RINGING", "PROCEEDING", "RINGBACK", "HANGUP")
    entry = (await anna.uci("callList.getCallList", "", "", "OUTBOUND", "MISSED", ""))["entries"][0]
    assert entry["calledNumber"] == OUTSIDE, "not reached"


async def test_v30_says_outgoing_and_v20_has_names_of_its_own(site: Site) -> None:
    anna, ben, _clara = site.people
    await anna.uci("service.unsubscribeEvents", "ucp.v22.events.call")
    await anna.uci("service.subscribeEvents", "ucp.v30.events.call")
    call = await anna.uci("call.placeCallWithPhone", OUTSIDE, "", "", dialect="v30")
    await site.act(call, "lift")
    await anna.hears("RINGING", "OUTGOING")

    await ben.uci("connection.logout")
    assert await ben.uci("ucp.v20.server.connection.probe") is False
    assert await ben.uci("ucp.v20.server.connection.login") is True
    assert await ben.uci("ucp.v20.server.connection.probe") is True
    services = ["ucp.v20.client.communication.call"]
    assert await ben.uci("ucp.v20.server.connection.setProvidedServices", services) is True
    (phone, *_) = await ben.uci("ucp.v20.server.communication.call.getPhoneIds")
    call = await ben.uci("ucp.v20.server.communication.call.placeCall", "1003", phone, "")
    assert await ben.uci("ucp.v20.server.communication.call.getCallIds") == [call]
    await ben.hears("RINGING")
    assert ben.heard[0][0] == "ucp.v20.client.communication.call.receiveCallState"


async def test_a_redirect_that_is_set_takes_the_next_call(site: Site) -> None:
    anna, ben, clara = site.people
    assert [leg["login"] for leg in await site.arrive("1001")] == ["1001"]
    await site.redirect(anna, "ALWAYS", "1002")
    assert [leg["login"] for leg in await site.arrive("1001")] == ["1002"]
    assert (await anna.uci("userState.getUserState"))["redirectAlwaysActive"] is True
    await site.redirect(ben, "ALWAYS", "00491713920099")
    assert await site.arrive("1001") == [], "out of the house"
    settings = await ben.uci("redirect.getRedirectSettings")
    always = [one for one in settings if one["type"] == "ALWAYS"]
    assert {one["destination"] for one in always} == {"00491713920099"}
    assert await ben.uci("redirect.setRedirectSettings", [one | {"enabled": False} for one in always])
    assert [leg["login"] for leg in await site.arrive("1001")] == ["1002"]
    empty = always[0] | {"destination": "", "enabled": True}
    assert await ben.uci("redirect.setRedirectSetting", empty) is False
    assert clara.states == []


async def test_do_not_disturb_and_busy_redirects(site: Site) -> None:
    anna, ben, _clara = site.people
    assert await anna.uci("userState.setDoNotDisturbSetting", True) is True
    config = await anna.rest("GET", f"/users/{anna.id}/phoneconfig")
    assert config["doNotDisturb"] is True
    assert await site.arrive("1001") == []
    missed = (await anna.uci("callList.getCallList", "", "", "INBOUND", "MISSED", ""))["entries"][0]
    assert (missed["callerNumber"], missed["callDescription"]) == (OUTSIDE, OUTSIDE_NAME)
    await site.redirect(anna, "BUSY", "1002")
    assert [leg["login"] for leg in await site.arrive("1001")] == ["1002"]
    await ben.hears("INCOMING", "RINGING")
    await anna.rest("PUT", f"/users/{anna.id}/phoneconfig", config | {"doNotDisturb": False}, 204)
    assert [leg["login"] for leg in await site.arrive("1001")] == ["1001"]


async def test_the_switches_of_all_telephones_are_reset(site: Site) -> None:
    anna, _ben, _clara = site.people
    await anna.uci("userState.setDoNotDisturbSetting", True)
    await site.redirect(anna, "ALWAYS", "1002")
    await site.control("DELETE", "switches")
    assert [leg["login"] for leg in await site.arrive("1001")] == ["1001"]


async def test_a_box_takes_a_call_that_nobody_answers(site: Site) -> None:
    anna, _ben, _clara = site.people
    before = (await anna.uci("voicemailList.getVoicemailList"))["totalCount"]
    await site.redirect(anna, "TIMEOUT", None)
    (leg,) = await site.arrive("1001")
    calls = await site.act(leg["id"], "timeout")
    (linked,) = (one["id"] for one in calls if one["state"] == "VOICEMAIL_LINKED")
    await site.act(linked, "hangup")
    await anna.hears("INCOMING", "RINGING", "HANGUP", "VOICEMAIL_LINKED", "HANGUP")
    messages = await anna.uci("voicemailList.getVoicemailList")
    assert messages["totalCount"] == before + 1
    newest = messages["entries"][0]
    assert newest["callDescription"] == OUTSIDE_NAME
    assert (await anna.uci("call.getCurrentMessageWaitingState"))["newMessages"] == before + 1

    async def told() -> bool:
        return any(method.endswith("newMessageWaitingIndicationEvent") for method, _ in anna.heard)

    await eventually(told, "a new message", seconds=20)
    assert await anna.uci("voicemailList.callVoicemailWithPhone", newest["id"], "") != ""
    assert await anna.uci("voicemailList.deleteVoicemailListEntry", newest["id"]) is True


async def test_a_colleague_takes_a_call_of_the_group(site: Site) -> None:
    anna, ben, clara = site.people
    await site.control("POST", "groups", {"name": "Service", "logins": ["1001", "1002", "1003"]})
    (service,) = (one for one in await anna.uci("group.getGroupSettings") if one["name"] == "Service")
    assert await clara.uci("group.setGroupSetting", service | {"loggedOn": False}) is True
    legs = {leg["login"]: leg["id"] for leg in await site.arrive("802")}
    assert set(legs) == {"1001", "1002"}
    await site.act(legs["1002"], "connect")
    await anna.hears("INCOMING", "RINGING", "HANGUP")
    await ben.hears("INCOMING", "RINGING", "CONNECTED")
    assert {event["groupID"] for event in anna.events} == {service["groupId"]}
    without = await anna.uci("callList.getCallList", "", "", "", "", "NON_GROUP")
    assert all(not one["groupId"] for one in without["entries"])
    assert clara.states == []


async def test_a_call_may_get_another_id(site: Site) -> None:
    anna, _ben, _clara = site.people
    (leg,) = await site.arrive("1001")
    (call,) = await site.act(leg["id"], "rename")
    await site.act(call["id"], "connect")
    await anna.hears("INCOMING", "RINGING", "CONNECTED")
    (renamed,) = (content for method, content in anna.heard if method.endswith("callChangesIdEvent"))
    assert renamed == {"oldId": leg["id"], "newId": call["id"]}
    assert await anna.uci("call.getCallState", leg["id"]) == {}
    assert await anna.uci("call.forward", call["id"], "1002") is True
    assert anna.states[-1:] == ["CONNECTED"] or anna.states[-1] == "HANGUP"


async def test_contacts_are_found_by_words_and_by_digits(site: Site) -> None:
    anna, ben, _clara = site.people
    for terms, family in (
        ("wei", "Weiß"),
        ("nordring sab", "Weiß"),
        ("23125 901", "Lindner"),
        ("yıl", "Yıldız"),
    ):
        found = await anna.rest("GET", f"/contacts?{urlencode({'searchTerms': terms})}")
        keys = [one["displayKey"] for one in found["summaryBlockSchema"]["attributes"]]
        assert [one["summaryValues"][keys.index("SURNAME")] for one in found["contacts"]] == [family]
    page = await anna.rest("GET", "/contacts?pagesize=3&page=1")
    assert len(page["contacts"]) == 3 and page["metadata"]["totalPages"] == 3
    one = await anna.rest("GET", f"/contacts/{page['contacts'][0]['id']}")
    mine = await anna.rest("POST", "/contacts", one, 201)
    await ben.rest("GET", f"/contacts/{mine['id']}", status=500)  # the address book of somebody else


@pytest.mark.parametrize(
    ("right", "path", "method"),
    [
        ("redirect_perm", "/redirects", "redirect.getRedirectSettings"),
        ("address_perm", "/contacts", None),
        ("ifmc", "/fmcPhones", None),
        ("calllist_perm", None, "callList.getCallList"),
        ("voice_perm", None, "voicemailList.getMailboxes"),
        ("callman_perm", None, "call.placeCallWithPhone"),
    ],
)
async def test_who_lacks_a_right_is_refused_there_and_nowhere_else(
    site: Site, right: str, path: str | None, method: str | None
) -> None:
    anna, _ben, _clara = site.people
    rights = {"redirect_perm", "address_perm", "ifmc", "calllist_perm", "voice_perm", "callman_perm"}
    await site.control("PATCH", "users/1001", {"rights": sorted(rights - {right})})
    if path is not None:
        await anna.rest("GET", path, status=403)
    if method is not None:
        with pytest.raises(xmlrpc.client.Fault):
            await anna.uci(method, *(("1002", "", "") if "place" in method else ()))
    assert await anna.uci("phone.getPrimaryPhoneId") == "SIP/snom-1001"


async def test_a_person_sees_and_changes_the_own_telephone_alone(site: Site) -> None:
    anna, ben, clara = site.people
    await anna.rest("GET", f"/users/{ben.id}/phoneconfig", status=403)
    await anna.rest("GET", "/redirects?actOnBehalfOf=1002", status=403)
    await anna.rest("GET", "/voicemailboxes", status=403)
    assert await clara.rest("GET", "/redirects?actOnBehalfOf=1002") == await ben.rest("GET", "/redirects")
    config = await anna.rest("GET", f"/users/{anna.id}/phoneconfig")
    await anna.rest("PUT", f"/users/{anna.id}/phoneconfig", config | {"primaryPhoneId": 1}, 500)
    soft = (await anna.uci("phone.getPhoneIds"))[1]
    assert await anna.uci("phone.setPrimaryPhoneId", soft) is True
    changed = await anna.rest("GET", f"/users/{anna.id}/phoneconfig")
    assert changed["primaryPhoneId"] != config["primaryPhoneId"]
    (call, *_rest) = [await anna.uci("call.placeCallWithPhone", "1002", "", "")]
    assert await ben.uci("call.getCallState", call) == {}, "somebody else's call"
    assert await ben.uci("call.hangupCall", call) is False


async def test_every_behaviour_says_sourced_or_assumed(site: Site) -> None:
    found = await site.control("GET", "behaviours")
    assert len({one["name"] for one in found}) == len(found) > 150
    assert all(one["what"] and one["source"] for one in found)
    provided = await site.people[0].uci("service.getProvidedRequests")
    assert "ucp.v30.requests.callList" in provided and "ucp.v22.requests.phone" in provided
