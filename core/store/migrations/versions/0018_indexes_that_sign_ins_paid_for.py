"""without two indexes that every sign-in paid for: the order of the holders' page, who was granted a seat"""

from alembic import op

revision = '0018'
down_revision = '0017'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index('ix_session_pbx_id_name', table_name='session')
    op.drop_index('ix_audit_granted', table_name='audit')
