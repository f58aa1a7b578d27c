"""Reads pydantic's errors about a message from outside, up to a limit.

Pydantic reports each unknown member and each wrong element, and makes a dictionary for each. For a body of 256 KiB that
took half a second, during which no other request was answered.
"""

from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

MAX_FAULTS: Final = 100
"""Most errors of one message that are read. The author of a client needs only the first few."""


def faults_of(invalid: ValidationError) -> list[ErrorDetails]:
    """Return the errors without the values, which may be secret; an empty list for more than `MAX_FAULTS` errors."""
    if invalid.error_count() > MAX_FAULTS:
        return []
    return invalid.errors(include_url=False, include_input=False, include_context=False)
