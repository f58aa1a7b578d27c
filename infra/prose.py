"""Checks spelling, and rejects unnatural phrases, in the English of code, documents and texts for users.

    make check

codespell knows common misspellings. `PHRASES` lists phrases that were common in this repository and are not plain
English, each with better wording; names such as `test_who_is_told` are checked as well. German language files are not.
"""

import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
LOOKED_AT: Final = (
    *("*.py", "*.ts", "*.js", "*.mjs", "*.html", "*.css", "*.sh", "*.ps1", "*.bicep", "*.service"),
    *("*.md", "*.toml", "*.yaml", "*.yml", "*en.json", "Makefile", "*/Containerfile", ".ci/run"),
)
NOT_LOOKED_AT: Final = frozenset(
    {
        "infra/prose.py",  # names the phrases
        "tests/infra/test_prose.py",
        # Labels of devices, in 45 languages.
        "core/audio/products.toml",
        "core/audio/terms.toml",
        "core/audio/vocabulary.py",
        "tests/core/audio/machines.toml",
        "tests/core/audio/later_machines.toml",
    }
)

GERMAN_TOO: Final = frozenset({"docs/privacy.md", "probe/sentences.py", "tests/core/audio/situations.toml"})
"""Files in both languages, which codespell skips."""


@dataclass(frozen=True, slots=True)
class Phrase:
    pattern: re.Pattern[str]
    better: str


def _phrase(pattern: str, better: str) -> Phrase:
    return Phrase(re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), better)


PHRASES: Final = (
    _phrase("whoever", "the person who, the caller, anyone who"),
    _phrase("anew", "again"),
    _phrase("for want of", "because there is no"),
    _phrase("good no longer", "no longer valid"),
    _phrase("of no account", "does not count"),
    _phrase("of whom nothing", "of which nothing is known"),
    _phrase("reckon(?:s|ed|ing)?", "compute, estimate"),
    _phrase("passed over", "skipped, ignored"),
    _phrase("spoilt", "invalid, disturbed"),
    _phrase("came to nothing", "failed"),
    _phrase("bur(?:y|ied|ies) (?:a|the|its|one|another) (?:replica|link)", "evict"),
    _phrase("not to be had", "not available"),
    _phrase("out of its time", "expired or not yet valid"),
    _phrase("in time no word|no word in time", "timed out"),
    _phrase("what (?:came|became) of it", "the outcome, the result"),
    _phrase("did not live to", "died before"),
    _phrase("at the longest", "at most"),
    _phrase("who is told", "who is notified, who is informed"),
    _phrase("holds good", "is valid, applies"),
    _phrase("stays what it was", "does not change"),
    _phrase("kept no longer", "no longer kept, released"),
    _phrase("(?:is|are|was|were) told whose", "is called with, gets"),
    _phrase("(?:is|are) to be told", "is notified, must be informed"),
    _phrase("of before", "earlier, older, of the previous version"),
    _phrase("whatever (?:it|they) (?:is|are)", "any, every, regardless of"),
    _phrase("(?:said|told) by itself", "sent unasked, a live update"),
    _phrase("(?:has|have) yet to be told", "has not been informed yet"),
    _phrase("the barest", "the most minimal"),
    _phrase("looks again", "checks again, polls"),
    _phrase("(?:is|are) told (?:who|why|which)", "is called with, gets"),
    _phrase("says? nothing of", "says nothing about"),
    _phrase("(?:counts?|followed|shown) no longer", "no longer counts, no longer shown"),
)


NAME_PHRASES: Final = (
    _phrase("told(?: (?:apart|so|alike))?", "reported, informed, shown, distinguished"),
    _phrase("says? so", "reports it"),
    _phrase("by itself", "automatically"),
)
"""Phrases that are fine in a sentence, but not in the name of a test."""

_TEST_NAME: Final = re.compile(r"\btest_\w+")


@dataclass(frozen=True, slots=True)
class Fault:
    line: int
    text: str
    better: str


def faults_of(text: str) -> list[Fault]:
    """Return the phrases found in a text, with line numbers from 1."""
    faults = []
    for number, line in enumerate(text.splitlines(), 1):
        names = " | ".join(name.replace("_", " ") for name in _TEST_NAME.findall(line))
        for phrases, looked_at in ((PHRASES, line.replace("_", " ")), (NAME_PHRASES, names)):
            faults += [
                Fault(number, found.group(), phrase.better)
                for phrase in phrases
                for found in phrase.pattern.finditer(looked_at)
            ]
    return faults


def _files() -> list[str]:
    listed = subprocess.run(  # noqa: S603 - our own command
        ("git", "ls-files", "-z", *LOOKED_AT),  # noqa: S607
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    return [name for name in listed if name and name not in NOT_LOOKED_AT and (ROOT / name).is_file()]


def _misspelt(files: Iterable[str]) -> int:
    command = (sys.executable, "-m", "codespell_lib", *(name for name in files if name not in GERMAN_TOO))
    return subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603 - our own command


def main() -> int:
    files = _files()
    failed = _misspelt(files) != 0
    for name in files:
        for fault in faults_of((ROOT / name).read_text(encoding="utf-8")):
            failed = True
            print(f"{name}:{fault.line}: {fault.text!r}: better: {fault.better}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
