"""The licence page's answer is put together of two texts, and is what the model of the API says."""

from datetime import UTC, datetime

import pytest

from core.administration.administration import LicenceView
from core.hub.registry import Pbx
from core.identity.teams_user import TeamsUser
from core.language import Language
from core.licensing.overview import HoldersPage
from core.licensing.rules import LicenceKind
from core.licensing.session import Proof, Session, SessionPerson
from core.signin.signin import Connection
from tab import present
from wire.tab import Licences

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def session(number: int) -> Session:
    return Session(
        id=f"session-{number}",
        teams_user=TeamsUser("tenant", f"object-{number}", f'"holders":[] {number}'),
        pbx_id="pbx",
        person=SessionPerson(number, str(number), f"User {number}", "", is_administrator=False),
        kind=LicenceKind.FL,
        pool_id="pool",
        seat_number=number,
        proof=Proof.PASSWORD,
        started_at=NOW,
        licence_since=NOW,
        last_seen_at=NOW,
        installation=1,
    )


def view(page: HoldersPage) -> LicenceView:
    pbx = Pbx(
        id="pbx",
        name="pbx.example.com",
        identity="i",
        installation=1,
        key_hmac="k",
        claimed_at=NOW,
        status_json=None,
        link_epoch=1,
        link_opened_at=NOW,
        link_closed_at=None,
        link_replica="r",
        connector_version="1",
        sealing_key="",
        sealing_signature="",
        capabilities=(),
        capabilities_signature=None,
        previous_key_hmac=None,
        previous_key_until=None,
        refused_keys=(),
        refused_claim_at=None,
    )
    return LicenceView(
        page=page,
        pools=[],
        connection=Connection(pbx, None, None),
        trust=None,
        may_trust=True,
        may_offer=False,
        tenants=[],
        primary_name=None,
        waiting=0,
        user_licences=0,
        session_days=0,
    )


@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_row_is_there_and_one_is_mine(count: int) -> None:
    page = HoldersPage([session(number) for number in range(count)], count)
    for me in range(4):
        answer = present.licences(view(page), TeamsUser("tenant", f"object-{me}", "Me"), Language.EN)
        found = Licences.model_validate_json(answer.text)
        assert found.found == count
        assert [one.session_id for one in found.holders] == [f"session-{number}" for number in range(count)]
        assert [one.is_me for one in found.holders] == [number == me for number in range(count)]


def test_a_page_that_was_read_again_is_shown_as_it_is_now() -> None:
    user = TeamsUser("tenant", "object-0", "Me")
    for count in (2, 1):
        answer = present.licences(view(HoldersPage([session(0)] * count, count)), user, Language.EN)
        assert len(Licences.model_validate_json(answer.text).holders) == count
