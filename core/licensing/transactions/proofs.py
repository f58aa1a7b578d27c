"""What a sign-in's proof stands on, looked at again in the transaction that makes use of it.

Between the proof and its use a name can be handed over, trust withdrawn, or somebody else pinned. Rows are locked in one
order, here as everywhere: pools, then the PBX, then trust, then pins. The PBX's row is locked as a foreign key would lock
it, so that sign-ins do not wait for each other, and a hand-over waits for them and they for it.
"""

from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.identity.tenant_trust import Entry
from core.licensing.session import Proof, SessionRequest
from core.licensing.transactions.steps import RefusedError
from core.store.audit import AuditKind, audit
from core.store.timestamps import to_ms
from core.store.transaction import Transaction, execute, first


def check_installation(pbx_id: str, installation: int, pbx_name: str) -> Transaction[None]:
    """Refuses what an installation vouched for that is not the PBX's any more."""
    row = yield from first("SELECT installation FROM pbx WHERE id = $1 FOR KEY SHARE", pbx_id)
    if row is None or row["installation"] != installation:
        raise RefusedError(Finding(Code.HANDED_OVER, {"pbx_name": pbx_name}))


def is_newest_link(pbx_id: str, epoch: int) -> Transaction[bool]:
    """What a link says counts until another takes its place. The pools are locked before."""
    row = yield from first("SELECT link_epoch FROM pbx WHERE id = $1 FOR KEY SHARE", pbx_id)
    return row is not None and row["link_epoch"] == epoch


def check_proof(request: SessionRequest) -> Transaction[None]:
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
        raise RefusedError(Finding(Code.TENANT_NOT_TRUSTED, {"pbx_name": request.pbx_name}))
    pins = yield from _pins(request)
    if any(pin[:3] != _pinned_by(request) for pin in pins):
        raise RefusedError(Finding(Code.IDENTITY_CHANGED, {"pbx_name": request.pbx_name}))


def pin(request: SessionRequest) -> Transaction[None]:
    """Ties the PBX user to the Teams identity, after `check_proof`: the first proof does, and every password."""
    pins = yield from _pins(request)
    if request.proof is Proof.EMAIL and pins:
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
    if changes or request.proof is Proof.EMAIL:
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


def _pins(request: SessionRequest) -> Transaction[list[tuple[int, str, str, str]]]:
    """PBX user, tenant, object id and proof of each pin of this PBX user, or of this Teams identity."""
    rows = yield from execute(
        "SELECT pbx_user_id, tenant_id, object_id, proof FROM pinned_identity WHERE pbx_id = $1"
        " AND (pbx_user_id = $2 OR (tenant_id = $3 AND object_id = $4)) ORDER BY pbx_user_id FOR UPDATE",
        request.pbx_id,
        request.person.pbx_user_id,
        *request.teams_user.key,
    )
    return [(row["pbx_user_id"], row["tenant_id"], row["object_id"], row["proof"]) for row in rows]
