"""Creates a release: the version in pyproject.toml, the date in CHANGELOG.md, one commit and its tag. Nothing is
pushed.

    make release VERSION=0.2.0

The version is MAJOR.MINOR.PATCH and newer than the last. The work tree must be clean, and the changelog must have entries
under "Unreleased". When a step fails, nothing is left half done: both files are written before the commit, and restored if
Git refuses it.
"""

import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
UNRELEASED: Final = "## Unreleased\n"
NEWS: Final = "tab/web/src/words/news.json"


class ReleaseError(Exception):
    """The reason why a release is not possible, for the user of the command."""


def parts_of(version: str) -> tuple[int, int, int]:
    """Parse a version. Raises `ReleaseError`."""
    if not re.fullmatch(r"(?:0|[1-9]\d{0,5})(?:\.(?:0|[1-9]\d{0,5})){2}", version):
        raise ReleaseError(f'"{version}" is no version: write it as 1.2.3')
    major, minor, patch = map(int, version.split("."))
    return major, minor, patch


def new_project(project: str, version: str) -> str:
    """Return pyproject.toml with the new version. Raises `ReleaseError` if it is not newer."""
    old = tomllib.loads(project)["project"]["version"]
    if parts_of(version) <= parts_of(old):
        raise ReleaseError(f"{version} is not newer than {old}")
    new, count = re.subn(
        rf'^version = "{re.escape(old)}"$', f'version = "{version}"', project, flags=re.MULTILINE
    )
    if count != 1:
        raise ReleaseError("pyproject.toml does not name the version once")
    return new


def new_changelog(changelog: str, version: str, day: str) -> str:
    """Return the changelog with the entries of "Unreleased" under the new version. Raises `ReleaseError` if there
    are none.
    """
    before, found, after = changelog.partition(UNRELEASED)
    entries = after.partition("\n## ")[0]
    if not found or not entries.strip():
        raise ReleaseError('CHANGELOG.md has nothing under "Unreleased"')
    return f"{before}## {version} - {day}\n{after}"


def new_news(news: str, version: str, day: str) -> str:
    """Return the content of the page "What is new", with the entries of "Unreleased" under the new version. Raises
    `ReleaseError` if there are none.
    """
    if news.count('"Unreleased":') != 1:
        raise ReleaseError(f'{NEWS} has nothing under "Unreleased"')
    return news.replace('"Unreleased":', f'"{version} - {day}":')


def release(root: Path, version: str) -> None:
    """Create the release. Raises `ReleaseError`."""
    if _git(root, "status", "--porcelain"):
        raise ReleaseError("the work tree is not clean: commit or remove what is there first")
    if _git(root, "tag", "--list", f"v{version}"):
        raise ReleaseError(f"there is a tag v{version}")
    files = [root / "pyproject.toml", root / "CHANGELOG.md", root / NEWS]
    day = datetime.now(UTC).date().isoformat()
    before = [file.read_text(encoding="utf-8") for file in files]
    after = [
        new_project(before[0], version),
        new_changelog(before[1], version, day),
        new_news(before[2], version, day),
    ]
    try:
        for file, text in zip(files, after, strict=True):
            file.write_text(text, encoding="utf-8")
        _git(root, "commit", "--quiet", "--message", f"Release {version}", *(str(file) for file in files))
    except BaseException:
        for file, text in zip(files, before, strict=True):
            file.write_text(text, encoding="utf-8")
        raise
    _git(root, "tag", "--annotate", f"v{version}", "--message", f"Version {version}")


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(("git", *arguments), cwd=root, capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        raise ReleaseError(f"git {arguments[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout.strip()


def main(version: str) -> int:
    try:
        release(ROOT, version)
    except ReleaseError as fault:
        print(f"release: {fault}", file=sys.stderr)
        return 1
    print(f"Version {version} is committed and tagged v{version}. Look at it, then: git push --follow-tags")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
