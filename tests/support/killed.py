"""Runs a function in a process of its own that is killed before its n-th line of code."""

import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

LONGEST = 20_000
"""Lines after which something runs for ever."""


def killed_at_every_line(work: Callable[[], object], *files: str) -> Iterator[bool]:
    """Yield after each process that was killed (`kill -9`) before the first, second, … line that it ran in `files`, the
    ends of their paths; True for the last one, which ended by itself.
    """
    for line in range(1, LONGEST):
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # that other threads exist; the child runs one
            child = os.fork()
        if child == 0:
            _run_until(work, line, files)
        _, status = os.waitpid(child, 0)
        ended = not os.WIFSIGNALED(status)
        assert not ended or os.WEXITSTATUS(status) == 0, "the work itself failed"
        yield ended
        if ended:
            return
    raise AssertionError("the work does not end")


def _run_until(work: Callable[[], object], line: int, files: tuple[str, ...]) -> None:
    left = line

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal left
        if not _is_of(frame.f_code, files):
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    code = 1
    try:
        sys.settrace(trace)
        work()
        code = 0
    finally:
        sys.settrace(None)
        os._exit(code)


def _is_of(code: CodeType, files: tuple[str, ...]) -> bool:
    return code.co_filename.endswith(files)
