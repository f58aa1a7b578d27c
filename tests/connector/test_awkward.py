"""What the connector makes of an awkward PBX: one row for each behaviour, and that it heals when the PBX does.

A row says what is wrong, and which reading fails with which code. "-" means that nothing fails: the PBX is odd, and the
connector copes. After each row everything is read again from a PBX that is well.
"""

import base64
import gzip
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from connector.errors import PbxError
from connector.network import limits
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.diagnosis.lights import Light, Part
from core.diagnosis.rules import find_blocker
from simulator.people import LICENCE_PERMISSION
from simulator.starface.model import Settings
from tests.support.awkward_pbx import (
    BEN,
    AwkwardCase,
    ConnectorParts,
    answer_rule,
    assert_has_words,
    get_facts,
    get_shown_lights,
)
from tests.support.starface import running_starface
from wire.doctor import StepOutcome
from wire.link import RestState, UciState
from wire.readings import ReadingPart

HTML = "<html><title>STARFACE</title></html>"
GOOD_USER = {"id": 77, "login": "77", "firstName": "Seven", "familyName": "Seven", "email": "s@example.com"}


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
    AwkwardCase(
        "404 and HTML for everything",
        {"html": {"status": 404}},
        fails="login",
        code=UNCLEAR,
        doctor="pbx-rest",
    ),
    AwkwardCase(
        "200 and HTML for everything",
        {"html": {"status": 200}},
        fails="login",
        code=UNCLEAR,
        doctor="pbx-rest",
    ),
    AwkwardCase(
        "503 while it starts", {"html": {"status": 503}}, fails="login", code=RESTARTING, doctor="pbx-rest"
    ),
    AwkwardCase(
        "502 of its web server", {"html": {"status": 502}}, fails="login", code=RESTARTING, doctor="pbx-rest"
    ),
    AwkwardCase(
        "500 for everything", {"html": {"status": 500}}, fails="login", code=UNCLEAR, doctor="pbx-rest"
    ),
    AwkwardCase(
        "429 for everything", {"html": {"status": 429}}, fails="login", code=RESTARTING, doctor="pbx-rest"
    ),
    *(
        AwkwardCase(
            f"{status} to another host",
            {"redirect": {"status": status, "location": "https://pbx.invalid"}},
            fails="login",
            code=UNREACHABLE,
            doctor="pbx-rest",
        )
        for status in (301, 302, 307, 308)
    ),
    AwkwardCase("answers that are cut", {"cut": True}, fails="login", code=UNCLEAR, doctor="pbx-rest"),
    AwkwardCase("text/plain as the type", {"content-type": {"type": "text/plain"}}),
    AwkwardCase("texts in ISO-8859-1", {"encoding": {"encoding": "iso-8859-1"}}),
    AwkwardCase("texts in UTF-16", {"encoding": {"encoding": "utf-16"}}),
    AwkwardCase(
        "no answer in time", {"slow": {"seconds": 2}}, fails="login", code=Code.PBX_SLOW, doctor="pbx-rest"
    ),
    AwkwardCase("no answer at all", {"hang": True}, fails="login", code=Code.PBX_SLOW, doctor="pbx-rest"),
    AwkwardCase(
        "connections that are dropped",
        pbx={"reachable": False},
        fails="login",
        code=UNREACHABLE,
        doctor="pbx-rest",
    ),
    # Logins
    AwkwardCase(
        "POST /login without a token",
        {"login-without-token": True},
        fails="login",
        code=UNCLEAR,
        doctor="pbx-login",
    ),
    AwkwardCase(
        "GET /login without a nonce",
        {"login-without-nonce": True},
        fails="login",
        code=UNCLEAR,
        doctor="pbx-rest",
    ),
    AwkwardCase(
        "GET /login gives a list",
        answers=[answer_rule("^/rest/login$", method="GET", body=[])],
        fails="login",
        code=UNCLEAR,
        doctor="pbx-rest",
    ),
    AwkwardCase(
        "POST /login gives null",
        answers=[answer_rule("^/rest/login$", method="POST", body=None)],
        fails="login",
        code=UNCLEAR,
        doctor="pbx-login",
    ),
    AwkwardCase(
        "POST /login 423", {"login-status": {"status": 423}}, fails="login", code=UNCLEAR, doctor="pbx-login"
    ),
    AwkwardCase(
        "POST /login 429",
        {"login-status": {"status": 429}},
        fails="login",
        code=RESTARTING,
        doctor="pbx-login",
    ),
    AwkwardCase(
        "POST /login 500", {"login-status": {"status": 500}}, fails="login", code=UNCLEAR, doctor="pbx-login"
    ),
    AwkwardCase(
        "a login that is refused",
        {"cloud": {"discovery": False}},
        fails="login",
        code=LOGIN_FAILED,
        doctor="pbx-login",
    ),
    AwkwardCase(
        "a PBX that is connected to the cloud",
        {"cloud": True},
        fails="login",
        code=Code.PBX_CLOUD,
        doctor="pbx-login",
    ),
    AwkwardCase(
        "a PBX whose logins are made elsewhere",
        {"cloud": {"location": "https://login.invalid/openid"}},
        fails="login",
        code=Code.PBX_CLOUD,
        doctor="pbx-login",
    ),
    AwkwardCase("tokens that die after three requests", {"token-requests": {"requests": 3}}),
    AwkwardCase("one token for each user", {"one-token": True}),
    AwkwardCase("the login type in capitals", {"login-type": {"type": "INTERNAL"}}),
    AwkwardCase("a login type that nobody knows", {"login-type": {"type": "LDAP"}}),
    AwkwardCase(
        "users/me is null",
        answers=[answer_rule("/users/me$", body=None)],
        fails="login",
        code=UNCLEAR,
        doctor="pbx-login",
    ),
    AwkwardCase(
        "users/me is HTML",
        answers=[answer_rule("/users/me$", body=HTML)],
        fails="login",
        code=UNCLEAR,
        doctor="pbx-login",
    ),
    AwkwardCase(
        "users/me is forbidden",
        {"forbidden": {"paths": ["/users/me$"]}},
        fails="login",
        code=RIGHTS,
        doctor="pbx-login",
    ),
    AwkwardCase(
        "users/me is 404 in HTML",
        answers=[answer_rule("/users/me$", status=404, body=HTML)],
        fails="login",
        code=UNCLEAR,
        doctor="pbx-login",
    ),
    # Users
    AwkwardCase("a user that is null", {"users": {"records": [None]}}, doctor="pbx-users"),
    AwkwardCase("a user without an id", {"users": {"records": [{"login": "x"}]}}, doctor="pbx-users"),
    AwkwardCase(
        "a user whose id is null", {"users": {"records": [{"id": None, "login": "x"}]}}, doctor="pbx-users"
    ),
    AwkwardCase(
        "a user whose id is a sum of money",
        {"users": {"records": [{"id": 2**70, "login": "x"}]}},
        doctor="pbx-users",
    ),
    AwkwardCase(
        "a user whose login is a novel",
        {"users": {"records": [GOOD_USER | {"login": "x" * 5000}]}},
        doctor="pbx-users",
    ),
    AwkwardCase("a user whose id is text", {"users": {"records": [GOOD_USER | {"id": "77"}]}}),
    AwkwardCase(
        "a user of nulls",
        {"users": {"records": [{"id": 77, "login": None, "email": None, "firstName": None}]}},
    ),
    AwkwardCase("half an emoji as a name", {"users": {"records": [GOOD_USER | {"firstName": "\ud83d"}]}}),
    AwkwardCase("members that nobody knows", {"users": {"records": [GOOD_USER | {"x": {"y": []}}]}}),
    AwkwardCase(
        "users in an object of pages", {"users-paged": True}, fails="users", code=UNCLEAR, doctor="pbx-users"
    ),
    AwkwardCase(
        "users without the connector's own",
        {"users-without-own": True},
        fails="users",
        code=UNCLEAR,
        doctor="pbx-users",
    ),
    AwkwardCase("the own login in capitals", {"own-login-case": True}),
    AwkwardCase(
        "users are null",
        answers=[answer_rule("/users$", body=None)],
        fails="users",
        code=UNCLEAR,
        doctor="pbx-permission",
    ),
    AwkwardCase(
        "users are forbidden",
        {"forbidden": {"paths": ["^/rest/users$"]}},
        fails="users",
        code=RIGHTS,
        doctor="pbx-users",
    ),
    AwkwardCase(
        "users are missing",
        {"missing": {"paths": ["^/rest/users$"]}},
        fails="users",
        code=UNCLEAR,
        doctor="pbx-users",
    ),
    AwkwardCase(
        "users are 500",
        {"failing": {"paths": ["^/rest/users$"]}},
        fails="users",
        code=UNCLEAR,
        doctor="pbx-users",
    ),
    # Permissions
    AwkwardCase(
        "holders are 404",
        {"missing": {"paths": ["/permissions/2/users"]}},
        fails="permissions",
        code=UNCLEAR,
        doctor="pbx-permission",
    ),
    AwkwardCase(
        "holders are 403",
        {"forbidden": {"paths": ["/permissions/2/users"]}},
        fails="permissions",
        code=RIGHTS,
        doctor="pbx-permission",
    ),
    AwkwardCase(
        "holders are 500",
        {"failing": {"paths": ["/permissions/1/users"]}},
        fails="permissions",
        code=UNCLEAR,
        doctor="pbx-permission",
    ),
    AwkwardCase(
        "holders are null",
        answers=[answer_rule("/permissions/2/users", body=None)],
        fails="permissions",
        code=UNCLEAR,
        doctor="pbx-permission",
    ),
    AwkwardCase(
        "permissions are forbidden",
        {"forbidden": {"paths": ["/permissions$"]}},
        fails="permissions",
        code=RIGHTS,
        doctor="pbx-permission",
    ),
    AwkwardCase(
        "permissions are HTML",
        answers=[answer_rule("/permissions$", body=HTML)],
        fails="permissions",
        code=UNCLEAR,
        doctor="pbx-permission",
    ),
    AwkwardCase("a permission that is null", {"permissions": {"records": [None]}}),
    AwkwardCase("a permission without an id", {"permissions": {"records": [{"permission": "Teams"}]}}),
    AwkwardCase("an English system", {"permission-names": {"language": "en"}}),
    AwkwardCase("names that end in a blank", {"permission-suffix": {"suffix": " "}}),
    AwkwardCase("names that end in a no-break space", {"permission-suffix": {"suffix": "\u00a0"}}),
    AwkwardCase(
        "names that nobody knows",
        {"permission-suffix": {"suffix": " (alt)"}},
        fails="permissions",
        code=Code.PERMISSION_MISSING,
        doctor="pbx-permission",
    ),
    *(
        AwkwardCase(f"a holder that is {odd}", {"holders": {"records": [odd]}}, doctor="pbx-permission")
        for odd in (None, {"login": "1002"}, {"id": "BEN", "login": "1002"}, 3)
    ),
    AwkwardCase(
        "a holder in place of whom something odd stands",
        answers=[answer_rule("/permissions/2/users", body=[None, {"id": 2, "login": "1001"}])],
        doctor="pbx-permission",
    ),
    AwkwardCase(
        "a permission of a user without an id",
        answers=[answer_rule("/permissions/users/3$", body=[None, {"permission": LICENCE_PERMISSION}])],
    ),
    # Groups
    AwkwardCase("a list of groups that is cut", answers=[answer_rule("/groups$", body=[])]),
    *(
        AwkwardCase(
            f"a group whose members are {members}",
            answers=[
                answer_rule("/groups/1$", body={"id": 1, "name": "Vertrieb", "assignableUsers": members})
            ],
            fails="groups",
            code=UNCLEAR,
            doctor="pbx-users",
        )
        for members in (None, {}, "2")
    ),
    AwkwardCase(
        "a group with a member that is odd",
        answers=[
            answer_rule("/groups/1$", body={"id": 1, "assignableUsers": [{"id": 3, "assigned": "false"}, 2]})
        ],
    ),
    AwkwardCase(
        "a group that answers as another",
        answers=[answer_rule("/groups/1$", body={"id": 7, "assignableUsers": []})],
        fails="groups",
        code=UNCLEAR,
        doctor="pbx-users",
    ),
    AwkwardCase(
        "groups are forbidden",
        {"forbidden": {"paths": ["/groups"]}},
        fails="groups",
        code=RIGHTS,
        doctor="pbx-users",
    ),
    AwkwardCase(
        "one group is 500",
        {"failing": {"paths": ["/groups/1"]}},
        fails="groups",
        code=UNCLEAR,
        doctor="pbx-users",
    ),
    AwkwardCase(
        "one group is null",
        answers=[answer_rule("/groups/1$", body=None)],
        fails="groups",
        code=UNCLEAR,
        doctor="pbx-users",
    ),
    # Version
    AwkwardCase("a version of 5,000 characters", {"version": {"answer": "6.7.3.20 " + "x" * 5000}}),
    AwkwardCase("a version in an object", {"version": {"answer": {"version": "6.7.3.20"}}}),
    AwkwardCase(
        "a version with its product", {"version": {"answer": {"name": "STARFACE 6 Comfort 10.0.1.6"}}}
    ),
    AwkwardCase("a version without a number", {"version": {"answer": "SNAPSHOT"}}),
    AwkwardCase("a version that is a list", {"version": {"answer": [6, 7]}}),
    AwkwardCase("no version by REST", {"version": {"answer": None, "status": 403}}),
    # OAuth
    AwkwardCase("an access token without a life", {"oauth-token": {"expires_in": None}}, oauth=True),
    AwkwardCase(
        "no access token",
        {"oauth-token": {"access_token": None}},
        fails="login",
        code=UNCLEAR,
        doctor="pbx-login",
        oauth=True,
    ),
    AwkwardCase("refresh tokens that rotate", {"oauth-rotation": True}, oauth=True),
    AwkwardCase("a refresh that wants a scope", {"oauth-refresh-with-scope": True}, oauth=True),
    AwkwardCase(
        "a token endpoint elsewhere",
        {"oauth-endpoint": {"url": "https://login.invalid/token"}},
        fails="login",
        code=UNREACHABLE,
        doctor="pbx-rest",
        oauth=True,
    ),
    AwkwardCase(
        "discovery that is forbidden",
        {"forbidden": {"paths": ["openid"]}},
        fails="login",
        code=UNCLEAR,
        doctor="pbx-rest",
        oauth=True,
    ),
    AwkwardCase(
        "OAuth of a PBX that is connected to the cloud",
        {"cloud": True},
        fails="login",
        code=Code.PBX_CLOUD,
        doctor="pbx-rest",
        oauth=True,
    ),
    AwkwardCase(
        "OAuth that leads to another place of logins",
        {"cloud": {"location": "https://login.invalid/openid"}},
        fails="login",
        code=Code.PBX_CLOUD,
        doctor="pbx-rest",
        oauth=True,
    ),
    # UCI
    AwkwardCase("UCI faults", {"uci-fault": True}, fails="uci", code=Code.LOGIN_REJECTED, doctor="uci-login"),
    AwkwardCase(
        "UCI redirects to a page",
        {"uci-html": {"status": 302}},
        fails="uci",
        code=Code.LOGIN_REJECTED,
        doctor="uci-login",
    ),
    AwkwardCase(
        "UCI answers HTML", {"uci-html": {"status": 200}}, fails="uci", code=UNCLEAR, doctor="uci-login"
    ),
    AwkwardCase(
        "UCI answers 500", {"uci-html": {"status": 500}}, fails="uci", code=UNCLEAR, doctor="uci-login"
    ),
    AwkwardCase("UCI answers in ISO-8859-1", {"uci-encoding": {"encoding": "iso-8859-1"}}),
    AwkwardCase("UCI offers v30 events alone", {"uci-events": {"events": ["ucp.v30.events.call"]}}),
    AwkwardCase(
        "UCI offers no call events",
        {"uci-events": {"events": []}},
        fails="uci",
        code=UNREACHABLE,
        doctor="uci-login",
    ),
    AwkwardCase("UCI wants its cookie", {"uci-cookie": True}),
    *(
        AwkwardCase(f"UCI wants a cookie of {attributes}", {"uci-cookie": {"attributes": attributes}})
        for attributes in (
            "Path=/xml-rpc; HttpOnly",
            "Path=/elsewhere",
            "Domain=pbx.invalid; SameSite=None",
            "Secure; Expires=Thu, 02 Jan 2020 00:00:00 GMT",
            "Max-Age=soon; Path",
        )
    ),
    AwkwardCase("UCI answers 401 to the login", answers=[uci("login", "", status=401)], **UCI_REFUSES),
    AwkwardCase("UCI answers 403 to the login", answers=[uci("login", HTML, status=403)], **UCI_REFUSES),
    *(
        AwkwardCase(f"UCI says no as {no}", answers=[uci("login", value(no))], **UCI_REFUSES)
        for no in (
            "<boolean>false</boolean>",
            "<string>false</string>",
            "<i4>0</i4>",
            "<int>0</int>",
            "false",
        )
    ),
    *(
        AwkwardCase(
            f"UCI says yes to the subscription as {yes}", answers=[uci("subscribeEvents", value(yes))]
        )
        for yes in ("<boolean>true</boolean>", "<string>true</string>", "<i8>1</i8>", "<nil/>", "<ex:nil/>")
    ),
    AwkwardCase("UCI says nothing at all to the subscription", answers=[uci("subscribeEvents", NOTHING)]),
    AwkwardCase(
        "UCI refuses the subscription",
        answers=[uci("subscribeEvents", value("<boolean>0</boolean>"))],
        fails="uci",
        code=UNREACHABLE,
        doctor="uci-login",
    ),
    AwkwardCase("UCI does not tell its events", answers=[uci("getProvidedEvents", FAULT)]),
    AwkwardCase("UCI tells its events as nil", answers=[uci("getProvidedEvents", value("<nil/>"))]),
    AwkwardCase(
        "UCI tells its events as a text", answers=[uci("getProvidedEvents", value("ucp.v22.events.call"))]
    ),
    AwkwardCase(
        "UCI answers with a call",
        answers=[uci("login", "<methodCall><methodName>x</methodName><params/></methodCall>")],
        fails="uci",
        code=UNCLEAR,
        doctor="uci-login",
    ),
    AwkwardCase(
        "a fault that is a text",
        answers=[uci("login", "<methodResponse><fault><value>no</value></fault></methodResponse>")],
        fails="uci",
        code=UNCLEAR,
        doctor="uci-login",
    ),
    AwkwardCase("a fault without words", answers=[uci("login", FAULT)], **UCI_REFUSES),
    AwkwardCase(
        "a list of requests that is longer than any book",
        answers=[long_list("getProvidedRequests")],
    ),
    AwkwardCase(
        "a list of events that is longer than any book",
        answers=[long_list("getProvidedEvents")],
        fails="uci",
        code=UNCLEAR,
        doctor="uci-login",
    ),
    *(
        AwkwardCase(f"UCI with {what}", answers=[uci("getProvidedEvents", before + value(OF_CALLS))])
        for what, before in (
            ("blanks before the declaration", '\n \n<?xml version="1.0"?>'),
            ("a byte order mark and blanks", '\ufeff\n<?xml version="1.0" encoding="UTF-8"?>'),
            ("an encoding that nobody knows", '<?xml version="1.0" encoding="x-starface"?>'),
            ("characters that XML does not have", "<!-- \x01 \x1f & -->"),
        )
    ),
    AwkwardCase(
        "ActiveDirectory with the base64 token",
        {"uci-ad-token": {"token": "base64"}},
        pbx={"loginType": "ActiveDirectory"},
    ),
    AwkwardCase(
        "ActiveDirectory with the sha512 token",
        {"uci-ad-token": {"token": "sha512"}},
        pbx={"loginType": "ActiveDirectory"},
    ),
)


