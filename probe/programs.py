r"""Recognises Teams and softphones by the names of processes, bundles and streams.

The names of Microsoft's programs are published (learn.microsoft.com, "New Teams client: file locations"; the classic
client was Teams.exe). STARFACE's are not, so every name that contains "STARFACE" or "UCC Client" is accepted. Users can
extend the list in `programs.toml` in the folder of the probe's settings:

    [[program]]
    kind = "softphone"          # or "teams"
    name = 'phone\.exe'         # a regular expression, any case, for the whole name
"""

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from probe.errors import ProbeError
from wire.textfile import UnreadableTextError, read_text


class Program(StrEnum):
    TEAMS = "teams"
    SOFTPHONE = "softphone"


@dataclass(frozen=True, slots=True)
class Rule:
    program: Program
    name: re.Pattern[str]


def _rules(program: Program, *names: str) -> tuple[Rule, ...]:
    return tuple(Rule(program, re.compile(name, re.IGNORECASE)) for name in names)


BUILT_IN: Final = (
    *_rules(
        Program.TEAMS,
        r"(?:ms-?)?teams(?:\.exe)?",
        r"ms-?teams_?(?:modulehost|update)?(?:\.exe)?",
        r"microsoft teams(?: \(.*\)| classic)?(?: (?:webview|helper|modulehost).*)?(?:\.app)?",
        r"com\.microsoft\.teams2?(?:\..*)?",
        r"teams-for-linux(?:\..*)?",
        # Teams as a browser app, by the address with which it was started.
        r"--app=https://teams\.(?:microsoft\.com|cloud\.microsoft|live\.com).*",
    ),
    *_rules(Program.SOFTPHONE, r".*starface.*", r".*ucc[ _-]?client.*"),
)


class Recogniser:
    """Recognises a program by its names. The `extra` rules take precedence over the built-in ones."""

    def __init__(self, extra: Sequence[Rule] = ()) -> None:
        self._rules = (*extra, *BUILT_IN)

    def __call__(self, names: Iterable[str]) -> Program | None:
        """Return the program to which one of the names belongs, or None. `names`: nearest first (stream, process, parents)."""
        for name in names:
            for rule in self._rules:
                if rule.name.fullmatch(name.strip()):
                    return rule.program
        return None


def load_rules(path: Path) -> tuple[Rule, ...]:
    """Return the user's own rules. Raises `ProbeError`, whose message names the faulty entry."""
    try:
        content = tomllib.loads(read_text(path))
    except FileNotFoundError:
        return ()
    except (OSError, UnreadableTextError, tomllib.TOMLDecodeError) as fault:
        raise ProbeError(f"cannot read {path}: {fault}") from fault
    return tuple(
        _rule(path, number, entry) for number, entry in enumerate(content.get("program", []), start=1)
    )


def _rule(path: Path, number: int, entry: Any) -> Rule:
    try:
        return Rule(Program(entry["kind"]), re.compile(entry["name"], re.IGNORECASE))
    except (KeyError, TypeError, ValueError, re.error) as fault:
        raise ProbeError(
            f'{path}: program {number} needs kind = "teams" or "softphone" and name = "a regular expression" ({fault})'
        ) from fault
