"""what an installation vouched for, who was pinned to whom, and approvals of the operator"""

import sqlalchemy as sa
from alembic import op

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('pbx', sa.Column('installation', sa.Integer(), server_default='1', nullable=False))
    op.add_column('session', sa.Column('installation', sa.Integer(), server_default='1', nullable=False))
    op.add_column('waiting', sa.Column('proof', sa.String(length=20), server_default='password', nullable=False))
    op.create_table('tenant_approval',
    sa.Column('pbx_id', sa.String(length=36), nullable=False),
    sa.Column('tenant_id', sa.String(length=36), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['pbx_id'], ['pbx.id'], name=op.f('fk_tenant_approval_pbx_id')),
    sa.PrimaryKeyConstraint('pbx_id', 'tenant_id', name=op.f('pk_tenant_approval'))
    )
    op.create_table('pinned_identity',
    sa.Column('pbx_id', sa.String(length=36), nullable=False),
    sa.Column('pbx_user_id', sa.BigInteger(), nullable=False),
    sa.Column('tenant_id', sa.String(length=36), nullable=False),
    sa.Column('object_id', sa.String(length=36), nullable=False),
    sa.Column('proof', sa.String(length=20), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['pbx_id'], ['pbx.id'], name=op.f('fk_pinned_identity_pbx_id')),
    sa.PrimaryKeyConstraint('pbx_id', 'pbx_user_id', name=op.f('pk_pinned_identity')),
    sa.UniqueConstraint('pbx_id', 'tenant_id', 'object_id', name=op.f('uq_pinned_identity_pbx_id_tenant_id_object_id'))
    )
    # Anyone who has given their password is pinned by it, as at every sign-in from now on.
    op.execute(
        'INSERT INTO pinned_identity (pbx_id, pbx_user_id, tenant_id, object_id, proof, at)'
        " SELECT pbx_id, pbx_user_id, tenant_id, object_id, proof, started_at FROM session WHERE proof = 'password'"
    )
