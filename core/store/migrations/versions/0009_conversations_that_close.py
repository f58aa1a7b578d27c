"""conversations that close, activities in hand, and notices of which the channel said that it failed"""

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('conversation', sa.Column('in_hand', sa.Text(), nullable=False, server_default='{}'))
    op.add_column('conversation', sa.Column('closed_reason', sa.String(10), nullable=True))
    op.add_column('notice', sa.Column('doubtful', sa.Boolean(), nullable=False, server_default=sa.false()))
