"""What the connector makes of an awkward PBX: one row for each behaviour, and that it heals when the PBX does.

A row says what is wrong, and which reading fails with which code. "-" means that nothing fails: the PBX is odd, and the
connector copes. After each row everything is read again from a PBX that is well.
"""

import asyncio
import base64
import contextlib
import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from connector.config import Config, PbxSection, ServiceSection, UciSection
from connector.directory import Directory
from connector.doctor.pbx import PbxCheck
from connector.doctor.steps import Chain
from connector.errors import PbxError
from connector.monitor import Monitor
from connector.network import limits
from connector.readings import Readings
from connector.rest import StarfaceRest
from connector.uci import Callbacks, UciClient
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, explain
from core.diagnosis.lights import Light, Part, get_lights
from core.diagnosis.rules import PbxFacts, find_blocker
from core.language import Language
from core.store.timestamps import now
from simulator.people import LICENCE_PERMISSION
from simulator.starface.model import Settings
from tests.support.starface import running_starface
from wire.doctor import DoctorStep, StepOutcome
from wire.link import RestState, UciState
from wire.readings import ReadingPart, ReadingState

BEN = 3
"""The PBX user who holds the licence permission."""
HTML = "<html><title>STARFACE</title></html>"
GOOD_USER = {"id": 77, "login": "77", "firstName": "Seven", "familyName": "Seven", "email": "s@example.com"}


@dataclass(frozen=True)
class Row:
    what: str
    behaviours: dict[str, Any] = field(default_factory=dict)
    """By `/control/awkward`."""
    answers: list[dict[str, Any]] = field(default_factory=list)
    """By `/control/answers`."""
    fails: str = "-"
    """The part whose reading fails, or "-"."""
    code: Code | None = None
    doctor: str = "-"
    """The doctor's first step that is not in order."""
    pbx: dict[str, Any] = field(default_factory=dict)
    """Settings of the simulated PBX."""
    oauth: bool = False


def rule(path: str, **answer: Any) -> dict[str, Any]:
    return {"path": path, **answer}


NOTHING = "<methodResponse><params/></methodResponse>"
UNCLEAR, RESTARTING, RIGHTS = Code.PBX_ANSWER_UNCLEAR, Code.PBX_RESTARTING, Code.PBX_RIGHTS_MISSING
LOGIN_FAILED, UNREACHABLE = Code.PBX_LOGIN_FAILED, Code.PBX_UNREACHABLE
UCI_REFUSES: dict[str, Any] = {"fails": "uci", "code": Code.LOGIN_REJECTED, "doctor": "uci-login"}


def uci(method: str, body: str, **answer: Any) -> dict[str, Any]:
    """In place of UCI's answer to one method."""
    return {"path": "^/xml-rpc$", "contains": f".{method}<", "body": body, **answer}


def value(of: str) -> str:
    return f"<methodResponse><params><param><value>{of}</value></param></params></methodResponse>"


def long_list(method: str) -> dict[str, Any]:
    """Longer than any book, and short as long as it is compressed."""
    content = gzip.compress(value(f"<array><data>{'<value>a</value>' * 100_000}</data></array>").encode())
    headers = {"Content-Encoding": "gzip"}
    return uci(method, "", bodyBase64=base64.b64encode(content).decode(), headers=headers)


FAULT = (
    "<methodResponse><fault><value><struct><member><name>faultCode</name><value>x</value></member>"
    "<member><name>faultString</name><value><nil/></value></member></struct></value></fault></methodResponse>"
)
OF_CALLS = "<array><data><value>ucp.v22.events.call</value></data></array>"

