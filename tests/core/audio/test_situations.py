"""The text for a user in each situation, in both languages: the sentences are in `situations.toml`."""

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.audio import wording
from core.audio.advice import advise
from core.audio.comparison import Sameness
from core.audio.device import AudioDevice, Kind, Platform
from core.audio.evidence import KEPT_FOR, DeviceUse, Observation, Program, Source, SuspiciousCall
from core.audio.finding import SHARING, AudioVerdict, Why, conclude
from core.language import Language

NOW = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
JABRA, POLY, LINK = (
    "Headset (Jabra Evolve2 65)",
    "Headset (Plantronics Blackwire 3220)",
    "Headset (Jabra Link 380)",
)
SPEAKERS, ARRAY = "Speakers (Realtek(R) Audio)", "Microphone Array (Realtek(R) Audio)"
HEADPHONES, WEBCAM = "Headphones (Realtek(R) Audio)", "Microphone (Logitech BRIO)"
MONITOR, CABLE = "DELL U2720Q (NVIDIA High Definition Audio)", "CABLE Input (VB-Audio Virtual Cable)"
DEFAULT, USB = "Microsoft Sound Mapper - Output", "Speakers (USB Audio Device)"
CUT = "Headset (Jabra Evolve2 65 Hands"
T, S = Program.TEAMS, Program.SOFTPHONE
IN, OUT = Kind.INPUT, Kind.OUTPUT
DECLARED, RECORDS = Source.DECLARED, Source.CALL_RECORDS


def use(
    program: Program, kind: Kind, label: str, source: Source = Source.PROBE, *, days: float = 0, **more: bool
) -> DeviceUse:
    return DeviceUse(
        source, program, kind, AudioDevice(label, kind, Platform.WINDOWS), NOW - timedelta(days=days), **more
    )


def both(
    program: Program, label: str, source: Source = Source.PROBE, *, days: float = 0, **more: bool
) -> list[Observation]:
    return [use(program, kind, label, source, days=days, **more) for kind in (IN, OUT)]


def call(days: float = 0.1) -> SuspiciousCall:
    return SuspiciousCall(NOW - timedelta(days=days))


