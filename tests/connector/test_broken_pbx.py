"""Generated faults of a running PBX: for every kind of answer the connector survives, reports the fault, and
recovers.
"""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Final

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connector.errors import PbxError
from connector.network import limits
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.diagnosis.rules import find_blocker
from tests.support.awkward_pbx import (
    BEN,
    ConnectorParts,
    answer_rule,
    assert_has_words,
    get_facts,
    get_shown_lights,
)
from tests.support.hostile import ODD_VALUES
from tests.support.starface import running_starface
from wire.doctor import StepOutcome
from wire.link import RestState, UciState
from wire.readings import ReadingState

PATHS: Final = (
    "^/rest/login$",
    "^/rest/users$",
    "^/rest/users/me$",
    "^/rest/users/[0-9]+$",
    "^/rest/permissions$",
    "^/rest/permissions/[0-9]+/users$",
    "^/rest/groups",
    "^/rest/server/version$",
    "^/xml-rpc$",
    "^/",
)
LIMIT_SECONDS: Final = 0.4
"""In place of the connector's own limit for a whole answer: what hangs is waited for in every example."""

RIGHT: Final = {
    "login": {"loginType": "Internal", "nonce": "n" * 64, "secret": None},
    "user": {"id": 3, "login": "1002", "firstName": "Ben", "familyName": "Krüger", "email": "b@example.com"},
    "users": [{"id": 3, "login": "1002", "firstName": "Ben", "familyName": "Krüger", "email": ""}],
    "permissions": [{"id": 7, "permission": "Integration mit Microsoft Teams"}],
    "ids": [7, 8],
    "groups": [{"id": 1, "groupname": "Sales", "assignableUsers": [{"id": 3, "assigned": True}]}],
    "version": {"version": "6.7.3.20"},
}
"""Answers as the vendor's description has them; any of them may come from any address."""

JSON_ODD: Final = st.sampled_from(
    [odd for odd in ODD_VALUES if isinstance(odd, str | int | bool | list | dict | None)]
)


@st.composite
def broken(draw: st.DrawFn) -> Any:
    """A right answer with up to three members or elements exchanged, missing or too many."""
    value = json.loads(json.dumps(draw(st.sampled_from(sorted(RIGHT.values(), key=repr)))))
    for _ in range(draw(st.integers(0, 3))):
        at = value
        if isinstance(at, list) and at and draw(st.booleans()):
            at = draw(st.sampled_from(at))
        if isinstance(at, dict) and at:
            name = draw(st.sampled_from(sorted(at)))
            if draw(st.booleans()):
                at[name] = draw(JSON_ODD)
            else:
                del at[name]
        elif isinstance(at, list):
            at.append(draw(JSON_ODD))
    return value


def encoded(content: bytes, **more: Any) -> dict[str, Any]:
    return {"bodyBase64": base64.b64encode(content).decode(), **more}


HTML: Final = "<html><body>Anmeldung für Ä</body></html>"
UNREADABLE: Final = st.one_of(
    st.sampled_from(["utf-8", "iso-8859-1", "utf-16"]).map(
        lambda charset: encoded(
            HTML.encode(charset), headers={"Content-Type": f"text/html; charset={charset}"}
        )
    ),
    st.sampled_from([400, 401, 403, 405, 423, 429, 500, 502, 503]).map(
        lambda status: {"status": status, "body": "sorry"}
    ),
    st.sampled_from(["/login", "https://other.example/", "", "//", "http://127.0.0.1:9/"]).map(
        lambda to: {"status": 302, "body": "", "headers": {"Location": to}}
    ),
    st.sampled_from([b"", b"\x00" * 100, b"\xff\xfe\xfd", b"[" * 5000, b'{"a":', b"null,", b"NaN" * 10]).map(
        encoded
    ),
    st.just({"body": [{"id": 1}] * 50, "cut": True}),
    st.just({"hang": True}),
    st.just({"body": "[]", "seconds": 2 * LIMIT_SECONDS}),
)
"""Nobody can learn anything from these: not that somebody is gone, or has lost a licence."""
READABLE: Final = broken().map(lambda value: {"body": json.dumps(value).encode("utf-8", "replace").decode()})


@contextlib.asynccontextmanager
async def beside_a_pbx() -> AsyncIterator[ConnectorParts]:
    async with running_starface() as port, aiohttp.ClientSession() as http:
        place = ConnectorParts(http, port, oauth=False)
        yield place
        await place.rest.close()


async def lives_and_heals(rules: list[dict[str, Any]], *, is_unreadable: bool) -> None:
    async with beside_a_pbx() as place:
        await place.read()
        known = dict(place.directory._users or {})
        assert place.failing() == {} and known[BEN].has_licence_permission

        await place.control("PUT", "answers", rules)
        await place.read()  # raises nothing
        users = place.directory._users or {}
        if is_unreadable:
            assert users[BEN].has_licence_permission and users.keys() >= known.keys()
            assert not any(portion.gone for portion in place.directory.unreported())
        # The truth, in words: what is green was read, and what failed has a code with a title and a cure.
        for reading in place.readings.all:
            if reading.state is ReadingState.FAILED:
                assert reading.code is not None
                assert_has_words(Finding(Code(reading.code), {"pbx_name": "pbx.example.com"}))
        found = find_blocker(get_facts(place))
        if found is not None:
            assert_has_words(found)
        get_shown_lights(place)
        for step in await place.examined():
            if step.outcome in (StepOutcome.FAILED, StepOutcome.WARNING):
                assert_has_words(Finding(Code(step.code or ""), dict(step.evidence), step.variant))
        # A person's own questions end in an answer or a refusal, too.
        with contextlib.suppress(PbxError):
            await place.rest.user(BEN)

        await place.control("PUT", "answers", [])
        place.rest.guard.allow_one()
        await place.read()
        assert place.failing() == {}
        assert (place.directory._users or {})[BEN].has_licence_permission
        assert place.monitor.status.rest is RestState.OK and place.uci.state is UciState.ON


def rules_of(answers: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    one = st.tuples(st.sampled_from(PATHS), answers).map(lambda pair: answer_rule(pair[0], **pair[1]))
    return st.lists(one, min_size=1, max_size=2)


FEW: Final = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@given(rules=rules_of(UNREADABLE))
@FEW
def test_what_cannot_be_read_takes_nothing_from_anybody(
    monkeypatch: pytest.MonkeyPatch, rules: list[dict[str, Any]]
) -> None:
    monkeypatch.setattr(limits, "PBX", replace(limits.PBX, whole=LIMIT_SECONDS))
    asyncio.run(lives_and_heals(rules, is_unreadable=True))


@given(rules=rules_of(READABLE))
@FEW
def test_broken_records_end_nothing(monkeypatch: pytest.MonkeyPatch, rules: list[dict[str, Any]]) -> None:
    monkeypatch.setattr(limits, "PBX", replace(limits.PBX, whole=LIMIT_SECONDS))
    asyncio.run(lives_and_heals(rules, is_unreadable=False))
