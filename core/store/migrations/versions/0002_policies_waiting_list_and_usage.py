"""policies, waiting list and usage"""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None

FREE_FOR_ALL = "holder IS NULL AND NOT retired AND reserved_for IS NULL AND kept_for IS NULL"


def upgrade() -> None:
    with op.batch_alter_table('pool') as batch_op:
        batch_op.add_column(sa.Column('plain', sa.Boolean(), nullable=False, server_default=sa.text('true')))
        batch_op.add_column(sa.Column('policy', sa.Text(), nullable=False, server_default='{}'))
        batch_op.add_column(sa.Column('expiry_told', sa.Integer()))
    # Nothing is known of surplus yet: the first transaction that touches a pool finds out.
    op.execute('UPDATE pool SET plain = false')

    with op.batch_alter_table('session') as batch_op:
        batch_op.drop_constraint('uq_session_pool_id_seat_number', type_='unique')
        batch_op.add_column(sa.Column('licence_since', sa.BigInteger()))
    op.execute(
        'UPDATE session SET licence_since = coalesce((SELECT taken_at FROM seat'
        ' WHERE seat.pool_id = session.pool_id AND seat.number = session.seat_number), started_at)'
    )
    with op.batch_alter_table('session', table_kwargs={'sqlite_with_rowid': False}) as batch_op:
        batch_op.alter_column('licence_since', existing_type=sa.BigInteger(), nullable=False)

    op.drop_index('ix_seat_free', table_name='seat')
    with op.batch_alter_table('seat', table_kwargs={'sqlite_with_rowid': False}) as batch_op:
        batch_op.add_column(sa.Column('reserved_for', sa.String(length=36)))
        batch_op.add_column(sa.Column('kept_for', sa.BigInteger()))
        batch_op.add_column(sa.Column('kept_until', sa.BigInteger()))
        batch_op.drop_column('taken_at')
    op.create_index(
        'ix_seat_free_for_all', 'seat', ['pool_id'],
        sqlite_where=sa.text(FREE_FOR_ALL), postgresql_where=sa.text(FREE_FOR_ALL),
    )
    op.create_index(
        'ix_seat_kept', 'seat', ['kept_until'],
        sqlite_where=sa.text('kept_for IS NOT NULL'), postgresql_where=sa.text('kept_for IS NOT NULL'),
    )

    op.create_table('waiting',
    sa.Column('pbx_id', sa.String(length=36), nullable=False),
    sa.Column('pbx_user_id', sa.BigInteger(), nullable=False),
    sa.Column('tenant_id', sa.String(length=36), nullable=False),
    sa.Column('object_id', sa.String(length=36), nullable=False),
    sa.Column('display_name', sa.String(length=200), nullable=False),
    sa.Column('group_ids', sa.Text(), nullable=False),
    sa.Column('refused_at', sa.BigInteger(), nullable=False),
    sa.Column('joined_at', sa.BigInteger()),
    sa.Column('offered_at', sa.BigInteger()),
    sa.ForeignKeyConstraint(['pbx_id'], ['pbx.id'], name=op.f('fk_waiting_pbx_id')),
    sa.PrimaryKeyConstraint('pbx_id', 'pbx_user_id', name=op.f('pk_waiting')),
    sa.UniqueConstraint('tenant_id', 'object_id', name=op.f('uq_waiting_tenant_id_object_id'))
    )

    # The audit gets short ids in the order of writing, and the columns that usage is computed from.
    op.rename_table('audit', 'audit_before')
    op.drop_index('ix_audit_pbx_id_at', table_name='audit_before')
    integer = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    op.create_table('audit',
    sa.Column('id', integer, autoincrement=True, nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('pbx_id', sa.String(length=36), nullable=False),
    sa.Column('kind', sa.String(length=30), nullable=False),
    sa.Column('actor', sa.String(length=200), nullable=False),
    sa.Column('subject', sa.String(length=200), nullable=False),
    sa.Column('detail', sa.Text(), nullable=False),
    sa.Column('pbx_user_id', sa.BigInteger()),
    sa.Column('pool_id', sa.String(length=36)),
    sa.Column('held_from', sa.BigInteger()),
    sa.PrimaryKeyConstraint('id', name='pk_audit_2')
    )
    op.execute(
        'INSERT INTO audit (at, pbx_id, kind, actor, subject, detail)'
        ' SELECT at, pbx_id, kind, actor, subject, detail FROM audit_before ORDER BY at, id'
    )
    op.drop_table('audit_before')
    op.create_index('ix_audit_pbx_id_at', 'audit', ['pbx_id', 'at'])