ROWS = (
    # The whole system
    Row(
        "404 and HTML for everything",
        {"html": {"status": 404}},
        fails="login",
        code=UNCLEAR,
        doctor="pbx-rest",
    ),
    Row(
        "200 and HTML for everything",
        {"html": {"status": 200}},
        fails="login",
        code=UNCLEAR,
        doctor="pbx-rest",
    ),
    Row("503 while it starts", {"html": {"status": 503}}, fails="login", code=RESTARTING, doctor="pbx-rest"),
    Row(
        "502 of its web server", {"html": {"status": 502}}, fails="login", code=RESTARTING, doctor="pbx-rest"
    ),
    Row("500 for everything", {"html": {"status": 500}}, fails="login", code=UNCLEAR, doctor="pbx-rest"),
    Row("429 for everything", {"html": {"status": 429}}, fails="login", code=RESTARTING, doctor="pbx-rest"),
    *(
        Row(
            f"{status} to another host",
            {"redirect": {"status": status, "location": "https://pbx.invalid"}},
            fails="login",
            code=UNREACHABLE,
            doctor="pbx-rest",
        )
        for status in (301, 302, 307, 308)
    ),
    Row("answers that are cut", {"cut": True}, fails="login", code=UNCLEAR, doctor="pbx-rest"),
    Row("text/plain as the type", {"content-type": {"type": "text/plain"}}),
    Row("texts in ISO-8859-1", {"encoding": {"encoding": "iso-8859-1"}}),
    Row("texts in UTF-16", {"encoding": {"encoding": "utf-16"}}),
    Row("no answer in time", {"slow": {"seconds": 2}}, fails="login", code=Code.PBX_SLOW, doctor="pbx-rest"),
    Row("no answer at all", {"hang": True}, fails="login", code=Code.PBX_SLOW, doctor="pbx-rest"),
    Row(
        "connections that are dropped",
        pbx={"reachable": False},
        fails="login",
        code=UNREACHABLE,
        doctor="pbx-rest",
    ),
    # Logins
    Row(
        "POST /login without a token",
        {"login-without-token": True},
        fails="login",
        code=UNCLEAR,
        doctor="pbx-login",
    ),
    Row(
        "GET /login without a nonce",
        {"login-without-nonce": True},
        fails="login",
        code=UNCLEAR,
        doctor="pbx-rest",
    ),
    Row(
        "GET /login gives a list",
        answers=[rule("^/rest/login$", method="GET", body=[])],
        fails="login",
        code=UNCLEAR,
        doctor="pbx-rest",
    ),
    Row(
        "POST /login gives null",
        answers=[rule("^/rest/login$", method="POST", body=None)],
        fails="login",
        code=UNCLEAR,
        doctor="pbx-login",
    ),
    Row(
        "POST /login 423", {"login-status": {"status": 423}}, fails="login", code=UNCLEAR, doctor="pbx-login"
    ),
    Row(
        "POST /login 429",
        {"login-status": {"status": 429}},
        fails="login",
        code=RESTARTING,
        doctor="pbx-login",
    ),
    Row(
        "POST /login 500", {"login-status": {"status": 500}}, fails="login", code=UNCLEAR, doctor="pbx-login"
    ),
    Row(
        "a login that is refused",
        {"cloud": {"discovery": False}},
        fails="login",
        code=LOGIN_FAILED,
        doctor="pbx-login",
    ),
    Row(
        "a PBX that is connected to the cloud",
        {"cloud": True},
        fails="login",
        code=Code.PBX_CLOUD,
        doctor="pbx-login",
    ),
    Row(
        "a PBX whose logins are made elsewhere",
        {"cloud": {"location": "https://login.invalid/openid"}},
        fails="login",
        code=Code.PBX_CLOUD,
        doctor="pbx-login",
    ),
    Row("tokens that die after three requests", {"token-requests": {"requests": 3}}),
    Row("one token for each user", {"one-token": True}),
    Row("the login type in capitals", {"login-type": {"type": "INTERNAL"}}),
    Row("a login type that nobody knows", {"login-type": {"type": "LDAP"}}),
    Row(
        "users/me is null",
        answers=[rule("/users/me$", body=None)],
        fails="login",
        code=UNCLEAR,
        doctor="pbx-login",
    ),
    Row(
        "users/me is HTML",
        answers=[rule("/users/me$", body=HTML)],
        fails="login",
        code=UNCLEAR,
        doctor="pbx-login",
    ),
    Row(
        "users/me is forbidden",
        {"forbidden": {"paths": ["/users/me$"]}},
        fails="login",
        code=RIGHTS,
        doctor="pbx-login",
    ),
    Row(
        "users/me is 404 in HTML",
        answers=[rule("/users/me$", status=404, body=HTML)],
        fails="login",
        code=UNCLEAR,
        doctor="pbx-login",
    ),
    # Users
    Row("a user that is null", {"users": {"records": [None]}}, doctor="pbx-users"),
    Row("a user without an id", {"users": {"records": [{"login": "x"}]}}, doctor="pbx-users"),
    Row("a user whose id is null", {"users": {"records": [{"id": None, "login": "x"}]}}, doctor="pbx-users"),
    Row(
        "a user whose id is a sum of money",
        {"users": {"records": [{"id": 2**70, "login": "x"}]}},
        doctor="pbx-users",
    ),
    Row(
        "a user whose login is a novel",
        {"users": {"records": [GOOD_USER | {"login": "x" * 5000}]}},
        doctor="pbx-users",
    ),
    Row("a user whose id is text", {"users": {"records": [GOOD_USER | {"id": "77"}]}}),
    Row(
        "a user of nulls",
        {"users": {"records": [{"id": 77, "login": None, "email": None, "firstName": None}]}},
    ),
    Row("half an emoji as a name", {"users": {"records": [GOOD_USER | {"firstName": "\ud83d"}]}}),
    Row("members that nobody knows", {"users": {"records": [GOOD_USER | {"x": {"y": []}}]}}),
    Row(
        "users in an object of pages", {"users-paged": True}, fails="users", code=UNCLEAR, doctor="pbx-users"
    ),
    Row(
        "users without the connector's own",
        {"users-without-own": True},
        fails="users",
        code=UNCLEAR,
        doctor="pbx-users",
    ),
    Row("the own login in capitals", {"own-login-case": True}),
    Row(
        "users are null",
        answers=[rule("/users$", body=None)],
        fails="users",
        code=UNCLEAR,
        doctor="pbx-permission",
    ),
    Row(
        "users are forbidden",
        {"forbidden": {"paths": ["^/rest/users$"]}},
        fails="users",
        code=RIGHTS,
        doctor="pbx-users",
    ),
    Row(
        "users are missing",
        {"missing": {"paths": ["^/rest/users$"]}},
        fails="users",
        code=UNCLEAR,
        doctor="pbx-users",
    ),
    Row(
        "users are 500",
        {"failing": {"paths": ["^/rest/users$"]}},
        fails="users",
        code=UNCLEAR,
        doctor="pbx-users",
    ),
    # Permissions
    Row(
        "holders are 404",
        {"missing": {"paths": ["/permissions/2/users"]}},
        fails="permissions",
        code=UNCLEAR,
        doctor="pbx-permission",
    ),
    Row(
        "holders are 403",
        {"forbidden": {"paths": ["/permissions/2/users"]}},
        fails="permissions",
        code=RIGHTS,
        doctor="pbx-permission",
    ),
    Row(
        "holders are 500",
        {"failing": {"paths": ["/permissions/1/users"]}},
        fails="permissions",
        code=UNCLEAR,
        doctor="pbx-permission",
    ),
    Row(
        "holders are null",
        answers=[rule("/permissions/2/users", body=None)],
        fails="permissions",
        code=UNCLEAR,
        doctor="pbx-permission",
    ),
    Row(
        "permissions are forbidden",
        {"forbidden": {"paths": ["/permissions$"]}},
        fails="permissions",
        code=RIGHTS,
        doctor="pbx-permission",
    ),
    Row(
        "permissions are HTML",
        answers=[rule("/permissions$", body=HTML)],
        fails="permissions",
        code=UNCLEAR,
        doctor="pbx-permission",
    ),
    Row("a permission that is null", {"permissions": {"records": [None]}}),
    Row("a permission without an id", {"permissions": {"records": [{"permission": "Teams"}]}}),
    Row("an English system", {"permission-names": {"language": "en"}}),
    Row("names that end in a blank", {"permission-suffix": {"suffix": " "}}),
    Row("names that end in a no-break space", {"permission-suffix": {"suffix": "\u00a0"}}),
    Row(
        "names that nobody knows",
        {"permission-suffix": {"suffix": " (alt)"}},
        fails="permissions",
        code=Code.PERMISSION_MISSING,
        doctor="pbx-permission",
    ),
    *(
        Row(f"a holder that is {odd}", {"holders": {"records": [odd]}}, doctor="pbx-permission")
        for odd in (None, {"login": "1002"}, {"id": "BEN", "login": "1002"}, 3)
    ),
    Row(
        "a holder in place of whom something odd stands",
        answers=[rule("/permissions/2/users", body=[None, {"id": 2, "login": "1001"}])],
        doctor="pbx-permission",
    ),
    Row(
        "a permission of a user without an id",
        answers=[rule("/permissions/users/3$", body=[None, {"permission": LICENCE_PERMISSION}])],
    ),
    # Groups
    Row("a list of groups that is cut", answers=[rule("/groups$", body=[])]),
    *(
        Row(
            f"a group whose members are {members}",
            answers=[rule("/groups/1$", body={"id": 1, "name": "Vertrieb", "assignableUsers": members})],
            fails="groups",
            code=UNCLEAR,
            doctor="pbx-users",
        )
        for members in (None, {}, "2")
    ),
    Row(
        "a group with a member that is odd",
        answers=[rule("/groups/1$", body={"id": 1, "assignableUsers": [{"id": 3, "assigned": "false"}, 2]})],
    ),
    Row(
        "a group that answers as another",
        answers=[rule("/groups/1$", body={"id": 7, "assignableUsers": []})],
        fails="groups",
        code=UNCLEAR,
        doctor="pbx-users",
    ),
    Row(
        "groups are forbidden",
        {"forbidden": {"paths": ["/groups"]}},
        fails="groups",
        code=RIGHTS,
        doctor="pbx-users",
    ),
    Row(
        "one group is 500",
        {"failing": {"paths": ["/groups/1"]}},
        fails="groups",
        code=UNCLEAR,
        doctor="pbx-users",
    ),
    Row(
        "one group is null",
        answers=[rule("/groups/1$", body=None)],
        fails="groups",
        code=UNCLEAR,
        doctor="pbx-users",
    ),
    # Version
    Row("a version of 5,000 characters", {"version": {"answer": "6.7.3.20 " + "x" * 5000}}),
    Row("a version in an object", {"version": {"answer": {"version": "6.7.3.20"}}}),
    Row("a version with its product", {"version": {"answer": {"name": "STARFACE 6 Comfort 10.0.1.6"}}}),
    Row("a version without a number", {"version": {"answer": "SNAPSHOT"}}),
    Row("a version that is a list", {"version": {"answer": [6, 7]}}),
    Row("no version by REST", {"version": {"answer": None, "status": 403}}),
    # OAuth
    Row("an access token without a life", {"oauth-token": {"expires_in": None}}, oauth=True),
    Row(
        "no access token",
        {"oauth-token": {"access_token": None}},
        fails="login",
        code=UNCLEAR,
        doctor="pbx-login",
        oauth=True,
    ),
    Row("refresh tokens that rotate", {"oauth-rotation": True}, oauth=True),
    Row("a refresh that wants a scope", {"oauth-refresh-with-scope": True}, oauth=True),
    Row(
        "a token endpoint elsewhere",
        {"oauth-endpoint": {"url": "https://login.invalid/token"}},
        fails="login",
        code=UNREACHABLE,
        doctor="pbx-rest",
        oauth=True,
    ),
    Row(
        "discovery that is forbidden",
        {"forbidden": {"paths": ["openid"]}},
        fails="login",
        code=UNCLEAR,
        doctor="pbx-rest",
        oauth=True,
    ),
    Row(
        "OAuth of a PBX that is connected to the cloud",
        {"cloud": True},
        fails="login",
        code=Code.PBX_CLOUD,
        doctor="pbx-rest",
        oauth=True,
    ),
    Row(
        "OAuth that leads to another place of logins",
        {"cloud": {"location": "https://login.invalid/openid"}},
        fails="login",
        code=Code.PBX_CLOUD,
        doctor="pbx-rest",
        oauth=True,
    ),
    # UCI
    Row("UCI faults", {"uci-fault": True}, fails="uci", code=Code.LOGIN_REJECTED, doctor="uci-login"),
    Row(
        "UCI redirects to a page",
        {"uci-html": {"status": 302}},
        fails="uci",
        code=Code.LOGIN_REJECTED,
        doctor="uci-login",
    ),
    Row("UCI answers HTML", {"uci-html": {"status": 200}}, fails="uci", code=UNCLEAR, doctor="uci-login"),
    Row("UCI answers 500", {"uci-html": {"status": 500}}, fails="uci", code=UNCLEAR, doctor="uci-login"),
    Row("UCI answers in ISO-8859-1", {"uci-encoding": {"encoding": "iso-8859-1"}}),
    Row("UCI offers v30 events alone", {"uci-events": {"events": ["ucp.v30.events.call"]}}),
    Row(
        "UCI offers no call events",
        {"uci-events": {"events": []}},
        fails="uci",
        code=UNREACHABLE,
        doctor="uci-login",
    ),
    Row("UCI wants its cookie", {"uci-cookie": True}),
    *(
        Row(f"UCI wants a cookie of {attributes}", {"uci-cookie": {"attributes": attributes}})
        for attributes in (
            "Path=/xml-rpc; HttpOnly",
            "Path=/elsewhere",
            "Domain=pbx.invalid; SameSite=None",
            "Secure; Expires=Thu, 02 Jan 2020 00:00:00 GMT",
            "Max-Age=soon; Path",
        )
    ),
    Row("UCI answers 401 to the login", answers=[uci("login", "", status=401)], **UCI_REFUSES),
    Row("UCI answers 403 to the login", answers=[uci("login", HTML, status=403)], **UCI_REFUSES),
    *(
        Row(f"UCI says no as {no}", answers=[uci("login", value(no))], **UCI_REFUSES)
        for no in (
            "<boolean>false</boolean>",
            "<string>false</string>",
            "<i4>0</i4>",
            "<int>0</int>",
            "false",
        )
    ),
    *(
        Row(f"UCI says yes to the subscription as {yes}", answers=[uci("subscribeEvents", value(yes))])
        for yes in ("<boolean>true</boolean>", "<string>true</string>", "<i8>1</i8>", "<nil/>", "<ex:nil/>")
    ),
    Row("UCI says nothing at all to the subscription", answers=[uci("subscribeEvents", NOTHING)]),
    Row(
        "UCI refuses the subscription",
        answers=[uci("subscribeEvents", value("<boolean>0</boolean>"))],
        fails="uci",
        code=UNREACHABLE,
        doctor="uci-login",
    ),
    Row("UCI does not tell its events", answers=[uci("getProvidedEvents", FAULT)]),
    Row("UCI tells its events as nil", answers=[uci("getProvidedEvents", value("<nil/>"))]),
    Row("UCI tells its events as a text", answers=[uci("getProvidedEvents", value("ucp.v22.events.call"))]),
    Row(
        "UCI answers with a call",
        answers=[uci("login", "<methodCall><methodName>x</methodName><params/></methodCall>")],
        fails="uci",
        code=UNCLEAR,
        doctor="uci-login",
    ),
    Row(
        "a fault that is a text",
        answers=[uci("login", "<methodResponse><fault><value>no</value></fault></methodResponse>")],
        fails="uci",
        code=UNCLEAR,
        doctor="uci-login",
    ),
    Row("a fault without words", answers=[uci("login", FAULT)], **UCI_REFUSES),
    Row(
        "a list of requests that is longer than any book",
        answers=[long_list("getProvidedRequests")],
    ),
    Row(
        "a list of events that is longer than any book",
        answers=[long_list("getProvidedEvents")],
        fails="uci",
        code=UNCLEAR,
        doctor="uci-login",
    ),
    *(
        Row(f"UCI with {what}", answers=[uci("getProvidedEvents", before + value(OF_CALLS))])
        for what, before in (
            ("blanks before the declaration", '\n \n<?xml version="1.0"?>'),
            ("a byte order mark and blanks", '\ufeff\n<?xml version="1.0" encoding="UTF-8"?>'),
            ("an encoding that nobody knows", '<?xml version="1.0" encoding="x-starface"?>'),
            ("characters that XML does not have", "<!-- \x01 \x1f & -->"),
        )
    ),
    Row(
        "ActiveDirectory with the base64 token",
        {"uci-ad-token": {"token": "base64"}},
        pbx={"loginType": "ActiveDirectory"},
    ),
    Row(
        "ActiveDirectory with the sha512 token",
        {"uci-ad-token": {"token": "sha512"}},
        pbx={"loginType": "ActiveDirectory"},
    ),
)


