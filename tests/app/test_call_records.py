"""Teams' call records as evidence, with the whole service and a simulated Graph that checks tokens."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.world import ANNA, World, eventually

RECORD = json.loads((Path(__file__).parents[1] / "core" / "audio" / "call_record.json").read_text())


def record(days: float, name: str = "Jabra Evolve2 65") -> dict[str, Any]:
    """The recorded answer, as of a call some days ago."""
    at = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = json.dumps(RECORD).replace("Jabra Evolve2 65", name)
    made = json.loads(text) | {"id": f"record {days}", "startDateTime": at, "endDateTime": at}
    made["sessions"][0]["segments"][0]["endDateTime"] = at
    return made


async def graph(world: World, *records: dict[str, Any], **more: Any) -> None:
    async with world.http.post(
        f"{world.entra_url}/control/call-records", json={"records": list(records), **more}
    ) as answer:
        assert answer.status == 200


@pytest.fixture
async def anna(world: World):
    # Tokens and their permissions are cached by the service for an hour.
    await graph(world)
    client = world.client(ANNA)
    await client.sign_in(world.pbx_name, world.key)
    await client.call("DELETE", "audio")
    yield client
    await client.call("DELETE", "audio")
    await graph(world)


async def test_the_devices_of_the_last_call_become_evidence(world: World, anna) -> None:
    await graph(world, record(3, "Old Headset 1"), record(1), record(20, "Very Old"))
    found = await anna.call("PUT", "audio/records", {"wanted": True})
    assert found.status == 200, found.body
    assert found.body["records"]
    assert {(use["program"], use["kind"], use["name"], use["source"]) for use in found.body["uses"]} == {
        ("teams", kind, "Jabra Evolve2 65", "call-records") for kind in ("input", "output")
    }
    softphone = {"kind": "output", "label": "Headset (2- Jabra Evolve2 65 Hands-Free AG Audio)"}
    declared = await anna.call(
        "PUT", "audio/declared", {"uses": [{"program": "softphone", "device": softphone}]}
    )
    # The number distinguishes two units, or one unit that was plugged in elsewhere.
    assert declared.body["finding"]["why"] == "not-told-apart"
    softphone["label"] = "Headset (Jabra Evolve2 65 Hands-Free AG Audio)"
    declared = await anna.call(
        "PUT", "audio/declared", {"uses": [{"program": "softphone", "device": softphone}]}
    )
    assert declared.body["finding"]["verdict"] == "conflict"


async def test_who_takes_it_back_has_nothing_left_of_it(world: World, anna) -> None:
    await graph(world, record(1))
    await anna.call("PUT", "audio/records", {"wanted": True})
    left = (await anna.call("PUT", "audio/records", {"wanted": False})).body
    assert (left["records"], left["uses"], left["stored"]["uses"]) == (False, [], [])


async def test_nobody_is_asked_about_who_did_not_say_yes(world: World, anna) -> None:
    await graph(world, record(1))
    assert (await anna.call("GET", "audio")).body["uses"] == []
    assert not (await anna.call("GET", "audio")).body["records"]


async def test_graph_that_is_overloaded_is_asked_later(world: World, anna) -> None:
    await graph(world, record(1), retryAfter=1)
    refused = await anna.call("PUT", "audio/records", {"wanted": True})
    assert (refused.status, refused.code) == (503, "call-records-unavailable")
    assert not (await anna.call("GET", "audio")).body["records"]
    await graph(world, record(1))

    async def works() -> bool:
        return (await anna.call("PUT", "audio/records", {"wanted": True})).status == 200

    await eventually(works, "it works after the time that Graph asked for")


async def test_a_tenant_that_has_not_consented_is_informed_what_to_do(world: World, anna) -> None:
    await graph(world, record(1), consented=False)
    await world.forget_throttles()  # a new token, without the permission
    refused = await anna.call("PUT", "audio/records", {"wanted": True})
    assert (refused.status, refused.code) == (409, "call-records-not-allowed")
    assert "CallRecords.Read.All" in refused.body["cure"]
    await graph(world)
    await world.forget_throttles()
