"""What does not fit in a message from outside, as far as anybody wants to read it.

Pydantic finds a fault for every unknown member and every wrong element, and makes a dictionary of each: for a body of
256 KiB that took half a second, in which nobody else was answered.
"""

from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

MAX_FAULTS: Final = 100
"""Of one message. The author of a client reads the first few."""


def faults_of(invalid: ValidationError) -> list[ErrorDetails]:
    """Empty when there are more than `MAX_FAULTS`; never with the values, which may be secret."""
    if invalid.error_count() > MAX_FAULTS:
        return []
    return invalid.errors(include_url=False, include_input=False, include_context=False)