@pytest.fixture
async def place(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ConnectorParts]:
    row: AwkwardCase = request.param
    if row.behaviours.keys() & {"slow", "hang"}:
        monkeypatch.setattr(limits, "PBX", replace(limits.PBX, whole=0.5))
    version = "10.0.1.6" if row.oauth else "6.7.3.20"
    settings = Settings(version=version, oauth=row.oauth)
    async with running_starface(settings) as port, aiohttp.ClientSession() as http:
        place = ConnectorParts(http, port, row.oauth)
        yield place
        await place.rest.close()


@pytest.mark.parametrize(
    ("place", "row"), [(row, row) for row in ROWS], ids=[row.what for row in ROWS], indirect=["place"]
)
async def test_an_awkward_pbx(place: ConnectorParts, row: AwkwardCase) -> None:
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
        found = find_blocker(get_facts(place))
        assert found is not None and found.code is row.code
        assert_has_words(found)
    light = get_shown_lights(place)
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
        assert_has_words(Finding(Code(first.code), dict(first.evidence), first.variant))

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
    assert get_shown_lights(place)[Part.REST] is Light.GREEN


@pytest.mark.parametrize("place", [AwkwardCase("well")], indirect=True)
async def test_a_user_whom_the_list_lacks_is_gone_only_by_the_pbxs_own_word(place: ConnectorParts) -> None:
    await place.read()
    await place.control("PUT", "answers", [answer_rule("^/rest/users$", body=[{"id": 1, "login": "0001"}])])
    await place.directory._read()
    assert not any(portion.gone for portion in place.directory.unreported())
    await place.control("PUT", "answers", [])
    await place.control("DELETE", "users/1002")
    await place.directory._read()
    assert [portion.gone for portion in place.directory.unreported()] == [[BEN]]


