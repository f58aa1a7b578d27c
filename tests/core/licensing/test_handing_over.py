"""What one identity vouched for ends with it: an installation whose name is handed over, a tenant that is trusted no longer.

Rule 7 of the design, on both databases. The same from outside: tests/app/test_strangers.py.
"""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import insert

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.identity.teams_user import TeamsUser
from core.identity.tenant_trust import Entry, TenantTrust
from core.licensing.policy import Policy
from core.licensing.rules import LicenceKind
from core.licensing.session import Opened, Proof, UserFacts
from core.licensing.transactions.handing_over import HandedOver
from core.licensing.transactions.proofs import pin_identity
from core.licensing.transactions.steps import TransactionRefusedError
from core.licensing.transactions.trusting import TrustChange, TrustChanged
from core.store import tables
from core.store.audit import OPERATOR
from tests.support.book import ADMIN, NOW, PBX, Book, person
from tests.support.refusals import outcome_of, refusal_of

NEW = "the-new-identity"
TENANT = "tenant"  # of the Teams users of `Book`
OTHER_TENANT = "other-tenant"
BY_EMAIL: dict[str, Any] = {"proof": Proof.EMAIL}


async def hand_over(book: Book, installation: int | None = None) -> HandedOver | None:
    await book.tried_by(NEW)
    return await book.ledger.hand_over(PBX, NEW, OPERATOR, NOW, installation)


async def trust(
    book: Book, tenant: str = TENANT, pbx_id: str = PBX, **request: Any
) -> TrustChanged | Finding:
    given = {
        "trusted": True,
        "entry": None,
        "primary": None,
        "speaks_for_tenant": True,
        "actor": ADMIN,
    } | request
    change = TrustChange(pbx_id=pbx_id, tenant_id=tenant, now=NOW, **given)
    return await outcome_of(book.ledger.change_trust(change))


async def pin_of(book: Book, number: int) -> list[tuple[Any, ...]]:
    return await book.rows(
        f"SELECT tenant_id, object_id, proof FROM pinned_identity WHERE pbx_user_id = {number}"
    )


async def count(book: Book, what: str) -> int:
    ((number,),) = await book.rows(f"SELECT count(*) FROM {what}")
    return int(number)


async def notices(book: Book, kind: str) -> list[str]:
    rows = await book.rows(f"SELECT object_id FROM notice WHERE kind = '{kind}' ORDER BY object_id")
    return [object_id for (object_id,) in rows]


async def test_a_hand_over_ends_everything_that_the_old_installation_vouched_for(book: Book) -> None:
    await book.put(2)
    await trust(book, entry=Entry.ONE_CLICK, primary=True)
    await trust(book, OTHER_TENANT)
    await book.ledger.approve_entry(PBX, OTHER_TENANT, OPERATOR, NOW, over_others=False)
    pool = (await book.overview.pools(PBX))[0]
    policy = Policy.model_validate({"admitted": {"user_ids": [1, 2, 3], "group_ids": []}})
    await book.ledger.put_policy(PBX, pool.id, policy, ADMIN, NOW)
    await book.take(1)
    await book.take(2, **BY_EMAIL)
    await book.take(9, ual=True)
    await book.deny(3)
    await book.ledger.join_waiting_list(TeamsUser(TENANT, "object-3"), NOW)
    async with book.database.writing() as connection:
        for number in (1, 5):
            consent = {"tenant_id": TENANT, "object_id": f"object-{number}", "help_since": 1, "never": "[]"}
            await connection.execute(
                insert(tables.audio_person).values(named=False, records=False, **consent)
            )

    handed = await hand_over(book)
    assert handed is not None and len(handed.ended) == 3

    for table in ("session", "waiting", "trusted_tenant", "tenant_approval", "pinned_identity"):
        assert await count(book, table) == 0, table
    assert await count(book, "seat WHERE holder IS NOT NULL OR kept_for IS NOT NULL") == 0
    assert await notices(book, "handed-over") == ["object-1", "object-2", "object-9"]
    assert await notices(book, "waiting-handed-over") == ["object-3"]
    ends = await book.rows("SELECT object_id, cause FROM session_end ORDER BY object_id")
    assert [end for end in ends if end[1] == "handed-over"] == ends and len(ends) == 3
    audit = dict(
        await book.rows("SELECT kind, count(*) FROM audit WHERE actor_kind = 'operator' GROUP BY kind")
    )
    assert (audit["name-handed-over"], audit["ended"], audit["waiting-ended"]) == (1, 3, 1)
    assert audit["pool-withdrawn"] == 1
    distrusted = "SELECT subject, detail FROM audit WHERE kind = 'tenant-distrusted'"
    details = {subject: json.loads(detail) for subject, detail in await book.rows(distrusted)}
    assert details == {TENANT: {"ended": 1, "waited": 0}, OTHER_TENANT: {"ended": 0, "waited": 0}}
    assert handed.tenants == (OTHER_TENANT, TENANT)
    assert (audit["tenant-distrusted"], audit["approval-ended"]) == (2, 1)
    # Rules for pools named users of the other PBX; licence keys stay bound to the name, and grant when they are shown.
    assert await book.rows("SELECT serial, policy, withdrawn FROM pool") == [
        ("S", "{}", True)
    ] or await book.rows("SELECT serial, policy, withdrawn FROM pool") == [("S", "{}", 1)]
    assert isinstance(await book.take(1, installation=2), Finding)
    await book.put(2)
    assert isinstance(await book.take(1, installation=2), Opened)
    # The consent to help with calls was for the old connector, and for nobody else's.
    consents = dict(await book.rows("SELECT object_id, help_since FROM audio_person"))
    assert consents == {"object-1": None, "object-5": 1}