class Place:
    """A connector's parts with a simulated PBX, without the link."""

    def __init__(self, http: aiohttp.ClientSession, port: int, oauth: bool) -> None:
        self.http = http
        self.url = f"http://127.0.0.1:{port}"
        values: dict[str, Any] = {"name": "pbx.example.com", "url": self.url, "login": "0001"}
        if oauth:
            values |= {"auth": "oauth", "oauth_client_secret": SecretStr("headless-secret")}
        self.config = Config(
            service=ServiceSection(url="https://service.example"),
            pbx=PbxSection(password=SecretStr("foobar"), **values),
            state_directory="/nonexistent",
        )
        self.make_parts()

    def make_parts(self) -> None:
        """As a connector that has just started."""
        self.rest = StarfaceRest(self.config.pbx)
        self.readings = Readings(lambda: None)
        self.callbacks = Callbacks(UciSection())
        self.uci = UciClient(UciSection(), self.rest, asyncio.Event(), self.readings, self.callbacks)
        self.directory = Directory(self.rest, self.readings, active=True)
        self.monitor = Monitor(
            self.rest, self.uci, self.directory, self.readings, asyncio.Event(), active=True
        )

    async def control(self, method: str, path: str, body: Any = None) -> None:
        async with self.http.request(method, f"{self.url}/control/{path}", json=body) as answer:
            assert answer.status < 300, await answer.text()

    async def apply(self, row: Row) -> None:
        await self.control("PATCH", "settings", row.pbx)
        await self.control("PUT", "answers", row.answers)
        for name, on in row.behaviours.items():
            await self.control("PUT", "awkward", {"name": name, "on": on})

    async def heal(self) -> None:
        await self.control("DELETE", "awkward")
        await self.control("PATCH", "settings", {"reachable": True, "loginType": "Internal"})
        self.rest.guard.allow_one()

    async def read(self) -> None:
        """What the running parts do, once."""
        await self.monitor.check()
        # What a running directory does every second time, or every ten minutes, is done each time here.
        self.directory._permissions = self.directory._listed_groups = None
        with contextlib.suppress(PbxError):
            await self.directory._read()
        await self.callbacks.start()
        try:
            await self.uci._session.connect()
        except PbxError as fault:
            self.uci._found(fault)
            self.uci._set(UciState.FAILED)
        finally:
            await self.uci._session.end()
            await self.callbacks.stop()
        await self.monitor.check()

    def failing(self) -> dict[str, str | None]:
        return {one.part: one.code for one in self.readings.all if one.state is ReadingState.FAILED}

    async def examined(self) -> list[DoctorStep]:
        steps: list[DoctorStep] = []
        await PbxCheck(self.config).run(Chain(steps, lambda _step: None))
        return steps


