"""What the connector makes of an awkward PBX: one row for each behaviour, and that it heals when the PBX does.

A row says what is wrong, and which reading fails with which code. "-" means that nothing fails: the PBX is odd, and the
connector copes. After each row everything is read again from a PBX that is well.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from connector.config import Config, Pbx, Service, Uci
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
from core.diagnosis.lights import Light, Part, lights
from core.diagnosis.rules import PbxFacts, blocker
from core.language import Language
from core.store.timestamps import now
from simulator.people import LICENCE_PERMISSION
from simulator.starface.model import Settings
from tests.support.starface import running_starface
from wire.doctor import DoctorStep, Outcome
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


UNCLEAR, RESTARTING, RIGHTS = Code.PBX_ANSWER_UNCLEAR, Code.PBX_RESTARTING, Code.PBX_RIGHTS_MISSING
LOGIN_FAILED, UNREACHABLE = Code.PBX_LOGIN_FAILED, Code.PBX_UNREACHABLE

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
    # Groups
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
    """A connector's parts beside a simulated PBX, without the link."""

    def __init__(self, http: aiohttp.ClientSession, port: int, oauth: bool) -> None:
        self.http = http
        self.url = f"http://127.0.0.1:{port}"
        values: dict[str, Any] = {"name": "pbx.example.com", "url": self.url, "login": "0001"}
        if oauth:
            values |= {"auth": "oauth", "oauth_client_secret": SecretStr("headless-secret")}
        self.config = Config(
            service=Service(url="https://service.example"),
            pbx=Pbx(password=SecretStr("foobar"), **values),
            state_directory="/nonexistent",
        )
        self.make_parts()

    def make_parts(self) -> None:
        """As a connector that has just started."""
        self.rest = StarfaceRest(self.config.pbx)
        self.readings = Readings(lambda: None)
        self.callbacks = Callbacks(Uci())
        self.uci = UciClient(Uci(), self.rest, asyncio.Event(), self.readings, self.callbacks)
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
    found = lights(facts(place), refused_keys=(), valid_until=(), now=now())
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

    # The status tells the truth.
    failing = place.failing()
    if row.fails == "-":
        assert failing == {}
        assert place.monitor.status.rest is RestState.OK
    else:
        assert failing.get(row.fails) == row.code, failing
    # Unknown is not no: nobody loses a licence or the administrator's rights, and nobody is gone.
    users = place.directory._users or {}
    assert users[BEN].has_licence_permission
    assert {user_id for user_id, user in users.items() if user.is_administrator} >= {
        user_id for user_id, user in known.items() if user.is_administrator
    }
    assert not any(portion.gone for portion in place.directory.unreported())
    # The lights show it, with words for it.
    if row.fails == "login":
        found = blocker(facts(place))
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
    first = next((step for step in steps if step.outcome in (Outcome.FAILED, Outcome.WARNING)), None)
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

    # It heals by itself when the PBX does.
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
async def test_the_doctor_lists_permissions_that_look_alike(place: Place) -> None:
    await place.control("PUT", "awkward", {"name": "permission-suffix", "on": {"suffix": " (alt)"}})
    await place.read()
    assert place.monitor.status.permission_candidates == (f"{LICENCE_PERMISSION} (alt)",)
    steps = {step.step: step for step in await place.examined()}
    assert steps["pbx-permission"].outcome is Outcome.WARNING


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
