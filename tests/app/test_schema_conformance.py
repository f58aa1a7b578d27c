"""The whole tab API from its own document, by schemathesis: as a user and as an administrator, at the running service.

Whatever is asked, nothing is a 5xx and every answer is as the document says; and somebody else's work stays as it is.
`watch` never ends and takes no input, so it is not asked here. The same inputs in every run (derandomized).
"""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from requests.adapters import HTTPAdapter
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi_checks

from core.identity.token_user import GLOBAL_ADMINISTRATOR
from simulator.people import Person
from tab.openapi import document
from tests.support.tab_client import TabClient
from tests.support.tokens import good
from tests.support.world import ANNA, BEN, CLARA, World

EXAMPLES: Final = 30
"""Examples for each operation and user, in addition to those at the limits of its schema."""
ADDRESS: Final = "127.0.0.77"
"""Wrong names and keys are counted for it, and keep nobody of the other tests waiting."""
SECONDS: Final = 30.0

API: Final = schemathesis.openapi.from_dict(document()).exclude(operation_id="watch")
CHECKS: Final = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.negative_data_rejection,
    openapi_checks.unsupported_method,
]


class FromOneAddress(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        super().init_poolmanager(*arguments, source_address=(ADDRESS, 0), **more)


@dataclass
class Caller:
    """An account of its own that knows a PBX user's password."""

    client: TabClient
    url: str
    headers: dict[str, str]
    http: requests.Session
    statuses: set[int]


@pytest.fixture(scope="module")
async def bystander(the_world: World) -> AsyncIterator[None]:
    """Ben works meanwhile; at the end all that is his is as it was."""
    await the_world.forget_throttles()  # wrong keys of earlier tests count for the organisation
    await the_world.reset()
    ben = the_world.client(BEN)
    assert (await ben.sign_in(the_world.pbx_name, the_world.key)).status == 200
    devices = {"devices": [{"kind": "output", "label": "Jabra"}]}
    assert (await ben.call("PUT", "audio/devices", devices)).status == 200

    async def seen() -> list[Any]:
        state = await ben.state()
        parts = [state[part] for part in ("signedIn", "person", "licence")]
        return [*parts, *[(await ben.call("GET", path)).body for path in ("notices", "audio")]]

    before = await seen()
    assert before[0] is True
    yield
    assert await seen() == before
    assert not [entry for entry in the_world.log_entries() if entry.get("message") == "unexpected error"]
    await ben.call("DELETE", "audio")
    await the_world.reset()


@pytest.fixture(scope="module", params=[ANNA, CLARA], ids=["user", "administrator"])
async def account(request: pytest.FixtureRequest, the_world: World, bystander: None) -> AsyncIterator[Caller]:
    person: Person = replace(request.param, object_id=str(uuid.uuid4()))
    claims = {**good(the_world), "oid": person.object_id, "acct": 0, "wids": [GLOBAL_ADMINISTRATOR]}
    token = await the_world.sign(claims | {"exp": claims["iat"] + 3600})
    client = the_world.client(person)

    async def given(_seconds: int = 3600) -> str:
        return token

    client.token = given  # type: ignore[method-assign]
    with requests.Session() as http:
        http.mount("http://", FromOneAddress())
        caller = Caller(client, the_world.demo.service_url, {"Authorization": f"Bearer {token}"}, http, set())
        yield caller
    await client.call("PUT", "trust", {"trusted": False})
    await client.call("DELETE", "audio")
    await client.sign_out()
    assert {200, 400} <= caller.statuses


@pytest.fixture
async def caller(account: Caller, the_world: World) -> Caller:
    """A signed-in user whose telephone is on, regardless of what earlier operations did."""
    if not (await account.client.state())["signedIn"]:
        answer = await account.client.sign_in(the_world.pbx_name, the_world.key)
        if (
            answer.code == "throttled"
        ):  # the keys that earlier operations made up count as guesses of this account
            await the_world.forget_throttles()
            answer = await account.client.sign_in(the_world.pbx_name, the_world.key)
        assert answer.status == 200, answer.body
    if not (await account.client.call("GET", "phone")).body["isOn"]:
        answer = await account.client.switch_phone_on(the_world.pbx_name, the_world.key)
        assert answer.status == 200, answer.body
    return account


@API.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_the_document_says(case: schemathesis.Case, caller: Caller) -> None:
    answer = case.call(base_url=caller.url, session=caller.http, headers=caller.headers, timeout=SECONDS)
    caller.statuses.add(answer.status_code)
    case.validate_response(answer, checks=CHECKS)
