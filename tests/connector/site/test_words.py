"""The module page has words for every value that it shows."""

import pytest

from connector.pbx_side import PARTS
from connector.running import LINK, WATCH
from connector.site.module_site import PART
from connector.site.pages import has_text, text_or_value
from connector.trust import TrustState
from core.diagnosis.codes import LicenceReason
from core.identity.tenant_trust import Entry
from core.language import Language
from wire.link import RestState, UciState

OF_KEYS = [one for one in LicenceReason if one.startswith("key-")]


@pytest.mark.parametrize("language", list(Language))
def test_every_state_part_and_reason_has_words(language: Language) -> None:
    shown = {
        "module.rest-state": list(RestState),
        "module.uci-state": list(UciState),
        "module.part-name": [*PARTS, LINK, WATCH, PART],
        "module.reason": OF_KEYS,
        "module.trust": [one for one in TrustState if one is not TrustState.CURRENT],
        "module.trust.entry": list(Entry),
    }
    needed = [f"{key}.{one}" for key, values in shown.items() for one in values]
    assert [one for one in needed if not has_text(language, one)] == []


def test_a_value_of_a_later_service_is_shown_as_it_is() -> None:
    assert text_or_value(Language.DE, "module.reason", "key-too-long") == "key-too-long"
