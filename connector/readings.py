"""What the connector has read of its PBX, part by part: since when each part is read, or why it is not."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from connector.errors import LoginPausedError, PbxError
from wire.readings import Reading, ReadingPart, ReadingState

MAX_DETAIL: Final = 500


class Readings:
    def __init__(self, on_change: Callable[[], None]) -> None:
        """`on_change` is called when a part is read again, or no longer; not at every reading."""
        self._on_change = on_change
        self._parts: dict[ReadingPart, Reading] = {}
        self.pbx_version: str | None = None
        """As last told."""

    def read(self, part: ReadingPart, *, skipped: int = 0, detail: str | None = None) -> None:
        """The part was read. `skipped`: records of it that could not be understood."""
        self._put(part=part, state=ReadingState.OK, code=None, detail=detail, skipped=skipped)

    def failed(self, part: ReadingPart, fault: PbxError) -> None:
        """The part could not be read; what was known of it before stays. Between two tries of a refused login the
        refusal is what counts, not the wait.
        """
        before = self._parts.get(part)
        if isinstance(fault, LoginPausedError) and not fault.is_final and before is not None and before.code:
            return
        self._put(part=part, state=ReadingState.FAILED, code=fault.code, detail=str(fault), skipped=0)

    def incomplete(self, part: ReadingPart, code: str, detail: str) -> None:
        """The part was read and lacks something that is needed of it."""
        self._put(part=part, state=ReadingState.FAILED, code=code, detail=detail, skipped=0)

    def of(self, part: ReadingPart) -> Reading | None:
        """None: not tried yet."""
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
            # Only the words differ, for instance the seconds of a wait: that is no change.
            return
        since = datetime.now(UTC) if before is None or before.state is not state else before.since
        self._parts[part] = Reading(
            part=part, state=state, since=since, code=code, detail=detail, skipped=skipped
        )
        self._on_change()
