"""Check the basis of a sign-in's proof again, inside the transaction that uses it.

Between the proof and its use, the PBX name can be handed over, trust can be withdrawn, and another identity can be
pinned. Rows are always locked in the same order: pools, PBX, trust, pins. The PBX row is locked as a foreign key
would lock it (`FOR KEY SHARE`): sign-ins do not wait for each other, but a hand-over and a sign-in wait for each
other.
"""

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.identity.tenant_trust import Entry
from core.licensing.session import Proof, SessionRequest
from core.licensing.transactions.steps import TransactionRefusedError
from core.store.audit import AuditKind, audit
from core.store.timestamps import to_ms
from core.store.transaction import Transaction, execute, first


def check_installation(pbx_id: str, installation: int, pbx_name: str) -> Transaction[None]:
    """Raise TransactionRefusedError when `installation` is no longer the PBX's installation."""
    row = yield from first("SELECT installation FROM pbx WHERE id = $1 FOR KEY SHARE", pbx_id)
    if row is None or row["installation"] != installation:
        raise TransactionRefusedError(Finding(Code.HANDED_OVER, {"pbx_name": pbx_name}))


def is_newest_link(pbx_id: str, epoch: int) -> Transaction[bool]:
    """Return whether no newer link has replaced the link with this epoch. Lock the pools first."""
    row = yield from first("SELECT link_epoch FROM pbx WHERE id = $1 FOR KEY SHARE", pbx_id)
    return row is not None and row["link_epoch"] == epoch


def check_proof(request: SessionRequest) -> Transaction[None]:
    """Raise TransactionRefusedError when the proof no longer holds: other installation, no trust, or another pinned
    identity.
    """
    yield from check_installation(request.pbx_id, request.installation, request.pbx_name)
    if request.proof is not Proof.EMAIL:
        return
    user = request.teams_user
    trust = yield from first(
        "SELECT entry FROM trusted_tenant WHERE pbx_id = $1 AND tenant_id = $2 FOR SHARE",
        request.pbx_id,
        user.tenant_id,
    )
    if trust is None or (request.is_keyless and trust["entry"] == Entry.WITH_KEY):
        raise TransactionRefusedError(Finding(Code.TENANT_NOT_TRUSTED, {"pbx_name": request.pbx_name}))
    yield from _check_pins(request)


def _check_pins(request: SessionRequest) -> Transaction[list[tuple[int, str, str, str]]]:
    """Return the pins of `_list_pins`. Raise TransactionRefusedError when one of them ties the PBX user or the Teams
    identity to another.
    """
    pins = yield from _list_pins(request)
    if any(pin[:3] != _pinned_by(request) for pin in pins):
        raise TransactionRefusedError(Finding(Code.IDENTITY_CHANGED, {"pbx_name": request.pbx_name}))
    return pins


def pin_identity(request: SessionRequest) -> Transaction[None]:
    """Pin the PBX user to the Teams identity, after `check_proof`.

    A password always sets the pin. An e-mail address sets it only where neither of the two has a pin yet. Another
    transaction may have set one since `check_proof`, where there was no row to lock; then this raises as that does.
    """
    by_email = request.proof is Proof.EMAIL
    pins = yield from (_check_pins if by_email else _list_pins)(request)
    if by_email and pins:
        return
    if pins == [(*_pinned_by(request), request.proof.value)]:
        return
    user, user_id = request.teams_user, request.person.pbx_user_id
    yield from execute(
        "DELETE FROM pinned_identity WHERE pbx_id = $1"
        " AND (pbx_user_id = $2 OR (tenant_id = $3 AND object_id = $4))",
        request.pbx_id,
        user_id,
        *user.key,
    )
    yield from execute(
        "INSERT INTO pinned_identity (pbx_id, pbx_user_id, tenant_id, object_id, proof, at)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        request.pbx_id,
        user_id,
        *user.key,
        request.proof.value,
        to_ms(request.now),
    )
    changes = any(one[:3] != _pinned_by(request) for one in pins)
    if changes or by_email:
        yield from audit(
            pbx_id=request.pbx_id,
            kind=AuditKind.IDENTITY_PINNED,
            actor=request.actor,
            subject=request.person.display_name,
            detail={"proof": request.proof, "changed": changes},
            now=request.now,
            pbx_user_id=user_id,
        )


def _pinned_by(request: SessionRequest) -> tuple[int, str, str]:
    return (request.person.pbx_user_id, *request.teams_user.key)


def _list_pins(request: SessionRequest) -> Transaction[list[tuple[int, str, str, str]]]:
    """Lock and return the pins of this PBX user or this Teams identity: PBX user, tenant, object id, proof."""
    rows = yield from execute(
        "SELECT pbx_user_id, tenant_id, object_id, proof FROM pinned_identity WHERE pbx_id = $1"
        " AND (pbx_user_id = $2 OR (tenant_id = $3 AND object_id = $4)) ORDER BY pbx_user_id FOR UPDATE",
        request.pbx_id,
        request.person.pbx_user_id,
        *request.teams_user.key,
    )
    return [(row["pbx_user_id"], row["tenant_id"], row["object_id"], row["proof"]) for row in rows]
