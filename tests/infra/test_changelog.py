"""The version stands in one place, and the changelog knows it."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def test_every_program_says_the_version_of_pyproject() -> None:
    assert version("pbx-teams") == VERSION, "run make install"


def test_the_newest_entry_is_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.findall(r"^## (\d+)\.(\d+)\.(\d+) - \d{4}-\d\d-\d\d$", text, re.MULTILINE)
    versions = [tuple(map(int, parts)) for parts in found]
    assert versions[0] == tuple(map(int, VERSION.split(".")))
    assert versions == sorted(set(versions), reverse=True)
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    # Before them stands what the newest version has not.
    released = headings[1:] if headings[0] == "Unreleased" else headings
    assert len(found) == len(released), "every entry has a version and a day"
