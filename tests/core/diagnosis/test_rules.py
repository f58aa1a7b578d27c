"""Which licence a PBX user gets, and what keeps a PBX from being used: by table."""

from datetime import UTC, datetime, timedelta

import pytest

from core.diagnosis.codes import Code, LicenceReason
from core.diagnosis.finding import Finding, explain
from core.diagnosis.lights import Light, Part, get_lights
from core.diagnosis.rules import PbxFacts, find_blocker, find_second_installation, find_warning
from core.diagnosis.version import is_older
from core.language import Language
from core.licensing.rules import Pool, TakeSeat, UseUal, decide, exhausted_finding
from tests.support.connector_peer import HEALTHY
from wire.link import RestState, Status, UciState

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def pool(name: str = "a", *, seats: int = 2, used: int = 0, begins: int = -10, ends: int = 10) -> Pool:
    return Pool(name, f"serial-{name}", seats, used, NOW + begins * DAY, NOW + ends * DAY)


@pytest.mark.parametrize(
    ("version", "permission", "pools", "refused", "verdict"),
    [
        ("6.6.9.9", True, [pool()], [], "pbx-too-old"),
        ("6.6.9", False, [], [], "pbx-too-old"),
        ("6.7.0", True, [pool()], [], ("a",)),
        ("6.7.2.99", True, [pool()], [], ("a",)),
        ("6.7.2.99", True, [], [], "no-pool"),
        ("6.7.3", True, [pool()], [], "UAL"),
        ("6.7.3.20", True, [], [], "UAL"),
        ("10.0.1.6", True, [pool(used=2)], [], "UAL"),
        (None, True, [], [], "UAL"),
        (None, False, [pool()], [], ("a",)),
        ("7", False, [pool()], [], ("a",)),
        ("7", False, [pool("a", used=2), pool("b")], [], ("a", "b")),
        ("7", False, [pool(used=2)], [], ("a",)),
        ("7", False, [pool(used=2)], [], ("a",)),
        ("7", False, [pool(ends=0)], [], "key-expired"),
        ("7", False, [pool(ends=0)], [], "key-expired"),
        ("7", False, [pool(begins=1)], [], "key-not-yet-valid"),
        ("7", False, [pool("a", ends=-1), pool("b", begins=1)], [], "key-not-yet-valid"),
        ("7", False, [pool("a", ends=-1), pool("b")], [], ("b",)),
        ("7", False, [], [], "no-pool"),
        ("7", False, [], [LicenceReason.KEY_BOUND_ELSEWHERE], "key-bound-elsewhere"),
        ("7", False, [], [LicenceReason.KEY_INVALID], "key-invalid"),
        ("7", False, [pool()], [LicenceReason.KEY_INVALID], ("a",)),
    ],
)
def test_the_licence_table(version, permission, pools, refused, verdict) -> None:
    decided = decide(
        pbx_name="pbx.example.com",
        pbx_version=version,
        has_permission=permission,
        pools=pools,
        refused_keys=refused,
        user_id=1,
        now=NOW,
    )
    match decided:
        case UseUal():
            found = "UAL"
        case TakeSeat(choices):
            found = tuple(choice.pool_id for choice in choices)
        case Finding():
            found = decided.variant or decided.code
    assert found == verdict


def test_an_exhausted_pool_tells_used_and_total() -> None:
    refusal = exhausted_finding("p", used=5, total=5, reserved=0)
    assert "5 of 5" in explain(refusal, Language.EN).detail
    assert "5 von 5" in explain(refusal, Language.DE).detail
    assert (
        "3 more are reserved"
        in explain(exhausted_finding("p", used=2, total=5, reserved=3), Language.EN).detail
    )