SITUATIONS: dict[str, list[Observation]] = {
    "nothing is known": [],
    "only Teams is known": both(T, JABRA),
    "only the softphone is known": both(S, JABRA),
    "only the speakers are known, and differ": [use(T, OUT, JABRA), use(S, OUT, POLY)],
    "only the microphones are known, and differ": [use(T, IN, JABRA), use(S, IN, WEBCAM)],
    "three of four are known": [*both(T, JABRA), use(S, OUT, POLY)],
    "one headset for both": [*both(T, JABRA), *both(S, JABRA)],
    "one headset for both, in a call of Teams": [*both(T, JABRA, active=True), *both(S, JABRA)],
    "one headset for both, both with sound": [*both(T, JABRA, active=True), *both(S, JABRA, active=True)],
    "only the speaker is shared": [*both(T, JABRA), use(S, OUT, JABRA), use(S, IN, WEBCAM)],
    "only the microphone is shared": [*both(T, JABRA), use(S, IN, JABRA), use(S, OUT, SPEAKERS)],
    "Teams listens to what the softphone speaks through": [use(T, IN, JABRA), use(S, OUT, JABRA)],
    "the softphone has the headset for itself": [
        *both(T, JABRA),
        *both(S, JABRA, exclusive=True, active=True),
    ],
    "one name is cut": [*both(T, JABRA), *both(S, CUT)],
    "one name in another language": [*both(T, JABRA), *both(S, "Kopfhörer (Jabra Evolve2 65)")],
    "one name with the role before it": [
        *both(T, JABRA),
        *both(S, "Kommunikation - Headset (Jabra Evolve2 65)"),
    ],
    "two headsets": [*both(T, JABRA), *both(S, POLY)],
    "two headsets of one model": [*both(T, JABRA), *both(S, "Headset (2- Jabra Evolve2 65)")],
    "a headset and the computer's own": [*both(T, JABRA), use(S, IN, ARRAY), use(S, OUT, SPEAKERS)],
    "a headset and a monitor": [*both(T, JABRA), use(S, OUT, MONITOR), use(S, IN, WEBCAM)],
    "a headset and a webcam": [*both(T, JABRA), use(S, IN, WEBCAM), use(S, OUT, SPEAKERS)],
    "two headsets, in a call of Teams": [*both(T, JABRA, active=True), *both(S, POLY)],
    "two sockets of one sound card": [
        use(T, OUT, SPEAKERS),
        use(T, IN, ARRAY),
        use(S, OUT, HEADPHONES),
        use(S, IN, WEBCAM),
    ],
    "the computer's own sound for both": [
        *(use(program, OUT, SPEAKERS) for program in (T, S)),
        *(use(program, IN, ARRAY) for program in (T, S)),
    ],
    "an adapter and a headset of one maker": [*both(T, LINK), *both(S, JABRA)],
    "an adapter and a headset of two makers": [*both(T, LINK), *both(S, POLY)],
    "one adapter for both": [*both(T, LINK), *both(S, LINK)],
    "the softphone uses whatever is the default": [*both(T, JABRA), use(S, OUT, DEFAULT), use(S, IN, WEBCAM)],
    "the softphone uses a virtual cable": [*both(T, JABRA), use(S, OUT, CABLE), use(S, IN, WEBCAM)],
    "a name that many devices have": [*both(T, "Jabra Evolve2 65"), use(S, OUT, USB), use(S, IN, WEBCAM)],
    "as declared, one headset": [*both(T, JABRA, DECLARED), *both(S, JABRA, DECLARED)],
    "as declared, two headsets": [*both(T, JABRA, DECLARED), *both(S, POLY, DECLARED)],
    "as declared long ago, two headsets": [*both(T, JABRA, DECLARED, days=120), *both(S, POLY, DECLARED)],
    "as declared long ago, one headset": [*both(T, JABRA, DECLARED, days=120), *both(S, JABRA, DECLARED)],
    "calls of Teams and a declaration, one headset": [
        *both(T, JABRA, RECORDS, days=3),
        *both(S, JABRA, DECLARED),
    ],
    "calls of Teams and a declaration, two headsets": [
        *both(T, JABRA, RECORDS, days=3),
        *both(S, POLY, DECLARED),
    ],
    "old calls of Teams, one headset": [*both(T, JABRA, RECORDS, days=20), *both(S, JABRA, DECLARED)],
    "seen days ago, one headset": [*both(T, JABRA, days=4), *both(S, JABRA, days=4)],
    "seen days ago, two headsets": [*both(T, JABRA, days=4), *both(S, POLY, days=4)],
    "seen so long ago that nobody keeps it": [*both(T, JABRA, days=40), *both(S, JABRA, days=40)],
    "Teams has no sound yet, and the default is the softphone's": [
        *both(T, JABRA, assumed=True),
        *both(S, JABRA),
    ],
    "Teams has no sound yet, and the default is another": [*both(T, POLY, assumed=True), *both(S, JABRA)],
    "neither has sound yet": [*both(T, JABRA, assumed=True), *both(S, JABRA, assumed=True)],
    "what was seen comes before what is assumed": [
        *both(T, JABRA, assumed=True),
        *both(T, POLY, days=0.5),
        *both(S, JABRA),
    ],
    "Teams has two devices open, one is the softphone's": [
        *both(T, POLY),
        use(T, OUT, JABRA),
        *both(S, JABRA),
    ],
    "Teams has two devices open, none is the softphone's": [
        *both(T, POLY),
        use(T, OUT, SPEAKERS),
        *both(S, JABRA),
    ],
    "Teams talks on one and keeps the softphone's open": [
        *both(T, POLY, active=True),
        use(T, OUT, JABRA),
        *both(S, JABRA),
    ],
    "Teams talks on the softphone's and keeps another open": [
        *both(T, JABRA, active=True),
        use(T, OUT, POLY),
        *both(S, JABRA),
    ],
    "the softphone rings on one and talks on the shared one": [
        use(S, OUT, SPEAKERS, active=True),
        use(S, OUT, JABRA, active=True),
        use(S, IN, JABRA, active=True),
        *both(T, JABRA),
    ],
    "the softphone has two devices open, one is Teams'": [*both(S, POLY), use(S, IN, JABRA), *both(T, JABRA)],
    "Teams has an adapter and another headset open": [*both(T, POLY), use(T, OUT, LINK), *both(S, JABRA)],
    "seen now comes before declared since": [
        *both(T, JABRA, days=0.01, active=True),
        *both(T, POLY, DECLARED),
        *both(S, JABRA),
    ],
    "a new declaration comes before what was seen yesterday": [
        *both(T, JABRA, days=0.9),
        *both(T, POLY, DECLARED),
        *both(S, JABRA),
    ],
    "one call ended at once": [call()],
    "two calls ended at once": [call(), call(2)],
    "two calls ended at once, one of them long ago": [call(), call(9)],
    "a call ended at once, and one headset": [*both(T, JABRA), *both(S, JABRA), call()],
    "a call ended at once, and an adapter": [*both(T, LINK), *both(S, JABRA), call()],
    "a call ended at once, and a virtual cable": [
        *both(T, JABRA),
        use(S, OUT, CABLE),
        use(S, IN, WEBCAM),
        call(),
    ],
    "a call ended at once, and two headsets": [*both(T, JABRA), *both(S, POLY), call()],
    "two calls ended at once, and two headsets": [
        *both(T, JABRA, days=0.5),
        *both(S, POLY, days=0.5),
        call(),
        call(0.2),
    ],
    "two calls ended at once before the devices were changed": [
        *both(T, JABRA),
        *both(S, POLY),
        call(1),
        call(2),
    ],
    "two calls ended at once, and only Teams is known": [*both(T, JABRA), call(), call(0.2)],
    "a clock was ahead": [*both(T, JABRA, days=-3), *both(T, POLY), *both(S, JABRA)],
}
SENTENCES = tomllib.loads((Path(__file__).parent / "situations.toml").read_text(encoding="utf-8"))
PRESENT = [AudioDevice(label, kind) for kind, label in ((IN, JABRA), (OUT, JABRA), (IN, POLY), (OUT, POLY))]


