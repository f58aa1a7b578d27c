"""Checks the form of a commit's subject, as described in CONTRIBUTING.md. Git passes the file with the message."""

import sys
from pathlib import Path
from typing import Final

MAX_SUBJECT: Final = 72
GENERATED: Final = ("Merge ", "Revert ", "fixup! ", "squash! ", "amend! ")
"""Prefixes of subjects that Git generates."""


def faults_of(message: str) -> list[str]:
    """Return the faults of a message; comments are ignored as Git does."""
    lines = [line for line in message.splitlines() if not line.startswith("#")]
    subject = next((line for line in lines if line.strip()), "")
    if subject.startswith(GENERATED):
        return []
    faults = []
    if not subject:
        faults.append("the subject is empty")
    if len(subject) > MAX_SUBJECT:
        faults.append(f"the subject has {len(subject)} characters; {MAX_SUBJECT} are allowed")
    if subject.endswith("."):
        faults.append("the subject ends with a full stop")
    if subject and not subject[0].isupper():
        faults.append("the subject begins with a small letter; write it as an order: Show who is calling")
    position = lines.index(subject) if subject else 0
    if len(lines) > position + 1 and lines[position + 1].strip():
        faults.append("an empty line must follow the subject")
    return faults


def main(path: str) -> int:
    faults = faults_of(Path(path).read_text(encoding="utf-8"))
    for fault in faults:
        print(f"commit message: {fault}", file=sys.stderr)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