@pytest.fixture
async def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    row: Row = request.param
    if row.behaviours.keys() & {"slow", "hang"}:
        monkeypatch.setattr(limits, "PBX", replace(limits.PBX, whole=0.5))
    version = "10.0.1.6" if row.oauth else "6.7.3.20"
    settings = Settings(version=version, oauth=row.oauth)
    async with running_starface(settings) as port, aiohttp.ClientSession() as http:
        place = Place(http, port, row.oauth)
        yield place
        await place.rest.close()


def facts(place: Place) -> PbxFacts:
    return PbxFacts(pbx_name="pbx.example.com", linked=True, status=place.monitor.status)


def shown_lights(place: Place) -> dict[Part, Light]:
    found = get_lights(facts(place), refused_keys=(), valid_until=(), now=now())
    for state in found:
        if state.finding is not None:
            assert_words(state.finding)
    return {state.part: state.light for state in found}


def assert_words(finding: Finding) -> None:
    for language in Language:
        words = explain(finding, language)
        assert words.title and words.detail and words.cure and "{" not in words.detail + words.cure


@pytest.mark.parametrize(
    ("place", "row"), [(row, row) for row in ROWS], ids=[row.what for row in ROWS], indirect=["place"]
)
async def test_an_awkward_pbx(place: Place, row: Row) -> None:
    await place.read()
    assert place.failing() == {}
    known = dict(place.directory._users or {})
    assert known[BEN].has_licence_permission

    await place.apply(row)
    if row.fails in ("login", "-"):
        place.rest.own_login = place.rest.login_of("0001", "foobar")
        place.uci._session._next_token = place.rest.own_login.uci_refused
    await place.read()

    # The status shows the true state.
    failing = place.failing()
    if row.fails == "-":
        assert failing == {}
        assert place.monitor.status.rest is RestState.OK
    else:
        assert failing.get(row.fails) == row.code, failing
    # Unknown is not no: nobody loses a licence or the administrator's rights, and nobody is gone.
    users = place.directory._users or {}
    assert users[BEN].has_licence_permission
    assert all(users[user_id].group_ids == one.group_ids for user_id, one in known.items())
    assert {user_id for user_id, user in users.items() if user.is_administrator} >= {
        user_id for user_id, user in known.items() if user.is_administrator
    }
    assert not any(portion.gone for portion in place.directory.unreported())
    # The lights show it, with words for it.
    if row.fails == "login":
        found = find_blocker(facts(place))
        assert found is not None and found.code is row.code
        assert_words(found)
    light = shown_lights(place)
    of_part = {
        "login": Part.REST,
        "users": Part.REST,
        "groups": Part.REST,
        "permissions": Part.PERMISSION,
        "uci": Part.UCI,
    }
    if row.fails in of_part:
        assert light[of_part[row.fails]] in (Light.YELLOW, Light.RED)
    # So does the doctor.
    steps = await place.examined()
    first = next((step for step in steps if step.outcome in (StepOutcome.FAILED, StepOutcome.WARNING)), None)
    assert (first.step if first is not None else "-") == row.doctor
    if first is not None and row.fails in ("login", "uci"):
        refuses = row.fails == "uci" and row.code in (Code.LOGIN_REJECTED, UNREACHABLE)
        expected = Code.UCI_CONNECTOR_OFF if refuses else row.code
        assert first.code == expected, "the status page and the doctor call it by one name"
    if first is not None:
        assert_words(Finding(Code(first.code), dict(first.evidence), first.variant))

    # A connector that starts now lives, and says of nobody what it does not know.
    await place.rest.close()
    place.make_parts()
    await place.read()
    fresh = (place.directory._users or {}).get(BEN)
    assert fresh is None or fresh.has_licence_permission in (True, None)

    # It recovers automatically when the PBX does.
    await place.heal()
    await place.read()
    assert place.failing() == {}
    assert (place.directory._users or {})[BEN].has_licence_permission
    assert place.monitor.status.rest is RestState.OK and place.uci.state is UciState.ON
    assert shown_lights(place)[Part.REST] is Light.GREEN


