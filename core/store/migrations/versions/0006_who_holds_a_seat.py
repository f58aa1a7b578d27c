"""who holds a seat: an index of the held ones alone"""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

HELD = 'holder IS NOT NULL'
OTHERS = {
    'ix_seat_free_for_all': (
        'pool_id', 'holder IS NULL AND NOT retired AND reserved_for IS NULL AND kept_for IS NULL'
    ),
    'ix_seat_kept': ('kept_until', 'kept_for IS NOT NULL'),
}


def upgrade() -> None:
    # On SQLite the table is made again for this, and its partial indexes with it.
    for name in OTHERS:
        op.drop_index(name, table_name='seat')
    with op.batch_alter_table('seat', table_kwargs={'sqlite_with_rowid': False}) as batch_op:
        batch_op.drop_constraint('uq_seat_pbx_id_holder', type_='unique')
    for name, (column, condition) in OTHERS.items():
        op.create_index(
            name, 'seat', [column], sqlite_where=sa.text(condition), postgresql_where=sa.text(condition)
        )
    op.create_index(
        'uq_seat_pbx_id_holder', 'seat', ['pbx_id', 'holder'], unique=True,
        sqlite_where=sa.text(HELD), postgresql_where=sa.text(HELD),
    )
