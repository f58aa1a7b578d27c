"""sealed answers: what a connector can do, and who has used a PBX before"""

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('pbx', sa.Column('capabilities', sa.Text(), server_default='[]', nullable=False))
    op.add_column('pbx', sa.Column('capabilities_signature', sa.String(length=200), nullable=True))
    op.create_table('used_pbx',
    sa.Column('pbx_id', sa.String(length=36), nullable=False),
    sa.Column('tenant_id', sa.String(length=36), nullable=False),
    sa.Column('first_at', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['pbx_id'], ['pbx.id'], name=op.f('fk_used_pbx_pbx_id')),
    sa.PrimaryKeyConstraint('pbx_id', 'tenant_id', name=op.f('pk_used_pbx'))
    )
    # Anyone who is signed in knows the PBX.
    op.execute(
        'INSERT INTO used_pbx (pbx_id, tenant_id, first_at)'
        ' SELECT pbx_id, tenant_id, MIN(started_at) FROM session GROUP BY pbx_id, tenant_id'
    )
