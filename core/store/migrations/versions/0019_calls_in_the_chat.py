"""who wants calls in the chat, and whether they show numbers"""

import sqlalchemy as sa
from alembic import op

revision = '0019'
down_revision = '0018'
branch_labels = None
depends_on = None

COLUMNS = ('calls_in_chat', 'missed_calls', 'numbers_in_chat')


def upgrade() -> None:
    with op.batch_alter_table('preference') as table:
        for name in COLUMNS:
            table.add_column(sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False))
