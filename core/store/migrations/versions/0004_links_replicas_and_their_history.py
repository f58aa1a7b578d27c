"""links, replicas and their history"""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column('link_replica', sa.String(length=36)),
        sa.Column('connector_version', sa.String(length=50)),
        sa.Column('sealing_key', sa.String(length=200)),
        sa.Column('sealing_signature', sa.String(length=200)),
        sa.Column('previous_key_hmac', sa.String(length=64)),
        sa.Column('previous_key_until', sa.BigInteger()),
        sa.Column('refused_keys', sa.Text(), server_default='[]', nullable=False),
    ):
        op.add_column('pbx', column)
    op.create_index('ix_pbx_link_replica', 'pbx', ['link_replica'])
    op.add_column('audio_probe', sa.Column('replica', sa.String(length=36)))
    op.create_table('replica',
    sa.Column('id', sa.String(length=36), nullable=False),
    sa.Column('beat', sa.BigInteger(), nullable=False),
    sa.Column('started_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_replica'))
    )
    op.create_table('link_event',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('pbx_id', sa.String(length=36), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('kind', sa.String(length=30), nullable=False),
    sa.Column('detail', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['pbx_id'], ['pbx.id'], name=op.f('fk_link_event_pbx_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_link_event'))
    )
    op.create_index('ix_link_event_pbx_id_at', 'link_event', ['pbx_id', 'at'])
    op.create_table('enrolment',
    sa.Column('pbx_name', sa.String(length=253), nullable=False),
    sa.Column('code_hash', sa.String(length=64), nullable=False),
    sa.Column('expires_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('pbx_name', name=op.f('pk_enrolment'))
    )