def facts(*, linked: bool = True, status: Status | None = HEALTHY, **more) -> PbxFacts:
    return PbxFacts("pbx.example.com", linked=linked, status=status, **more)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (facts(), None),
        (facts(status=None), None),
        (facts(linked=False, ever_linked=False), Code.NEVER_CONNECTED),
        (facts(linked=False, down_since=NOW), Code.LINK_DOWN),
        (facts(linked=False, down_since=NOW, refused_claim_at=NOW + DAY), Code.LINK_DOWN),
        (facts(status=HEALTHY.model_copy(update={"module_active": False})), Code.MODULE_INACTIVE),
        (facts(status=HEALTHY.model_copy(update={"rest": RestState.UNREACHABLE})), Code.PBX_UNREACHABLE),
        (facts(status=HEALTHY.model_copy(update={"rest": RestState.LOGIN_FAILED})), Code.PBX_LOGIN_FAILED),
        (facts(status=HEALTHY.model_copy(update={"pbx_version": "6.6.1"})), Code.PBX_TOO_OLD),
        (facts(status=HEALTHY.model_copy(update={"uci": UciState.OFF})), None),
    ],
)
def test_what_blocks_a_pbx(given: PbxFacts, code: Code | None) -> None:
    found = find_blocker(given)
    assert (found.code if found else None) == code


def test_what_only_warns() -> None:
    off = find_warning(facts(status=HEALTHY.model_copy(update={"uci": UciState.OFF})))
    assert off is not None and off.code is Code.UCI_CONNECTOR_OFF
    assert find_warning(facts(linked=False)) is None
    assert find_warning(facts()) is None


def test_a_second_installation_is_news_for_a_day_and_for_administrators_alone() -> None:
    recent = facts(refused_claim_at=NOW - DAY / 2)
    assert find_warning(recent) is None and find_blocker(recent) is None
    second = find_second_installation(recent, NOW)
    assert second is not None and second.code is Code.NAME_BOUND_ELSEWHERE
    assert find_second_installation(facts(refused_claim_at=NOW - 2 * DAY), NOW) is None
    assert find_second_installation(facts(), NOW) is None


@pytest.mark.parametrize(
    ("version", "than", "older"),
    [
        ("6.7.0", "6.7.0", False),
        ("6.7", "6.7.0", False),
        ("6.7.0.22", "6.7.0", False),
        ("6.6.99", "6.7.0", True),
        ("10.0.1.6", "6.7.3", False),
        ("v6.7.3-beta", "6.7.3", False),
        ("STARFACE 6 Comfort 10.0.1.6", "6.7.0", False),
        ("STARFACE 6 Comfort 6.6.1.2", "6.7.0", True),
        ("7", "6.7.0", False),
        ("", "6.7.0", False),
        ("SNAPSHOT", "6.7.0", False),
        ("9" * 5000, "6.7.0", False),
    ],
)
def test_versions_compare_number_by_number(version: str, than: str, older: bool) -> None:
    assert is_older(version, than) is older


def test_every_code_has_words_in_both_languages() -> None:
    for code in Code:
        for language in Language:
            told = explain(Finding(code), language)
            assert told.title and told.detail and told.cure
    for reason in LicenceReason:
        for language in Language:
            special = explain(Finding(Code.NO_LICENCE, {}, reason.value), language)
            assert special.title != explain(Finding(Code.NO_LICENCE), language).title or reason == "no-pool"


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "9.9.9", None])
@pytest.mark.parametrize("seals_answers", [True, False])
def test_an_old_connector_is_recognised_by_its_capabilities(version: str | None, seals_answers: bool) -> None:
    """Not by its version, which anybody can write, and which says nothing about a connector that was built again."""
    told = facts(connector_version=version, seals_answers=seals_answers)
    link = next(
        part for part in get_lights(told, refused_keys=(), valid_until=(), now=NOW) if part.part is Part.LINK
    )
    if seals_answers:
        assert (link.light, link.finding) == (Light.GREEN, None)
        return
    assert link.light is Light.YELLOW
    assert link.finding is not None
    assert link.finding.code is Code.CONNECTOR_OUTDATED
    for language in Language:
        assert (version or "?") in explain(link.finding, language).detail