@pytest.mark.parametrize("place", [Row("well")], indirect=True)
async def test_a_user_whom_the_list_lacks_is_gone_only_by_the_pbxs_own_word(place: Place) -> None:
    await place.read()
    await place.control("PUT", "answers", [rule("^/rest/users$", body=[{"id": 1, "login": "0001"}])])
    await place.directory._read()
    assert not any(portion.gone for portion in place.directory.unreported())
    await place.control("PUT", "answers", [])
    await place.control("DELETE", "users/1002")
    await place.directory._read()
    assert [portion.gone for portion in place.directory.unreported()] == [[BEN]]


@pytest.mark.parametrize("place", [Row("well")], indirect=True)
@pytest.mark.parametrize("body", ["", None, {"code": "NOT_FOUND"}])
async def test_404_for_everything_says_of_nobody_that_they_are_gone(place: Place, body: Any) -> None:
    await place.read()
    await place.control("PUT", "answers", [rule("^/rest/users/", status=404, body=body)])
    with pytest.raises(PbxError):
        await place.rest.user(BEN)
    await place.control("PUT", "answers", [rule(f"^/rest/users/{BEN}$", status=404, body=body)])
    assert await place.rest.user(BEN) is None, "the connector's own user is there"


@pytest.mark.parametrize("place", [Row("well")], indirect=True)
async def test_an_answer_about_another_user_is_not_understood(place: Place) -> None:
    await place.control("PUT", "answers", [rule(f"^/rest/users/{BEN}$", body={"id": 2, "login": "1001"})])
    with pytest.raises(PbxError, match="another user"):
        await place.rest.user(BEN)


