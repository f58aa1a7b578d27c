"""Device names out of a recorded answer of Graph."""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from core.audio.call_records import CallRecord, newest, uses_of
from core.audio.device import Kind
from core.audio.evidence import Program, Source

RECORD = json.loads((Path(__file__).parent / "call_record.json").read_text())
ANNA, BEN = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def seen(object_id: str, change: Callable[[dict[str, Any]], None] | None = None) -> list[tuple[str, str]]:
    record = copy.deepcopy(RECORD)
    if change is not None:
        change(record["sessions"][0])
    uses = uses_of(CallRecord.model_validate(record), object_id)
    assert all((use.source, use.program) == (Source.CALL_RECORDS, Program.TEAMS) for use in uses)
    return [(use.kind.value, use.device.label) for use in uses]


def test_caller_and_callee_have_their_own_devices() -> None:
    assert seen(ANNA) == [
        ("input", "Headset Microphone (Jabra Evolve2 65)"),
        ("output", "Headset Earphone (Jabra Evolve2 65)"),
    ]
    assert seen(BEN) == [("input", "MacBook Pro Microphone"), ("output", "MacBook Pro Speakers")]
    assert seen(ANNA.upper()) == seen(ANNA)
    assert seen("33333333-3333-4333-8333-333333333333") == []


def test_the_time_is_that_of_the_call() -> None:
    (first, _) = uses_of(CallRecord.model_validate(RECORD), ANNA)
    assert first.at == datetime(2026, 11, 24, 9, 20, 46, 764001, UTC)


@pytest.mark.parametrize("platform", ["iOS", "android", "ipPhone", "roomSystem"])
def test_a_call_from_a_telephone_is_no_evidence_about_the_computer(platform: str) -> None:
    assert seen(ANNA, lambda session: session["caller"]["userAgent"].update(platform=platform)) == []


def test_stand_ins_for_a_device_are_no_device() -> None:
    def change(session: dict[str, Any]) -> None:
        device = session["segments"][0]["media"][0]["callerDevice"]
        device.update(captureDeviceName="Default input device", renderDeviceName="")

    assert seen(ANNA, change) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda session: session.update(segments=None),
        lambda session: session.update(caller=None),
        lambda session: session["caller"].update(identity=None, associatedIdentity=None),
        lambda session: session["segments"][0].update(media=None),
        lambda session: session["segments"][0]["media"][0].update(callerDevice=None),
    ],
)
def test_what_graph_leaves_out_is_missing_and_no_error(change: Callable[[dict[str, Any]], None]) -> None:
    assert seen(ANNA, change) == []


def test_of_several_calls_the_last_counts() -> None:
    older = copy.deepcopy(RECORD)
    segment = older["sessions"][0]["segments"][0]
    segment["endDateTime"] = "2026-11-20T09:00:00Z"
    segment["media"][0]["callerDevice"]["captureDeviceName"] = "Old"
    uses = [use for record in (older, RECORD) for use in uses_of(CallRecord.model_validate(record), ANNA)]
    assert {use.kind: use.device.label for use in newest(uses)} == {
        Kind.INPUT: "Headset Microphone (Jabra Evolve2 65)",
        Kind.OUTPUT: "Headset Earphone (Jabra Evolve2 65)",
    }