@pytest.mark.parametrize("place", [AwkwardCase("well")], indirect=True)
@pytest.mark.parametrize("body", ["", None, {"code": "NOT_FOUND"}])
async def test_404_for_everything_says_of_nobody_that_they_are_gone(place: ConnectorParts, body: Any) -> None:
    await place.read()
    await place.control("PUT", "answers", [answer_rule("^/rest/users/", status=404, body=body)])
    with pytest.raises(PbxError):
        await place.rest.user(BEN)
    await place.control("PUT", "answers", [answer_rule(f"^/rest/users/{BEN}$", status=404, body=body)])
    assert await place.rest.user(BEN) is None, "the connector's own user is there"


@pytest.mark.parametrize("place", [AwkwardCase("well")], indirect=True)
async def test_an_answer_about_another_user_is_not_understood(place: ConnectorParts) -> None:
    await place.control(
        "PUT", "answers", [answer_rule(f"^/rest/users/{BEN}$", body={"id": 2, "login": "1001"})]
    )
    with pytest.raises(PbxError, match="another user"):
        await place.rest.user(BEN)


@pytest.mark.parametrize("place", [AwkwardCase("well")], indirect=True)
async def test_a_permission_that_is_taken_away_is_noticed_although_a_holder_is_odd(
    place: ConnectorParts,
) -> None:
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


