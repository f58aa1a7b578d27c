"""how seats were held on each day that is over, for the views of their use"""

import sqlalchemy as sa
from alembic import op

revision = '0020'
down_revision = '0019'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'usage_day',
        sa.Column('pbx_id', sa.String(length=36), nullable=False),
        sa.Column('day', sa.Integer(), nullable=False),
        sa.Column('hours', sa.Text(), nullable=False),
        sa.Column('steps', sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(['pbx_id'], ['pbx.id'], name=op.f('fk_usage_day_pbx_id')),
        sa.PrimaryKeyConstraint('pbx_id', 'day', name=op.f('pk_usage_day')),
    )
    op.create_index('ix_usage_day_day', 'usage_day', ['day'], unique=False)
