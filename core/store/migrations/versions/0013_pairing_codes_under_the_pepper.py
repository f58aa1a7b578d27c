"""pairing codes under the pepper: older codes cannot be converted, users request new ones"""

from alembic import op

revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute('DELETE FROM audio_pairing')
