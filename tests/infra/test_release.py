"""`make release`, on a repository of its own."""

import subprocess
from pathlib import Path

import pytest

from infra.release import NEWS, ReleaseError, parts_of, release

PROJECT = '[project]\nname = "x"\nversion = "0.1.0"\n'
CHANGELOG = (
    "# Changelog\n\n## Unreleased\n\nAdded:\n\n- A telephone.\n\n## 0.1.0 - 2026-11-26\n\n- The first.\n"
)


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ("git", *arguments), cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    for name, value in (("user.name", "A"), ("user.email", "a@example.com"), ("commit.gpgsign", "false")):
        git(tmp_path, "config", name, value)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / NEWS).parent.mkdir(parents=True)
    (tmp_path / NEWS).write_text('{ "Unreleased": { "de": [], "en": [] } }')
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "Begin")
    return tmp_path


def test_version_changelog_commit_and_tag_fit_together(repository: Path) -> None:
    release(repository, "0.2.0")
    assert 'version = "0.2.0"' in (repository / "pyproject.toml").read_text()
    changelog = (repository / "CHANGELOG.md").read_text()
    assert changelog.index("## 0.2.0 - 20") < changelog.index("- A telephone.") < changelog.index("## 0.1.0")
    assert "Unreleased" not in changelog
    assert '"0.2.0 - 20' in (repository / NEWS).read_text()
    assert git(repository, "log", "-1", "--format=%s") == "Release 0.2.0"
    assert git(repository, "describe") == "v0.2.0" and git(repository, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("", "no version"),
        ("0.2", "no version"),
        ("v0.2.0", "no version"),
        ("0.2.0-rc1", "no version"),
        ("0.02.0", "no version"),
        ("0.1.0", "not newer"),
        ("0.0.9", "not newer"),
    ],
)
def test_what_is_no_newer_version_changes_nothing(repository: Path, version: str, reason: str) -> None:
    with pytest.raises(ReleaseError, match=reason):
        release(repository, version)
    assert git(repository, "log", "-1", "--format=%s") == "Begin"
    assert git(repository, "status", "--porcelain") == ""


def test_a_release_needs_a_clean_tree_and_something_new(repository: Path) -> None:
    (repository / "more").write_text("not committed")
    with pytest.raises(ReleaseError, match="not clean"):
        release(repository, "0.2.0")
    (repository / "more").unlink()
    release(repository, "0.2.0")
    with pytest.raises(ReleaseError, match="nothing under"):
        release(repository, "0.3.0")


def test_a_commit_that_git_refuses_leaves_the_files_as_they_were(repository: Path) -> None:
    hook = repository / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not today\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(ReleaseError, match="git commit failed: not today"):
        release(repository, "0.2.0")
    assert (repository / "pyproject.toml").read_text() == PROJECT
    assert git(repository, "status", "--porcelain") == "" and git(repository, "tag") == ""


def test_versions_are_compared_as_numbers() -> None:
    assert parts_of("0.10.0") > parts_of("0.9.9")
