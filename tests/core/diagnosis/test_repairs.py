"""Which repair belongs to which cause: each of the causes of the manual has one where there is one from Teams."""

from datetime import UTC, datetime

import pytest

from core.diagnosis.codes import Code
from core.diagnosis.lights import Light, get_lights
from core.diagnosis.repairs import REPAIRS, Repair, find_repair
from core.diagnosis.rules import PbxFacts, find_blocker
from tests.support.connector_peer import HEALTHY


@pytest.mark.parametrize(
    ("code", "repair"),
    [
        (Code.UCI_CONNECTOR_OFF, Repair.RESTART_UCI),
        (Code.UCI_NO_EVENTS, Repair.RESTART_UCI),
        (Code.WRONG_KEY, Repair.NEW_KEY),
        (Code.PBX_UNREACHABLE, Repair.EXAMINE),
        # Without a link nothing can be asked of the connector, and a switched-off one is switched on by its owner.
        (Code.NEVER_CONNECTED, None),
        (Code.LINK_DOWN, None),
        (Code.MODULE_INACTIVE, None),
        (Code.UNKNOWN_PBX, None),
        (None, None),
    ],
)
def test_the_repair_of_a_cause(code: Code | None, repair: Repair | None) -> None:
    assert find_repair(code) is repair


def test_every_repair_is_the_cure_of_something() -> None:
    assert set(REPAIRS.values()) == set(Repair)


def test_a_connector_that_said_it_is_switched_off_is_not_called_lost() -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    off = HEALTHY.model_copy(update={"module_active": False})
    found = find_blocker(PbxFacts(pbx_name="x", linked=False, status=off, down_since=since))
    assert found is not None and (found.code, found.variant) == (Code.MODULE_INACTIVE, "unlinked")
    lights = get_lights(
        PbxFacts(pbx_name="x", linked=False, status=off, down_since=since),
        refused_keys=(),
        valid_until=(),
        now=since,
    )
    assert [one.light for one in lights[:2]] == [Light.OFF, Light.RED]
    lost = find_blocker(PbxFacts(pbx_name="x", linked=False, status=HEALTHY, down_since=since))
    assert lost is not None and lost.code is Code.LINK_DOWN