@pytest.mark.parametrize("place", [Row("well")], indirect=True)
async def test_a_permission_that_is_taken_away_is_noticed_although_a_holder_is_odd(place: Place) -> None:
    another = {"login": "u9", "password": "x", "permissions": [LICENCE_PERMISSION]}
    await place.control("POST", "users", another)
    await place.control("PUT", "awkward", {"name": "holders", "on": {"records": [None]}})
    await place.read()
    listed = place.directory._users or {}
    assert listed[BEN].has_licence_permission and listed[2].has_licence_permission is None, "not known"
    (anna,) = await place.directory.by_ids([2])
    assert anna.has_licence_permission is False and anna.is_administrator is False, "asked of her own record"
    await place.control("PATCH", "users/1002", {"permissions": []})
    await place.read()
    assert (place.directory._users or {})[BEN].has_licence_permission is False


@pytest.mark.parametrize("place", [Row("well")], indirect=True)
async def test_a_list_of_holders_that_is_cut_takes_nothing_from_anybody(place: Place) -> None:
    await place.read()
    administrators = [one.user_id for one in (place.directory._users or {}).values() if one.is_administrator]
    await place.control("PUT", "answers", [rule("/permissions/[12]/users", body=[])])
    await place.read()
    users = place.directory._users or {}
    assert users[BEN].has_licence_permission and all(users[one].is_administrator for one in administrators)


