"""What a connector learns about trust: tenants, no person, no other PBX, and a bounded number of them."""

from pathlib import Path

from core.administration.trust_report import TrustReport
from core.identity.tenant_trust import Entry, TenantTrust
from core.licensing.transactions.trusting import TrustChange
from core.store.audit import Actor
from tests.support.book import NOW, PBX, Book
from wire.link import MAX_TRUSTED_SHOWN

APP = "00000000-0000-4000-8000-000000000000"


def tenant(number: int) -> str:
    return f"11111111-1111-4111-8111-{number:012d}"


async def trust(book: Book, number: int, pbx_id: str = PBX) -> None:
    change = TrustChange(
        pbx_id=pbx_id,
        tenant_id=tenant(number),
        trusted=True,
        entry=Entry.ONE_CLICK,
        primary=True,
        actor=Actor.person(tenant(number), "admin", 1, "Clara Admin"),
        speaks_for_tenant=True,
        now=NOW,
    )
    await book.ledger.change_trust(change)


async def test_the_report_is_about_this_pbx_alone_and_bounded(tmp_path: Path) -> None:
    book = await Book(f"sqlite:///{tmp_path / 'book.db'}").open()
    try:
        await book.add_pbx("pbx-2")
        report = TrustReport(TenantTrust(book.database), APP)
        empty = await report.read(PBX)
        assert (empty.tenants, empty.total, empty.teams_app_id) == ([], 0, APP)
        await trust(book, 1)
        await trust(book, 2, "pbx-2")
        known = await report.read(PBX)
        (one,) = known.tenants
        assert (one.tenant_id, one.entry, one.is_primary, one.is_approved) == (
            tenant(1),
            "one-click",
            True,
            False,
        )
        assert one.since == NOW
        said = known.model_dump_json()
        assert "Clara" not in said and "pbx-2" not in said and tenant(2) not in said
        await trust(book, 1, "pbx-2")  # which overrules this PBX
        assert [one.is_primary for one in (await report.read(PBX)).tenants] == [False]
        for number in range(3, MAX_TRUSTED_SHOWN + 5):
            await trust(book, number)
        many = await report.read(PBX)
        assert len(many.tenants) == MAX_TRUSTED_SHOWN and many.total == MAX_TRUSTED_SHOWN + 3
    finally:
        await book.close()
