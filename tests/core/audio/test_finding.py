"""From observations to a verdict: a table, and what every verdict must be able to say about itself."""

from datetime import UTC, datetime, timedelta

import pytest

from core.audio import wording
from core.audio.advice import advise
from core.audio.device import AudioDevice, Kind
from core.audio.evidence import DeviceUse, Observation, Program, Source, SuspiciousCall
from core.audio.finding import AudioVerdict, Missing, Why, conclude
from core.language import Language

NOW = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
HEADSET, LAPTOP, DONGLE = "Headset ({}Jabra Evolve2 65)", "{}Speakers (Realtek(R) Audio)", "{}Jabra Link 380"
T, S = Program.TEAMS, Program.SOFTPHONE
IN, OUT = Kind.INPUT, Kind.OUTPUT


def use(
    program: Program,
    kind: Kind,
    label: str,
    source: Source = Source.PROBE,
    *,
    days: float = 0,
    active: bool = False,
    assumed: bool = False,
) -> DeviceUse:
    device = AudioDevice(label.format(""), kind)
    return DeviceUse(source, program, kind, device, NOW - timedelta(days=days), active, assumed)


def both(program: Program, label: str, source: Source = Source.PROBE, **more: float) -> list[DeviceUse]:
    return [use(program, kind, label, source, **more) for kind in (IN, OUT)]


def call(days: float = 0.1) -> SuspiciousCall:
    return SuspiciousCall(NOW - timedelta(days=days))


DECLARED, RECORDS = Source.DECLARED, Source.CALL_RECORDS
OTHER = "Headset (Plantronics Blackwire 3220)"

CASES: list[tuple[str, list[Observation], AudioVerdict, Why]] = [
    ("nothing is known", [], AudioVerdict.UNKNOWN, Why.MISSING),
    ("the probe sees one headset", [*both(T, HEADSET), *both(S, HEADSET)], AudioVerdict.CONFLICT, Why.SHARED),
    (
        "only the speaker is shared",
        [use(T, OUT, HEADSET), use(S, OUT, HEADSET)],
        AudioVerdict.CONFLICT,
        Why.SHARED,
    ),
    (
        "Teams listens to what the softphone speaks through",
        [use(T, IN, HEADSET), use(S, OUT, HEADSET)],
        AudioVerdict.CONFLICT,
        Why.SHARED,
    ),
    (
        "as declared",
        [*both(T, HEADSET, DECLARED), *both(S, HEADSET, DECLARED)],
        AudioVerdict.CONFLICT,
        Why.SHARED,
    ),
    (
        "calls of Teams and a declaration",
        [*both(T, HEADSET, RECORDS, days=3), *both(S, HEADSET, DECLARED, days=30)],
        AudioVerdict.CONFLICT,
        Why.SHARED,
    ),
    (
        "what the probe saw is old",
        [*both(T, HEADSET, days=4), *both(S, HEADSET, days=4)],
        AudioVerdict.LIKELY,
        Why.SHARED_ONCE,
    ),
    (
        "Teams runs and was never seen with sound",
        [use(T, OUT, HEADSET, assumed=True), *both(S, HEADSET)],
        AudioVerdict.LIKELY,
        Why.SHARED_BY_DEFAULT,
    ),
    (
        "what was seen comes before what is assumed",
        [use(T, OUT, HEADSET, assumed=True), *both(T, OTHER, days=0.5), *both(S, HEADSET)],
        AudioVerdict.CLEAR,
        Why.ALL_DIFFERENT,
    ),
    ("two headsets", [*both(T, HEADSET), *both(S, OTHER)], AudioVerdict.CLEAR, Why.ALL_DIFFERENT),
    (
        "two headsets, as declared",
        [*both(T, HEADSET, DECLARED), *both(S, OTHER, DECLARED)],
        AudioVerdict.CLEAR,
        Why.ALL_DIFFERENT,
    ),
    (
        "one microphone is not known",
        [use(T, OUT, HEADSET), *both(S, OTHER)],
        AudioVerdict.UNKNOWN,
        Why.MISSING,
    ),
    (
        "all different, but long ago",
        [*both(T, HEADSET, days=9), *both(S, OTHER)],
        AudioVerdict.UNKNOWN,
        Why.MISSING,
    ),
    (
        "the adapter may carry that headset",
        [*both(T, DONGLE), *both(S, HEADSET)],
        AudioVerdict.UNKNOWN,
        Why.NOT_TOLD_APART,
    ),
    (
        "the adapter may carry that headset, and a call ended at once",
        [*both(T, DONGLE), *both(S, HEADSET), call()],
        AudioVerdict.LIKELY,
        Why.CALLS_END_UNCLEAR,
    ),
    ("one call ended at once", [call()], AudioVerdict.UNKNOWN, Why.MISSING),
    ("two calls ended at once", [call(), call(2)], AudioVerdict.LIKELY, Why.CALLS_END),
    ("two calls ended at once, one long ago", [call(), call(9)], AudioVerdict.UNKNOWN, Why.MISSING),
    (
        "calls end at once although all is different",
        [*both(T, HEADSET, days=0.5), *both(S, OTHER, days=0.5), call(), call(0.2)],
        AudioVerdict.LIKELY,
        Why.CALLS_END_STILL,
    ),
    (
        "calls ended at once before the devices were changed",
        [*both(T, HEADSET), *both(S, OTHER), call(1), call(2)],
        AudioVerdict.CLEAR,
        Why.ALL_DIFFERENT,
    ),
    (
        "what is seen now comes before what was declared since",
        [
            *[use(T, kind, HEADSET, days=0.01, active=True) for kind in (IN, OUT)],
            *both(T, OTHER, DECLARED),
            *both(S, HEADSET),
        ],
        AudioVerdict.CONFLICT,
        Why.SHARED,
    ),
    (
        "a new declaration comes before what was seen yesterday",
        [*both(T, HEADSET, days=0.9), *both(T, OTHER, DECLARED), *both(S, HEADSET)],
        AudioVerdict.CLEAR,
        Why.ALL_DIFFERENT,
    ),
    (
        "a program that rings on one device and talks on another uses both",
        [
            use(S, OUT, OTHER, active=True),
            use(S, OUT, HEADSET, active=True),
            use(S, IN, OTHER, active=True),
            *both(T, HEADSET),
        ],
        AudioVerdict.CONFLICT,
        Why.SHARED,
    ),
    (
        "what nobody keeps any more",
        [*both(T, HEADSET, days=40), *both(S, HEADSET)],
        AudioVerdict.UNKNOWN,
        Why.MISSING,
    ),
]