@pytest.mark.parametrize("place", [Row("well")], indirect=True)
async def test_what_cannot_be_read_of_a_persons_permissions_is_not_known(place: Place) -> None:
    odd = [rule("/permissions/users/3$", body=[{"id": 9}, {"id": 1, "permission": "Fax"}])]
    await place.control("PUT", "answers", odd)
    ben = await place.rest.user(BEN)
    assert ben is not None and ben.has_licence_permission is None and ben.is_administrator is None


@pytest.mark.parametrize("place", [Row("well")], indirect=True)
async def test_a_group_is_gone_by_the_pbxs_own_word(place: Place) -> None:
    await place.read()
    assert place.directory.groups_of(2) == (1,)
    gone = [rule("/groups$", body=[]), rule("/groups/1$", status=404, body="")]
    await place.control("PUT", "answers", gone)
    await place.read()
    assert place.directory.groups_of(2) == ()


@pytest.mark.parametrize("place", [Row("well")], indirect=True)
async def test_somebody_who_is_listed_twice_is_one_person(place: Place) -> None:
    twice = [{"id": 1, "login": "0001"}, *[GOOD_USER | {"id": BEN, "login": "1002"}] * 2]
    await place.control("PUT", "answers", [rule("^/rest/users$", body=twice)])
    assert [user.user_id for user in await place.rest.users_by_email("s@example.com")] == [BEN]


