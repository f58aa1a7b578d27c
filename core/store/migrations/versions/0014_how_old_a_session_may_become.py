"""when the user of a session was proven last, and when it ends for its age"""

import sqlalchemy as sa
from alembic import op

revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('session', sa.Column('proven_at', sa.BigInteger(), nullable=True))
    op.add_column('session', sa.Column('ends_at', sa.BigInteger(), nullable=True))
