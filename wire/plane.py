"""What replicas of the service say to each other over NATS (design, section 9).

A request goes to the replica that holds the link; what changed is said to all of them. Calls and answers that one
replica has for another in the same moment are one message: a line each, `c` or `a` and the JSON of the model.
"""

from typing import Any, Final

from pydantic import Field

from wire.model import WireModel


class PlaneCall(WireModel):
    """One call for a link that the receiving replica holds. Sent at most once."""

    id: int
    """Of the asking replica, for this receiver."""
    pbx_id: str
    epoch: int
    """The link must be of this epoch or a later one: an older link is never asked."""
    method: str
    params: dict[str, Any]
    deadline: float = Field(gt=0, le=120)
    """Seconds."""


class PlaneAnswer(WireModel):
    """Either a result or a code; `not-here` says that the call was handed to no link."""

    id: int
    result: dict[str, Any] | None = None
    code: str | None = None
    evidence: dict[str, Any] = Field(default_factory=dict)


NOT_HERE: Final = "not-here"


MAX_TOPICS: Final = 1000


class PlaneNews(WireModel):
    """Topics of the bus on which something happened."""

    origin: str
    """The replica that says it, which has told its own watchers already."""
    topics: list[str] = Field(max_length=MAX_TOPICS)