@pytest.mark.parametrize("place", [Row("well")], indirect=True)
async def test_the_doctor_lists_permissions_that_look_alike(place: Place) -> None:
    await place.control("PUT", "awkward", {"name": "permission-suffix", "on": {"suffix": " (alt)"}})
    await place.read()
    assert place.monitor.status.permission_candidates == (f"{LICENCE_PERMISSION} (alt)",)
    steps = {step.step: step for step in await place.examined()}
    assert steps["pbx-permission"].outcome is StepOutcome.WARNING


@pytest.mark.parametrize("place", [Row("well")], indirect=True)
async def test_a_refused_login_is_tried_three_times_by_all_parts_together(place: Place) -> None:
    await place.control("PATCH", "users/0001", {"password": "another"})
    for _turn in range(10):
        place.rest.own_login.forget()
        await place.read()
    reading = place.readings.of(ReadingPart.LOGIN)
    assert reading is not None and reading.code in (Code.PBX_LOGIN_FAILED, Code.LOGIN_PAUSED)
    await place.control("PUT", "awkward", {"name": "blacklist", "on": {"failures": 4}})
    assert place.rest.guard.refused_recently


@pytest.mark.parametrize("place", [Row("well")], indirect=True)
async def test_silence_after_a_refusal_is_called_the_blacklist(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PBX", replace(limits.PBX, whole=0.5))
    await place.control("PUT", "awkward", {"name": "blacklist", "on": {"failures": 1}})
    await place.control("PATCH", "users/0001", {"password": "another"})
    await place.monitor.check()
    place.rest.guard.allow_one()
    await place.monitor.check()
    reading = place.readings.of(ReadingPart.LOGIN)
    assert reading is not None and reading.code == Code.PBX_ADDRESS_BLOCKED