def told(observations: list[Observation], language: Language) -> str:
    found = conclude(observations, NOW)
    summary = wording.summarise(found, advise(found, PRESENT))
    return f"{wording.title(summary, language)}. {wording.detail(summary, language)}"


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_situation_and_what_is_said_of_it(name: str) -> None:
    observations = SITUATIONS[name]
    found = conclude(observations, NOW)
    assert found.verdict == SENTENCES[name]["verdict"]
    for language in Language:
        assert told(observations, language) == SENTENCES[name][language.value], name


def test_there_are_enough_situations_and_each_finding_is_among_them() -> None:
    assert len(SITUATIONS) >= 60
    assert set(SITUATIONS) == set(SENTENCES)
    assert {conclude(seen, NOW).why for seen in SITUATIONS.values()} == set(Why)


LABELS = [JABRA, POLY, LINK, SPEAKERS, HEADPHONES, CABLE, DEFAULT, USB, CUT]
uses = st.builds(
    DeviceUse,
    source=st.sampled_from([Source.PROBE, Source.CALL_RECORDS, Source.DECLARED]),
    program=st.sampled_from(Program),
    kind=st.sampled_from(Kind),
    device=st.builds(AudioDevice, st.sampled_from(LABELS)),
    at=st.sampled_from([0, 0.00001, 0.5, 2, 20, 100, -1]).map(lambda days: NOW - timedelta(days=days)),
    active=st.booleans(),
    assumed=st.booleans(),
    exclusive=st.booleans(),
)
observed = st.lists(
    st.one_of(uses, st.sampled_from([0.1, 1, 6, 20]).map(lambda days: SuspiciousCall(NOW - timedelta(days)))),
    max_size=10,
)
EXAMPLES = settings(max_examples=150, derandomize=True, deadline=None)


@EXAMPLES
@given(observed.flatmap(lambda seen: st.tuples(st.just(seen), st.permutations(seen))))
def test_the_conclusion_does_not_depend_on_the_order(
    lists: tuple[list[Observation], list[Observation]],
) -> None:
    """Nor does anything that is shown of it, nor how often an observation is given."""
    seen, other = lists
    assert conclude(seen, NOW) == conclude(other, NOW) == conclude([*seen, *other], NOW)


@EXAMPLES
@given(observed)
def test_a_conclusion_rests_on_what_it_names(seen: list[Observation]) -> None:
    found = conclude(seen, NOW)
    if found.why in SHARING:
        assert all(pair.comparison.verdict is Sameness.SAME for pair in found.pairs)
        assert found.pairs
    if found.verdict is AudioVerdict.CLEAR:
        assert len({(use.program, use.kind) for use in found.uses}) == 4
        assert not found.pairs
    if found.verdict is AudioVerdict.CONFLICT:
        assert all(not pair.teams.assumed and not pair.softphone.assumed for pair in found.pairs)


@EXAMPLES
@given(observed, st.sampled_from(LABELS))
def test_an_idle_use_never_outweighs_an_active_one_of_the_same_role(
    seen: list[Observation], label: str
) -> None:
    active = DeviceUse(Source.PROBE, T, OUT, AudioDevice(JABRA), NOW, active=True)
    idle = DeviceUse(Source.PROBE, T, OUT, AudioDevice(label), NOW)
    assert conclude([*seen, active, idle], NOW).verdict is conclude([*seen, active], NOW).verdict


@EXAMPLES
@given(observed)
def test_what_nobody_keeps_any_more_says_nothing(seen: list[Observation]) -> None:
    later = NOW + max(KEPT_FOR.values()) + timedelta(days=2)
    assert conclude(seen, later) == conclude([], later)
