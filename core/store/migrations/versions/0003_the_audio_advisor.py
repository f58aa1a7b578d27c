"""the audio advisor"""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def _person() -> list[sa.Column[str]]:
    return [
        sa.Column('tenant_id', sa.String(length=36), nullable=False),
        sa.Column('object_id', sa.String(length=36), nullable=False),
    ]


def upgrade() -> None:
    op.create_table('audio_probe',
    sa.Column('id', sa.String(length=36), nullable=False),
    *_person(),
    sa.Column('token_hash', sa.String(length=64), nullable=False),
    sa.Column('machine', sa.String(length=100), nullable=False),
    sa.Column('platform', sa.String(length=20), nullable=False),
    sa.Column('version', sa.String(length=50), nullable=False),
    sa.Column('paired_at', sa.BigInteger(), nullable=False),
    sa.Column('last_seen_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audio_probe')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_audio_probe_token_hash'))
    )
    op.create_index('ix_audio_probe_tenant_id_object_id', 'audio_probe', ['tenant_id', 'object_id'])
    op.create_table('audio_pairing',
    *_person(),
    sa.Column('code_hash', sa.String(length=64), nullable=False),
    sa.Column('expires_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('tenant_id', 'object_id', name=op.f('pk_audio_pairing')),
    sa.UniqueConstraint('code_hash', name=op.f('uq_audio_pairing_code_hash'))
    )
    op.create_table('audio_report',
    *_person(),
    sa.Column('source', sa.String(length=20), nullable=False),
    sa.Column('origin', sa.String(length=36), nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('content', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('tenant_id', 'object_id', 'source', 'origin', name=op.f('pk_audio_report'))
    )
    op.create_index('ix_audio_report_at', 'audio_report', ['at'])
    op.create_table('audio_call',
    sa.Column('id', sa.String(length=36), nullable=False),
    *_person(),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audio_call'))
    )
    op.create_index('ix_audio_call_tenant_id_object_id', 'audio_call', ['tenant_id', 'object_id'])
    op.create_table('audio_person',
    *_person(),
    sa.Column('named', sa.Boolean(), nullable=False),
    sa.Column('records', sa.Boolean(), nullable=False),
    sa.Column('help_since', sa.BigInteger()),
    sa.Column('quiet_until', sa.BigInteger()),
    sa.Column('never', sa.Text(), nullable=False),
    sa.Column('told_at', sa.BigInteger()),
    sa.Column('verdict', sa.String(length=10)),
    sa.Column('model', sa.String(length=200)),
    sa.Column('concluded_at', sa.BigInteger()),
    sa.PrimaryKeyConstraint('tenant_id', 'object_id', name=op.f('pk_audio_person'))
    )
