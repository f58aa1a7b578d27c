"""until when a person's missed calls have been handled"""

import sqlalchemy as sa
from alembic import op

revision = '0021'
down_revision = '0020'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('phone_consent') as table:
        table.add_column(sa.Column('missed_until', sa.BigInteger(), nullable=True))