async def test_nothing_of_another_pbx_ends(book: Book) -> None:
    await book.add_pbx("other")
    await trust(book, pbx_id="other")
    await book.take(1, ual=True, pbx_id="other")
    await book.take(2, ual=True)
    assert (await hand_over(book)) is not None
    assert await book.rows("SELECT pbx_id FROM session") == [("other",)]
    assert await count(book, "trusted_tenant") == 1


WAYS: dict[str, dict[str, Any]] = {
    "a seat, batched": {},
    "a licence of one's own": {"ual": True},
    "taking over": {"take_over": True},
    "by e-mail": BY_EMAIL,
    "the first password": {"renews_pin": True},
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_sign_in_that_the_old_installation_proved_opens_nothing(book: Book, way: str) -> None:
    await book.put(2)
    await trust(book)
    request = await book.request(1, **WAYS[way])
    await hand_over(book)
    await book.put(2)
    await trust(book)
    refused = await outcome_of(book.ledger.open_session(request))
    assert isinstance(refused, Finding) and refused.code is Code.HANDED_OVER
    assert await count(book, "session") == 0 and (await book.used())[0] == 0


@pytest.mark.parametrize("ual", [False, True])
async def test_of_many_that_wait_together_only_those_of_the_old_installation_are_refused(
    book: Book, ual: bool
) -> None:
    await book.put(20)
    old = [await book.request(number, ual=ual) for number in range(1, 11)]
    await hand_over(book)
    await book.put(20)
    new = [await book.request(number, ual=ual, installation=2) for number in range(11, 21)]
    mixed = [one for pair in zip(old, new, strict=True) for one in pair]
    outcomes = await asyncio.gather(*(outcome_of(book.ledger.open_session(request)) for request in mixed))
    refused = [one for one in outcomes[::2] if isinstance(one, Finding) and one.code is Code.HANDED_OVER]
    assert len(refused) == 10
    assert all(isinstance(one, Opened) and one.session.installation == 2 for one in outcomes[1::2])
    assert await count(book, "session") == 10


@pytest.mark.parametrize("kind", [LicenceKind.FL, LicenceKind.UAL])
async def test_sign_ins_and_a_hand_over_at_the_same_moment(book: Book, kind: LicenceKind) -> None:
    """Whichever comes first: afterwards no session is left that the old installation proved."""
    await book.put(60)
    requests = [await book.request(number, ual=kind is LicenceKind.UAL) for number in range(1, 61)]
    await book.tried_by(NEW)

    async def handing() -> HandedOver | None:
        await asyncio.sleep(0.002)
        return await book.ledger.hand_over(PBX, NEW, OPERATOR, NOW)

    handed, *outcomes = await asyncio.gather(
        handing(), *(outcome_of(book.ledger.open_session(request)) for request in requests)
    )
    opened = [one for one in outcomes if isinstance(one, Opened)]
    refused = [one for one in outcomes if isinstance(one, Finding)]
    assert handed is not None and len(opened) == len(handed.ended)
    assert all(one.code is Code.HANDED_OVER for one in refused) and len(opened) + len(refused) == 60
    assert await count(book, "session") == 0
    assert await count(book, "seat WHERE holder IS NOT NULL") == 0
    assert len(await notices(book, "handed-over")) == len(opened)


async def test_a_refusal_that_the_old_installation_proved_leaves_no_place_on_the_list(book: Book) -> None:
    await book.put(1)
    await book.take(1)
    request = await book.request(2)
    refused = await outcome_of(book.ledger.open_session(request))
    assert isinstance(refused, Finding) and refused.code is Code.NO_LICENCE
    await hand_over(book)
    better = await refusal_of(book.ledger.record_denial(request, refused))
    assert better.code is Code.HANDED_OVER
    assert await count(book, "waiting") == 0


async def test_reports_of_an_old_link_about_users_and_keys_are_ignored(book: Book) -> None:
    await book.put(1)
    await hand_over(book)  # raises the epoch from 1 to 2
    await book.put(1)
    await book.take(1, installation=2)
    promoted = UserFacts(1, person(1).__class__(1, "1", "Mallory", "", is_administrator=True))
    assert await book.ledger.follow_user(PBX, "pbx", promoted, NOW, epoch=1) is None
    assert await book.ledger.follow_user(PBX, "pbx", UserFacts(1, None), NOW, epoch=1) is None
    session = await book.session_of(1)
    assert session is not None and session.person.display_name == "User 1"
    await book.ledger.register_keys(PBX, [], [], NOW, epoch=1)
    assert (await book.used()) == (1, 1), "an old link that brings no keys withdraws none"
    assert await book.ledger.follow_user(PBX, "pbx", UserFacts(1, None), NOW, epoch=2) is not None


async def test_an_administrator_of_the_old_installation_decides_nothing_any_more(book: Book) -> None:
    await book.put(1)
    pool = (await book.overview.pools(PBX))[0]
    await hand_over(book, installation=1)
    refused = await trust(book, installation=1)
    assert isinstance(refused, Finding) and refused.code is Code.HANDED_OVER
    refused_policy = await refusal_of(book.ledger.put_policy(PBX, pool.id, Policy(), ADMIN, NOW, 1))
    assert refused_policy.code is Code.HANDED_OVER
    await book.tried_by("the-old-identity")
    assert await book.ledger.hand_over(PBX, "the-old-identity", ADMIN, NOW, 1) is None, (
        "nor back to themselves"
    )
    assert await book.rows("SELECT identity, installation FROM pbx") == [(NEW, 2)]


async def test_withdrawn_trust_ends_what_it_proved_and_nothing_else(book: Book) -> None:
    await book.put(2)
    await trust(book)
    await trust(book, OTHER_TENANT)
    mallory = TeamsUser(OTHER_TENANT, "mallory")
    await book.take(1, **BY_EMAIL)
    await book.take(2)  # by password
    await book.take(4, ual=True, teams_user=mallory, **BY_EMAIL)
    await book.deny(3, **BY_EMAIL)
    await book.ledger.join_waiting_list(TeamsUser(TENANT, "object-3"), NOW)
    changed = await trust(book, trusted=False)
    assert isinstance(changed, TrustChanged)
    assert [session.person.pbx_user_id for session in changed.ended] == [1]
    left = await book.rows("SELECT pbx_user_id FROM session ORDER BY pbx_user_id")
    assert left == [(2,), (4,)] and (await book.used()) == (1, 2)
    assert await notices(book, "trust-withdrawn") == ["object-1"]
    assert await notices(book, "waiting-trust-withdrawn") == ["object-3"]
    assert await pin_of(book, 1) == [] and await pin_of(book, 4) != []
    (detail,) = (json.loads(row[0]) for row in await book.rows(
        "SELECT detail FROM audit WHERE kind = 'tenant-distrusted'"
    ))  # fmt: skip
    assert detail == {"ended": 1, "waited": 1}
    again = await trust(book, trusted=False)
    assert again == TrustChanged() and await count(book, "audit WHERE kind = 'tenant-distrusted'") == 1


@pytest.mark.parametrize("ual", [False, True])
async def test_a_sign_in_by_email_that_was_under_way_when_trust_ended_opens_nothing(
    book: Book, ual: bool
) -> None:
    await book.put(30)
    await trust(book)
    requests = [await book.request(number, ual=ual, **BY_EMAIL) for number in range(1, 31)]
    withdrawn, *outcomes = await asyncio.gather(
        trust(book, trusted=False), *(outcome_of(book.ledger.open_session(request)) for request in requests)
    )
    opened = [one for one in outcomes if isinstance(one, Opened)]
    assert isinstance(withdrawn, TrustChanged) and len(withdrawn.ended) == len(opened)
    assert {one.code for one in outcomes if isinstance(one, Finding)} <= {Code.TENANT_NOT_TRUSTED}
    assert await count(book, "session") == 0 and (await book.used())[0] == 0


async def test_without_a_key_only_as_long_as_none_is_needed(book: Book) -> None:
    await trust(book, entry=Entry.ONE_CLICK)
    keyless = await book.request(1, ual=True, is_keyless=True, **BY_EMAIL)
    await trust(book, entry=Entry.WITH_KEY)
    refused = await outcome_of(book.ledger.open_session(keyless))
    assert isinstance(refused, Finding) and refused.code is Code.TENANT_NOT_TRUSTED
    assert isinstance(await book.take(1, ual=True, **BY_EMAIL), Opened)


async def test_the_first_match_by_email_pins_and_a_password_renews_it(book: Book) -> None:
    await trust(book)
    anna, mallory = TeamsUser(TENANT, "anna"), TeamsUser(TENANT, "mallory")
    opened = await book.take(1, ual=True, teams_user=anna, **BY_EMAIL)
    assert isinstance(opened, Opened)
    assert await pin_of(book, 1) == [(TENANT, "anna", "email")]
    await book.end(opened)
    for who, number in (
        (mallory, 1),
        (anna, 2),
    ):  # another identity for the user, another user for the identity
        refused = await book.take(number, ual=True, teams_user=who, **BY_EMAIL)
        assert isinstance(refused, Finding) and refused.code is Code.IDENTITY_CHANGED
        request = await book.request(number, teams_user=who, **BY_EMAIL)
        refused = await refusal_of(book.ledger.record_denial(request, refused))
        assert refused.code is Code.IDENTITY_CHANGED
    # Anyone who knows the password is the PBX user: from then on this Teams identity is.
    by_password = await book.take(1, ual=True, teams_user=mallory, renews_pin=True)
    assert isinstance(by_password, Opened)
    assert await pin_of(book, 1) == [(TENANT, "mallory", "password")]
    await book.end(by_password)
    assert isinstance(await book.take(1, ual=True, teams_user=mallory, **BY_EMAIL), Opened)
    refused = await book.take(1, ual=True, teams_user=anna, take_over=True, **BY_EMAIL)
    assert isinstance(refused, Finding) and refused.code is Code.IDENTITY_CHANGED
    await trust(book, trusted=False)
    assert await pin_of(book, 1) == [(TENANT, "mallory", "password")], "a password's pin outlives trust"


async def test_two_who_match_the_same_user_first_at_the_same_moment(book: Book) -> None:
    await trust(book)
    requests = [
        await book.request(1, ual=True, teams_user=TeamsUser(TENANT, f"o{n}"), take_over=True, **BY_EMAIL)
        for n in range(8)
    ]
    outcomes = await asyncio.gather(*(outcome_of(book.ledger.open_session(request)) for request in requests))
    assert sum(isinstance(one, Opened) for one in outcomes) == 1
    assert await count(book, "pinned_identity") == 1


async def test_a_pin_that_was_set_since_the_check_refuses_the_sign_in(book: Book) -> None:
    """Before the first pin there is no row to lock: two sign-ins may both have passed the check."""
    await trust(book)
    request = await book.request(1, ual=True, teams_user=TeamsUser(TENANT, "mallory"), **BY_EMAIL)
    anna = TeamsUser(TENANT, "anna")
    assert isinstance(await book.take(1, ual=True, teams_user=anna, **BY_EMAIL), Opened)
    with pytest.raises(TransactionRefusedError) as refused:
        await book.ledger.writer.run(lambda: pin_identity(request))
    assert refused.value.finding.code is Code.IDENTITY_CHANGED
    assert await pin_of(book, 1) == [(TENANT, "anna", "email")]


async def test_a_person_proven_by_password_stays_proven(book: Book) -> None:
    await trust(book)
    await book.take(1, ual=True, renews_pin=True)
    again = await book.take(1, ual=True, **BY_EMAIL)
    assert isinstance(again, Opened) and again.session.proof is Proof.PASSWORD


async def test_what_concerns_a_whole_tenant_needs_somebody_who_speaks_for_it(book: Book) -> None:
    not_hers: dict[str, Any] = {"speaks_for_tenant": False}
    assert isinstance(await trust(book, **not_hers), TrustChanged), "with the key: her own PBX"
    for request in ({"entry": Entry.ONE_CLICK}, {"entry": Entry.AUTOMATIC}, {"primary": True}):
        refused = await trust(book, **request, **not_hers)
        assert isinstance(refused, Finding) and refused.code is Code.TENANT_AUTHORITY_NEEDED
    await book.ledger.approve_entry(PBX, TENANT, OPERATOR, NOW, over_others=False)
    assert isinstance(await trust(book, entry=Entry.ONE_CLICK, **not_hers), TrustChanged)
    await book.ledger.end_approval(PBX, TENANT, OPERATOR, NOW)
    assert isinstance(await trust(book, entry=Entry.ONE_CLICK, **not_hers), TrustChanged), "nothing is raised"
    assert isinstance(await trust(book, entry=Entry.AUTOMATIC, **not_hers), Finding)
    assert isinstance(await trust(book, entry=Entry.WITH_KEY, **not_hers), TrustChanged), "lowering is hers"


async def test_a_squatters_main_pbx_is_overruled_by_the_tenants_spokesperson(book: Book) -> None:
    await book.add_pbx("squatter")
    tenants = TenantTrust(book.database)
    await book.ledger.approve_entry("squatter", TENANT, OPERATOR, NOW, over_others=False)
    await trust(book, pbx_id="squatter", speaks_for_tenant=False, entry=Entry.AUTOMATIC, primary=True)
    await book.ledger.approve_entry(PBX, TENANT, OPERATOR, NOW, over_others=False)
    refused = await trust(book, speaks_for_tenant=False, primary=True)
    assert isinstance(refused, Finding) and refused.code is Code.PRIMARY_ELSEWHERE
    assert await trust(book, primary=True) == TrustChanged(overruled="squatter")
    primary = await tenants.primary_of(TENANT)
    assert primary is not None and primary[0] == PBX
    back = await trust(book, pbx_id="squatter", speaks_for_tenant=False, primary=True)
    assert isinstance(back, Finding) and back.code is Code.TENANT_AUTHORITY_NEEDED
    kinds = await book.rows("SELECT kind FROM audit WHERE pbx_id = 'squatter' ORDER BY id")
    assert kinds[-2:] == [("approval-ended",), ("primary-overruled",)]
    # The operator can as well, for a PBX whose administrators nobody in the tenant's directory knows.
    await book.ledger.approve_entry("squatter", TENANT, OPERATOR, NOW, over_others=True)
    assert await tenants.primary_of(TENANT) is None


async def test_two_pbxs_that_become_the_main_one_at_the_same_moment(book: Book) -> None:
    await book.add_pbx("other")
    outcomes = await asyncio.gather(*(trust(book, pbx_id=one, primary=True) for one in (PBX, "other") * 4))
    assert all(isinstance(one, TrustChanged) for one in outcomes)
    assert await count(book, "trusted_tenant WHERE is_primary") == 1


async def test_administrators_see_every_trusted_tenant(book: Book) -> None:
    await trust(book)
    await trust(book, OTHER_TENANT, entry=Entry.ONE_CLICK)
    await book.take(1, ual=True, **BY_EMAIL)
    await book.take(2, ual=True)
    seen = {one.tenant_id: one for one in await TenantTrust(book.database).trusted_tenants(PBX)}
    assert (seen[TENANT].signed_in, seen[TENANT].trust.entry) == (1, Entry.WITH_KEY)
    assert (seen[OTHER_TENANT].signed_in, seen[OTHER_TENANT].trust.entry) == (0, Entry.ONE_CLICK)
    assert seen[TENANT].trusted_by == ADMIN.name
