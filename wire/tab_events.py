"""The live updates of an open tab (server-sent events): what has changed, as the content of the event of that name."""

from wire.model import WireModel
from wire.tab import PoolState


class SeatsChange(WireModel):
    """`seats`: the floating licences of the PBX, as everybody who is signed in there sees them."""

    seats_used: int
    seats_total: int


class HoldersChange(WireModel):
    """`holders`, for administrators: somebody signed in or out, or a rule changed. The rows are asked for page by page."""

    pools: list[PoolState]
    waiting: int
