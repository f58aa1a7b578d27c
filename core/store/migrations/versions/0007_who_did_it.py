"""who did it: the ids of the actor beside the name that they chose"""

import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Older rows keep their text and have no ids. ADD COLUMN rewrites no row, on either database.
    op.add_column('audit', sa.Column('actor_kind', sa.String(length=20)))
    op.add_column('audit', sa.Column('actor_tenant_id', sa.String(length=36)))
    op.add_column('audit', sa.Column('actor_object_id', sa.String(length=36)))
    op.add_column('audit', sa.Column('actor_pbx_user_id', sa.BigInteger()))
    # One row for many of the same, so that a stranger cannot fill the table.
    op.add_column('audit', sa.Column('times', sa.Integer(), server_default='1', nullable=False))
    op.add_column('audit', sa.Column('coalesce_key', sa.String(length=64)))
    op.create_index(
        'uq_audit_coalesce_key', 'audit', ['coalesce_key'], unique=True,
        sqlite_where=sa.text('coalesce_key IS NOT NULL'), postgresql_where=sa.text('coalesce_key IS NOT NULL'),
    )
    op.add_column('session_end', sa.Column('ended_by_kind', sa.String(length=20)))
    op.add_column('session_end', sa.Column('ended_by_tenant_id', sa.String(length=36)))
