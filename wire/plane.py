"""What replicas of the service say to each other over NATS (docs/scale.md).

A request goes to the replica that holds the link; what changed is said to all of them. Calls and answers that one
replica has for another in the same moment are one message: a line each, `c` or `a` and the JSON of the model.
"""

from typing import Annotated, Final

from pydantic import Field

from wire.bounds import Count, Exact, token
from wire.model import WireModel
from wire.safejson import Evidence, JsonObject


class PlaneCall(WireModel):
    """One call for a link that the receiving replica holds. Sent at most once."""

    id: Count
    """Of the asking replica, for this receiver."""
    pbx_id: Annotated[str, token(36)]
    epoch: Count
    """The link must be of this epoch or a later one: an older link is never asked."""
    method: Annotated[str, token(100)]
    params: JsonObject
    deadline: float = Field(gt=0, le=120, allow_inf_nan=False)
    """Seconds."""


class PlaneAnswer(WireModel):
    """Either a result or a code; `not-here` says that the call was handed to no link."""

    id: Count
    result: JsonObject | None = None
    code: Annotated[str, token(100)] | None = None
    evidence: Evidence = Field(default_factory=dict)


NOT_HERE: Final = "not-here"


MAX_TOPICS: Final = 1000


class TopicsChanged(WireModel):
    """Topics of the bus on which something happened."""

    origin: Annotated[str, token(36)]
    """The replica that says it, which has told its own watchers already."""
    topics: list[Annotated[str, Exact(500)]] = Field(max_length=MAX_TOPICS)