@pytest.mark.parametrize("place", [AwkwardCase("well")], indirect=True)
async def test_a_list_of_holders_that_is_cut_takes_nothing_from_anybody(place: ConnectorParts) -> None:
    await place.read()
    administrators = [one.user_id for one in (place.directory._users or {}).values() if one.is_administrator]
    await place.control("PUT", "answers", [answer_rule("/permissions/[12]/users", body=[])])
    await place.read()
    users = place.directory._users or {}
    assert users[BEN].has_licence_permission and all(users[one].is_administrator for one in administrators)


@pytest.mark.parametrize("place", [AwkwardCase("well")], indirect=True)
async def test_what_cannot_be_read_of_a_persons_permissions_is_not_known(place: ConnectorParts) -> None:
    odd = [answer_rule("/permissions/users/3$", body=[{"id": 9}, {"id": 1, "permission": "Fax"}])]
    await place.control("PUT", "answers", odd)
    ben = await place.rest.user(BEN)
    assert ben is not None and ben.has_licence_permission is None and ben.is_administrator is None


@pytest.mark.parametrize("place", [AwkwardCase("well")], indirect=True)
async def test_a_group_is_gone_by_the_pbxs_own_word(place: ConnectorParts) -> None:
    await place.read()
    assert place.directory.groups_of(2) == (1,)
    gone = [answer_rule("/groups$", body=[]), answer_rule("/groups/1$", status=404, body="")]
    await place.control("PUT", "answers", gone)
    await place.read()
    assert place.directory.groups_of(2) == ()


