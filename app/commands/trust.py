"""`pbx-teams trust`: shows, approves and removes the trust of a PBX in Microsoft tenants.

The operator acts for a tenant that has nobody with a directory role at the PBX. They approve that the PBX is offered to
the tenant's members, and remove a trust that a stranger has granted. Only an administrator of the PBX can grant trust.
"""

import argparse

from pydantic import TypeAdapter, ValidationError

from app.errors import CannotDoError
from app.records import CommandData, act_on
from core.diagnosis.finding import RefusedError
from core.licensing.transactions.trusting import TrustChange
from core.store.audit import OPERATOR
from core.store.timestamps import now
from wire.bounds import Guid


def show(options: argparse.Namespace) -> int:
    async def show(records: CommandData, name: str) -> None:
        pbx = await records.pbx(name)
        tenants = await records.trust.trusted_tenants(pbx.id)
        for tenant in tenants:
            print(
                f"{tenant.tenant_id}  {tenant.trust.entry}{', main PBX' if tenant.trust.is_primary else ''}"
                f"{', approved' if tenant.is_approved else ''}; trusted by {tenant.trusted_by},"
                f" {tenant.at:%Y-%m-%d %H:%M} UTC; signed in by e-mail: {tenant.signed_in}"
            )
        trusted = {tenant.tenant_id for tenant in tenants}
        for tenant_id in await records.trust.approved_for(pbx.id):
            if tenant_id not in trusted:
                print(f"{tenant_id}  approved, not trusted")
        if not tenants:
            print(f"{name} trusts no Microsoft tenant.")

    return act_on(options.name, show)


def approve(options: argparse.Namespace) -> int:
    tenant_id = _tenant(options.tenant)

    async def approve(records: CommandData, name: str) -> None:
        pbx = await records.pbx(name)
        await records.ledger.approve_entry(
            pbx_id=pbx.id, tenant_id=tenant_id, actor=OPERATOR, now=now(), over_others=options.main
        )
        print(f"Administrators of {name} may now let people of {tenant_id} in without a key:")
        print("they choose it in the tab, under Sign-in and security, as members of that tenant.")

    return act_on(options.name, approve)


def remove(options: argparse.Namespace) -> int:
    tenant_id = _tenant(options.tenant)

    async def remove(records: CommandData, name: str) -> None:
        pbx = await records.pbx(name)
        was_approved = await records.ledger.end_approval(
            pbx_id=pbx.id, tenant_id=tenant_id, actor=OPERATOR, now=now()
        )
        was_trusted = await records.trust.is_trusted(pbx.id, tenant_id)
        change = TrustChange(
            pbx_id=pbx.id,
            tenant_id=tenant_id,
            trusted=False,
            entry=None,
            primary=None,
            actor=OPERATOR,
            speaks_for_tenant=True,
            now=now(),
        )
        try:
            changed = await records.ledger.change_trust(change)
        except RefusedError as refused:
            raise CannotDoError(f"trust was not ended: {refused.finding.code}") from refused
        if not was_trusted and not was_approved:
            raise CannotDoError(f"{name} does not trust {tenant_id}; see 'pbx-teams trust show {name}'")
        print(f"{name} no longer trusts {tenant_id}; {len(changed.ended)} sessions have ended.")

    return act_on(options.name, remove)


def _tenant(text: str) -> str:
    try:
        tenant_id: str = TypeAdapter(Guid).validate_python(text.lower())
    except ValidationError as invalid:
        raise CannotDoError(
            f"{text!r} is not a tenant id; one looks like this: 01234567-89ab-cdef-0123-456789abcdef"
        ) from invalid
    return tenant_id
