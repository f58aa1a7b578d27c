"""The live updates of an open tab (server-sent events). Each model is the content of one kind of event."""

from wire.model import WireModel
from wire.tab import PoolState


class SeatsChange(WireModel):
    """Event `seats`: the floating licences of the PBX, for everybody who is signed in there."""

    seats_used: int
    seats_total: int


class HoldersChange(WireModel):
    """Event `holders`, for administrators: somebody signed in or out, or a rule changed. The page requests the rows."""

    pools: list[PoolState]
    waiting: int
