"""Every notice that the ledger writes becomes a card with all its words, in both languages."""

import json

import pytest

from bot.cards.notices import notice_card
from bot.cards.parts import CardReader
from core.language import Language
from core.licensing.session import NOTIFIED_CAUSES

KINDS = [*sorted(NOTIFIED_CAUSES), "seat-offered", "offer-passed", "key-expires", "session-ends"]
DETAIL = {
    "pbx_name": "pbx.example.com",
    "pbx_user": "Anna Berger",
    "actor": "Clara",
    "reason": "because",
    "until": 1_800_000_000_000,
    "serial": "S-1",
    "seats": 5,
}


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("kind", KINDS)
def test_the_card_of_a_notice(kind: str, language: Language) -> None:
    card = notice_card(kind, DETAIL, CardReader(language, "29:x", *["https://teams.example.com"] * 3))
    text = json.dumps(card, ensure_ascii=False)
    assert "pbx.example.com" in text and "because" in text
    if kind in ("seat-offered", "key-expires", "session-ends"):
        assert "{{DATE(2027-01-15T08:00:00Z,SHORT)}}" in text
    assert "…" not in text
    refresh = card["refresh"]
    assert refresh["userIds"] == ["29:x"] and refresh["action"]["verb"] == "notice"
    assert ("Anmelden" in text or "Sign in" in text) == (kind != "key-expires")
