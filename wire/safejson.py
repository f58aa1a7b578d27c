"""JSON from outside, with limits on its nesting and its numbers that are checked before other code walks over it.

JSON from outside is read only by pydantic's parser (jiter), which stops at 200 levels and refuses lone surrogates.
`json.loads` of the standard library does neither and ends in a `RecursionError`.
"""

import math
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError, from_json

from wire.bounds import MAX_INTEGER, clean_line

MAX_DEPTH: Final = 16
"""Nesting allowed in our own messages, which have at most five levels."""
MAX_FOREIGN_DEPTH: Final = 20
"""Nesting allowed in Microsoft's activities; what a button of the bot's cards sends has five levels."""
MAX_EVIDENCE: Final = 20


def parse(data: bytes | str, max_depth: int = MAX_FOREIGN_DEPTH) -> Any:
    """Read JSON that somebody else wrote. Integers of any size pass: others may add members that are not used here, and
    a model bounds those that are.

    Raises `ValueError`, without the content, if the text is not JSON, is nested too deeply or has a number that is not
    finite.
    """
    try:
        value = from_json(data, allow_inf_nan=False)
    except ValueError as no_json:
        raise ValueError("not JSON") from no_json
    fault = _fault(value, max_depth, math.inf)
    if fault is not None:
        raise ValueError(fault)
    return value


def _fault(value: Any, max_depth: int, max_integer: float = MAX_INTEGER) -> str | None:
    """Return the first violation of the limits, or None. Goes level by level, without recursion."""
    level = [value]
    for _ in range(max_depth + 1):
        below: list[Any] = []
        for one in level:
            if isinstance(one, str):
                continue
            if isinstance(one, dict):
                below.extend(one.values())
            elif isinstance(one, list):
                below.extend(one)
            elif isinstance(one, int):
                if not -max_integer <= one <= max_integer:
                    return "a number is too large"
            elif isinstance(one, float) and not math.isfinite(one):
                return "a number is not finite"
        if not below:
            return None
        level = below
    return "nested too deeply"


def _checked(value: dict[str, Any]) -> dict[str, Any]:
    fault = _fault(value, MAX_DEPTH)
    if fault is not None:
        raise PydanticCustomError("json_bounds", "the object is nested too deeply, or has too large a number")
    return value


JsonObject = Annotated[dict[str, Any], AfterValidator(_checked)]
"""The members of a message that is not yet validated by its model."""


def _clean_evidence(value: Any) -> Any:
    """Keep scalars only and clean texts, because evidence fills placeholders in sentences."""
    if not isinstance(value, dict):
        return value
    scalars = [
        (name, one) for name, one in value.items() if one is None or isinstance(one, str | int | float)
    ]
    return {
        clean_line(str(name), 50): clean_line(one, 500) if isinstance(one, str) else one
        for name, one in scalars[:MAX_EVIDENCE]
        if _fault(one, 0) is None
    }


Evidence = Annotated[dict[str, Any], BeforeValidator(_clean_evidence)]
"""The facts of a finding: names of placeholders and the values that replace them."""
