"""indexes for what the operator did lately at the command line"""

import sqlalchemy as sa
from alembic import op

revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, column in (('audit', 'actor_kind'), ('session_end', 'ended_by_kind')):
        by_operator = sa.text(f"{column} = 'operator'")
        op.create_index(
            f'ix_{table}_operator_at',
            table,
            ['at'],
            unique=False,
            sqlite_where=by_operator,
            postgresql_where=by_operator,
        )
