"""Throttles of signing in, from outside: what a stranger's attempts cost others, and how many are judged."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from connector.guard import PER_PERSON
from simulator.starface.model import OAUTH_PERMISSION
from tests.support.tab_client import Answer
from tests.support.tokens import good
from tests.support.world import ANNA, BEN, CLARA, World
from wire.pbxkey import digest, grouped, new_key, parse_key


@pytest.fixture
async def fresh(world: World) -> AsyncIterator[World]:
    """A service that has counted nothing yet, and leaves no counts behind."""
    await forget_all(world)
    yield world
    await forget_all(world)


async def forget_all(world: World) -> None:
    """The connector counts refused logins of its own."""
    await world.demo.stop_part("connector")
    await world.demo.start_connector()
    await world.forget_throttles()


class Stranger:
    """One account that is nobody at the PBX."""

    def __init__(self, world: World, token: str) -> None:
        self._world = world
        self._token = token

    @classmethod
    async def of(cls, world: World, **claims: Any) -> "Stranger":
        claims = {**good(world), "oid": str(uuid.uuid4()), "email": None, **claims}
        kept = {name: value for name, value in claims.items() if value is not None}
        return cls(world, await world.sign(kept))

    async def call(self, path: str, body: Any, **headers: str) -> tuple[int, dict[str, Any], str | None]:
        url = f"{self._world.demo.service_url}/api/v1/{path}"
        headers = {"Authorization": f"Bearer {self._token}", "Accept-Language": "en"} | headers
        async with self._world.http.post(url, json=body, headers=headers) as answer:
            return answer.status, await answer.json(), answer.headers.get("Retry-After")

    async def try_key(self, **headers: str) -> str:
        body = {"pbxName": self._world.pbx_name, "keyDigest": digest(parse_key(grouped(new_key())))}
        _, told, _ = await self.call("sign-in/challenge", body, **headers)
        return str(told["code"])


async def test_many_wrong_keys_at_once_by_one_account_keep_nobody_else_out(fresh: World) -> None:
    stranger = await Stranger.of(fresh)
    codes = Counter(await asyncio.gather(*(stranger.try_key() for _ in range(180))))
    assert codes == {"wrong-key": 10, "throttled": 170}
    assert (await fresh.client(ANNA).sign_in(fresh.pbx_name, fresh.key)).status == 200


async def test_many_accounts_with_wrong_keys_keep_nobody_out_who_has_the_right_one(fresh: World) -> None:
    strangers = [await Stranger.of(fresh) for _ in range(12)]
    codes = Counter(await asyncio.gather(*(stranger.try_key() for stranger in strangers for _ in range(10))))
    assert codes == {"wrong-key": 60, "throttled": 60}, "as many as one address may"
    assert (await fresh.client(ANNA).sign_in(fresh.pbx_name, fresh.key)).status == 200
    assert (await fresh.client(BEN).prepare(fresh.pbx_name, fresh.key)).status == 200


async def guesses(world: World, person: Any, number: int) -> Counter[str | None]:
    """Passwords of one login, tried at the same moment by one account."""
    client = world.client(person)
    answers: list[Answer] = await asyncio.gather(
        *(
            client.sign_in(world.pbx_name, world.key, login=ANNA.login, password=f"guess-{turn}")
            for turn in range(number)
        )
    )
    return Counter(answer.code for answer in answers)


async def test_passwords_tried_at_once_are_judged_no_more_often_than_the_limit(fresh: World) -> None:
    codes = await guesses(fresh, BEN, 41)
    assert 0 < codes["login-rejected"] <= PER_PERSON, "as many as the connector lets one identity try"
    assert set(codes) <= {"login-rejected", "login-paused", "throttled"}
    # Not even the right one, for the rest of the minute.
    refused = await fresh.client(BEN).sign_in(
        fresh.pbx_name, fresh.key, login=ANNA.login, password=ANNA.password
    )
    assert refused.code in ("throttled", "login-paused")


async def test_whose_password_is_guessed_by_strangers_still_signs_in(fresh: World) -> None:
    anna = fresh.client(ANNA)
    assert (await anna.sign_in(fresh.pbx_name, fresh.key)).status == 200
    await anna.sign_out()
    strangers = [replace(ANNA, object_id=str(uuid.uuid4())) for _ in range(5)]
    for stranger in strangers:
        token = await fresh.sign({**good(fresh), "oid": stranger.object_id})
        client = fresh.client(stranger)
        client.token = lambda _seconds=3600, token=token: _given(token)  # type: ignore[method-assign]
        for _ in range(9):
            answer = await client.sign_in(fresh.pbx_name, fresh.key, login=ANNA.login, password="guess")
            assert answer.code in ("login-rejected", "login-paused", "throttled")
    assert (await anna.sign_in(fresh.pbx_name, fresh.key)).status == 200


async def _given(token: str) -> str:
    return token


async def test_a_throttled_person_is_informed_how_long(fresh: World) -> None:
    stranger = await Stranger.of(fresh)
    await asyncio.gather(*(stranger.try_key() for _ in range(10)))
    body = {"pbxName": fresh.pbx_name, "keyDigest": digest(parse_key(grouped(new_key())))}
    status, told, retry_after = await stranger.call("sign-in/challenge", body)
    assert status == 429 and told["code"] == "throttled"
    assert retry_after is not None and 40 < int(retry_after) <= 60
    assert f"Wait {retry_after} seconds" in told["cure"]
    _, told, retry_after = await stranger.call("sign-in/challenge", body, **{"Accept-Language": "de"})
    assert f"Warten Sie {retry_after} Sekunden" in told["cure"]


async def pbx_calls(world: World) -> float:
    headers = {"Authorization": f"Bearer {world.demo.metrics_token()}"}
    async with world.http.get(f"{world.demo.service_url}/metrics", headers=headers) as answer:
        lines = (await answer.text()).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("pbx_teams_pbx_calls_total{"))


async def test_an_address_that_nobody_has_is_not_looked_for_again_and_again(fresh: World) -> None:
    clara = fresh.client(CLARA)
    assert (await clara.sign_in(fresh.pbx_name, fresh.key)).status == 200
    assert (await clara.call("PUT", "trust", {"trusted": True, "entry": "one-click"})).status == 200
    nobody = await fresh.pbx("PATCH", f"users/{BEN.login}", {"email": "elsewhere@example.com"})
    assert nobody is not None
    before = await pbx_calls(fresh)
    body = {"pbxName": fresh.pbx_name, "takeOver": False, "byItself": False}
    answers = await asyncio.gather(
        *(fresh.client(BEN).call("POST", "sign-in/keyless", body) for _ in range(200))
    )
    codes = Counter(answer.code for answer in answers)
    assert set(codes) == {"email-not-matched", "throttled"} and codes["email-not-matched"] == 20
    # As many as are under way before the first one has ended; later ones are answered from memory.
    assert await pbx_calls(fresh) - before <= 25


async def test_refused_sign_ins_write_one_row_and_ask_the_pbx_a_few_times(fresh: World) -> None:
    for person in (ANNA, CLARA):  # both seats
        assert (await fresh.client(person).sign_in(fresh.pbx_name, fresh.key)).status == 200
    await fresh.pbx("PATCH", f"users/{BEN.login}", {"permissions": [OAUTH_PERMISSION]})
    before, rows = await pbx_calls(fresh), denials(fresh)
    answers = [await fresh.client(BEN).sign_in(fresh.pbx_name, fresh.key) for _ in range(100)]
    codes = Counter(answer.code for answer in answers)
    assert set(codes) == {"no-licence", "throttled"} and codes["no-licence"] <= 25, codes
    assert await pbx_calls(fresh) - before <= 3 * 25 + 10
    assert 1 <= denials(fresh) - rows <= 2, "one for each minute that this took"


def denials(world: World) -> int:
    with closing(world.database()) as database:
        (count,) = database.execute("SELECT COUNT(*) FROM audit WHERE kind = 'denied'").fetchone()
    return int(count)
