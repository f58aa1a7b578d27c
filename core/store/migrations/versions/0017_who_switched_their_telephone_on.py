"""who has switched their telephone on"""

import sqlalchemy as sa
from alembic import op

revision = '0017'
down_revision = '0016'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'phone_consent',
        sa.Column('tenant_id', sa.String(length=36), nullable=False),
        sa.Column('object_id', sa.String(length=36), nullable=False),
        sa.Column('session_id', sa.String(length=36), nullable=False),
        sa.Column('since', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('tenant_id', 'object_id', name=op.f('pk_phone_consent')),
    )
