"""entries, preferences and sending"""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('trusted_tenant', sa.Column('entry', sa.String(length=20), server_default='with-key', nullable=False))
    op.add_column('trusted_tenant', sa.Column('is_primary', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index(
        'uq_trusted_tenant_primary', 'trusted_tenant', ['tenant_id'], unique=True,
        sqlite_where=sa.text('is_primary'), postgresql_where=sa.text('is_primary'),
    )
    op.create_index('ix_trusted_tenant_tenant_id', 'trusted_tenant', ['tenant_id'])
    op.add_column('notice', sa.Column('sending', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column('conversation', sa.Column('answered', sa.Text(), server_default='[]', nullable=False))
    op.create_table('preference',
    sa.Column('tenant_id', sa.String(length=36), nullable=False),
    sa.Column('object_id', sa.String(length=36), nullable=False),
    sa.Column('no_automatic_sign_in', sa.Boolean(), server_default=sa.false(), nullable=False),
    sa.Column('muted', sa.Text(), server_default='[]', nullable=False),
    sa.Column('quiet', sa.Boolean(), server_default=sa.true(), nullable=False),
    sa.Column('quiet_from', sa.Integer(), server_default='1320', nullable=False),
    sa.Column('quiet_until', sa.Integer(), server_default='420', nullable=False),
    sa.Column('time_zone', sa.String(length=64), server_default='', nullable=False),
    sa.PrimaryKeyConstraint('tenant_id', 'object_id', name=op.f('pk_preference'))
    )
