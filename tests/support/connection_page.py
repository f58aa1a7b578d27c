"""Answers of the connection page's API."""

from typing import Any


def get_part(answer: Any, name: str) -> dict[str, Any]:
    """Return one part of the report, for example `link`."""
    assert answer.status == 200, answer
    return next(part for part in answer.body["parts"] if part["part"] == name)