@pytest.mark.parametrize(
    ("observations", "verdict", "why"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_a_verdict(observations: list[Observation], verdict: AudioVerdict, why: Why) -> None:
    found = conclude(observations, NOW)
    assert (found.verdict, found.why) == (verdict, why)
    # It does not depend on the order in which the observations come.
    assert conclude(list(reversed(observations)), NOW).verdict is verdict


@pytest.mark.parametrize("observations", [case[1] for case in CASES], ids=[c[0] for c in CASES])
def test_a_verdict_can_explain_itself_in_both_languages(observations: list[Observation]) -> None:
    found = conclude(observations, NOW)
    told = wording.summarise(found, advise(found, [AudioDevice(OTHER, kind) for kind in (IN, OUT)]))
    for language in Language:
        words = [
            wording.title(told, language),
            wording.detail(told, language),
            *(wording.missing(what, language) for what in found.missing),
            *(wording.step(change, language) for change in told.changes),
        ]
        assert all(words)
        assert not any("…" in word.replace("(…)", "") or "{" in word for word in words), words
    assert wording.Summary.of_json(told.as_json()) == told
    if found.verdict in (AudioVerdict.CONFLICT, AudioVerdict.LIKELY):
        assert found.evidence


def test_what_would_make_it_certain() -> None:
    found = conclude([use(T, OUT, HEADSET, DECLARED), use(S, OUT, OTHER, DECLARED)], NOW)
    assert found.missing == (Missing.TEAMS_INPUT, Missing.SOFTPHONE_INPUT, Missing.PROBE)
    old = conclude([*both(T, HEADSET, days=4), *both(S, HEADSET, days=4)], NOW)
    assert old.missing == (Missing.FRESH_LOOK,)
    assert Missing.TELL_APART in conclude([*both(T, DONGLE), *both(S, HEADSET)], NOW).missing
