"""The messages between replicas of the service over NATS (docs/scale.md).

A request goes to the replica that holds the link; a change is published to all replicas. Calls and answers that one
replica has for another at the same moment are sent as one message. Each is one line: `c` or `a`, then the JSON of the
model.
"""

from typing import Annotated, Final

from pydantic import Field

from wire.bounds import Count, Exact, token
from wire.model import WireModel
from wire.safejson import Evidence, JsonObject


class PlaneCall(WireModel):
    """One call for a link that the receiving replica holds. Sent at most once."""

    id: Count
    """The calling replica's number for this call, unique for this receiver."""
    pbx_id: Annotated[str, token(36)]
    epoch: Count
    """The lowest epoch that the link may have: an older link is never called."""
    method: Annotated[str, token(100)]
    params: JsonObject
    deadline: float = Field(gt=0, le=120, allow_inf_nan=False)
    """Seconds until the answer is no longer waited for."""


class PlaneAnswer(WireModel):
    """Either a result or a code. `NOT_HERE` means that the call was given to no link."""

    id: Count
    result: JsonObject | None = None
    code: Annotated[str, token(100)] | None = None
    evidence: Evidence = Field(default_factory=dict)


NOT_HERE: Final = "not-here"


MAX_TOPICS: Final = 1000


class TopicsChanged(WireModel):
    """Topics of the bus on which something has changed."""

    origin: Annotated[str, token(36)]
    """The replica that sends the message; it has already notified its own subscribers."""
    topics: list[Annotated[str, Exact(500)]] = Field(max_length=MAX_TOPICS)
