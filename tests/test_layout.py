"""The layout of `tests/`: each folder mirrors a package, and test modules share helpers through `tests/support` only."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
MIRRORS_NO_PACKAGE = {"e2e", "support"}
"""`e2e` drives a browser, and `support` holds the helpers."""
MODULES = [
    path
    for folder in ("tests", "bench", "simulator", "infra")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "node_modules" not in path.parts
]


def imported_by(path: Path) -> set[str]:
    """Return the names of the modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found


def test_helpers_are_imported_from_the_support_package_only() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in MODULES
        for name in sorted(imported_by(path))
        if name.startswith("tests.") and not name.startswith("tests.support")
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "folder",
    sorted({path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")} - {Path()}),
    ids=str,
)
def test_each_folder_of_tests_mirrors_a_package(folder: Path) -> None:
    if folder.parts[0] not in MIRRORS_NO_PACKAGE:
        assert (ROOT / folder).is_dir(), f"there is no package {folder}"
