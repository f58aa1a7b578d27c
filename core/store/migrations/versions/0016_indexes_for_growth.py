"""indexes for long tables: the page of holders, sessions by e-mail, seats that are kept, two kinds of the audit"""

import sqlalchemy as sa
from alembic import op

revision = '0016'
down_revision = '0015'
branch_labels = None
depends_on = None

PARTIAL = {
    'ix_session_by_email': ('session', ['pbx_id', 'tenant_id'], "proof = 'email'"),
    'ix_seat_kept_for': ('seat', ['pbx_id', 'kept_for'], 'kept_for IS NOT NULL'),
    'ix_audit_denied': ('audit', ['pbx_id', 'at'], "kind = 'denied'"),
    'ix_audit_granted': ('audit', ['pbx_id', 'actor_object_id'], "kind = 'granted'"),
}


def upgrade() -> None:
    op.create_index(
        'ix_session_pbx_id_name', 'session', ['pbx_id', sa.text('lower(display_name)'), 'id'], unique=False
    )
    for name, (table, columns, condition) in PARTIAL.items():
        op.create_index(
            name, table, columns, unique=False,
            sqlite_where=sa.text(condition), postgresql_where=sa.text(condition),
        )
