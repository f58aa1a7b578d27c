"""names are host names, and evidence of other installations is kept by address"""

import idna
import sqlalchemy as sa
from alembic import op

from core.budget import address_group

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('refused_claim', sa.Column('address_group', sa.String(length=64), nullable=False, server_default=''))
    op.add_column('refused_claim', sa.Column('first_at', sa.BigInteger(), nullable=False, server_default='0'))
    connection = op.get_bind()
    connection.execute(sa.text('UPDATE refused_claim SET first_at = at'))
    addresses = connection.execute(sa.text('SELECT DISTINCT address FROM refused_claim')).scalars().all()
    for address in addresses:
        connection.execute(
            sa.text('UPDATE refused_claim SET address_group = :group WHERE address = :address'),
            {'group': address_group(address), 'address': address},
        )
    for table, column in (('pbx', 'name'), ('enrolment', 'pbx_name')):
        _to_a_labels(connection, table, column)


def _to_a_labels(connection: sa.Connection, table: str, column: str) -> None:
    """Names with letters beyond ASCII become their A-labels, unless somebody has those. All others stay as they are."""
    names = set(connection.execute(sa.text(f'SELECT {column} FROM {table}')).scalars())  # noqa: S608
    for name in sorted(names):
        try:
            new = name if name.isascii() else idna.encode(name).decode()
        except UnicodeError:  # never a host name
            continue
        if new != name and new not in names:
            connection.execute(
                sa.text(f'UPDATE {table} SET {column} = :new WHERE {column} = :old'),  # noqa: S608
                {'new': new, 'old': name},
            )
            names.add(new)


def downgrade() -> None:
    op.drop_column('refused_claim', 'first_at')
    op.drop_column('refused_claim', 'address_group')
