"""What the connector has read from its PBX, part by part: since when a part can be read, or why it cannot."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from connector.errors import LoginPausedError, PbxError
from wire.readings import Reading, ReadingPart, ReadingState

MAX_DETAIL: Final = 500


class Readings:
    def __init__(self, on_change: Callable[[], None]) -> None:
        """`on_change` is called when the state of a part changes, not at every reading."""
        self._on_change = on_change
        self._parts: dict[ReadingPart, Reading] = {}
        self.pbx_version: str | None = None
        """The version that the PBX last reported."""

    def read(self, part: ReadingPart, *, skipped: int = 0, detail: str | None = None) -> None:
        """Mark a part as read. `skipped`: the number of its records that could not be parsed."""
        self._put(part=part, state=ReadingState.OK, code=None, detail=detail, skipped=skipped)

    def failed(self, part: ReadingPart, fault: PbxError) -> None:
        """Mark a part as failed; values that were read before remain. A pause between two tries of a refused login does not
        replace the refusal.
        """
        before = self._parts.get(part)
        if isinstance(fault, LoginPausedError) and not fault.is_final and before is not None and before.code:
            return
        self._put(part=part, state=ReadingState.FAILED, code=fault.code, detail=str(fault), skipped=0)

    def incomplete(self, part: ReadingPart, code: str, detail: str) -> None:
        """Mark a part that was read but lacks something necessary."""
        self._put(part=part, state=ReadingState.FAILED, code=code, detail=detail, skipped=0)

    def of(self, part: ReadingPart) -> Reading | None:
        """Return the state of a part, or None if it was not tried yet."""
        return self._parts.get(part)

    @property
    def all(self) -> tuple[Reading, ...]:
        return tuple(self._parts[part] for part in ReadingPart if part in self._parts)

    def _put(
        self, part: ReadingPart, state: ReadingState, code: str | None, detail: str | None, skipped: int
    ) -> None:
        before = self._parts.get(part)
        detail = detail[:MAX_DETAIL] if detail else None
        if before is not None and (before.state, before.code, before.skipped) == (state, code, skipped):
            # A difference only in the detail, for instance the seconds of a wait, is not a change.
            return
        since = datetime.now(UTC) if before is None or before.state is not state else before.since
        self._parts[part] = Reading(
            part=part, state=state, since=since, code=code, detail=detail, skipped=skipped
        )
        self._on_change()