@pytest.mark.parametrize("place", [AwkwardCase("well")], indirect=True)
async def test_somebody_who_is_listed_twice_is_one_person(place: ConnectorParts) -> None:
    twice = [{"id": 1, "login": "0001"}, *[GOOD_USER | {"id": BEN, "login": "1002"}] * 2]
    await place.control("PUT", "answers", [answer_rule("^/rest/users$", body=twice)])
    assert [user.user_id for user in await place.rest.users_by_email("s@example.com")] == [BEN]


@pytest.mark.parametrize("place", [AwkwardCase("well")], indirect=True)
async def test_the_doctor_lists_permissions_that_look_alike(place: ConnectorParts) -> None:
    await place.control("PUT", "awkward", {"name": "permission-suffix", "on": {"suffix": " (alt)"}})
    await place.read()
    assert place.monitor.status.permission_candidates == (f"{LICENCE_PERMISSION} (alt)",)
    steps = {step.step: step for step in await place.examined()}
    assert steps["pbx-permission"].outcome is StepOutcome.WARNING


@pytest.mark.parametrize("place", [AwkwardCase("well")], indirect=True)
async def test_a_refused_login_is_tried_three_times_by_all_parts_together(place: ConnectorParts) -> None:
    await place.control("PATCH", "users/0001", {"password": "another"})
    for _turn in range(10):
        place.rest.own_login.forget()
        await place.read()
    reading = place.readings.of(ReadingPart.LOGIN)
    assert reading is not None and reading.code in (Code.PBX_LOGIN_FAILED, Code.LOGIN_PAUSED)
    await place.control("PUT", "awkward", {"name": "blacklist", "on": {"failures": 4}})
    assert place.rest.guard.refused_recently


@pytest.mark.parametrize("place", [AwkwardCase("well")], indirect=True)
async def test_silence_after_a_refusal_is_called_the_blacklist(
    place: ConnectorParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PBX", replace(limits.PBX, whole=0.5))
    await place.control("PUT", "awkward", {"name": "blacklist", "on": {"failures": 1}})
    await place.control("PATCH", "users/0001", {"password": "another"})
    await place.monitor.check()
    place.rest.guard.allow_one()
    await place.monitor.check()
    reading = place.readings.of(ReadingPart.LOGIN)
    assert reading is not None and reading.code == Code.PBX_ADDRESS_BLOCKED
