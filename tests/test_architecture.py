"""docs/architecture.md describes the code as it is: its diagram, its table of packages and its list of background work."""

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs/architecture.md").read_text()
DIAGRAM = re.search(r"^flowchart TD\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
BESIDE = {"connector", "probe", "simulator"}
"""Programs that share with the service only what their arrows say."""


@cache
def arrows() -> dict[str, set[str]]:
    """Return the packages of the diagram, each with those that it may import: its arrows, and all further down."""
    assert DIAGRAM is not None
    direct: dict[str, set[str]] = defaultdict(set)
    for left, right in re.findall(r"^ *(\w[\w &]*?) --> (\w[\w &]*?)$", DIAGRAM.group(1), re.MULTILINE):
        for source in left.split(" & "):
            direct[source] |= set(right.split(" & "))
    inside = {name for name in direct if (ROOT / "core" / name).exists()}
    for source in inside | {"language", "audio", "diagnosis"}:
        direct[source].add("wire")
    direct["core"] |= inside
    for _ in direct:
        for source in list(direct):
            if source not in BESIDE:
                direct[source] |= {below for target in direct[source] for below in direct.get(target, ())}
    direct["connector"].add("language")
    return direct


def node_of(module: str) -> str:
    """Return the box of the diagram in which a module is."""
    top, _, rest = module.partition(".")
    inner = rest.partition(".")[0]
    return inner if top == "core" and inner in arrows() else top


def imported_packages() -> set[tuple[str, str]]:
    """Return which box of the diagram imports which, each with one of the files that do."""
    found = set()
    boxes = arrows().keys() | {"wire", "core"}
    for top in ("app", "bot", "tab", "manifest", "core", "wire", "connector", "probe", "simulator"):
        for path in (ROOT / top).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for node in ast.walk(ast.parse(path.read_text())):
                modules = []
                if isinstance(node, ast.ImportFrom) and node.module is not None and not node.level:
                    modules = [node.module]
                elif isinstance(node, ast.Import):
                    modules = [alias.name for alias in node.names]
                found |= {(node_of(name), node_of(module)) for module in modules}
    return {(source, target) for source, target in found if target in boxes and source != target}


def test_the_diagram_permits_every_import() -> None:
    permitted = arrows()
    wrong = {
        f"{source} imports {target}"
        for source, target in imported_packages()
        # `core` itself: small modules beside the packages, which any of them may import.
        if target != "core" and source != "core" and target not in permitted[source]
    }
    assert not wrong, sorted(wrong)


@pytest.mark.parametrize(
    "package",
    sorted(
        str(path.parent.relative_to(ROOT))
        for pattern in ("*/__init__.py", "core/*/__init__.py")
        for path in ROOT.glob(pattern)
        if path.parent.name not in ("tests", "bench", "core", "infra")
    ),
)
def test_the_table_describes_each_package(package: str) -> None:
    assert f"`{package}/`" in DOCUMENT


def test_the_list_of_background_work_is_complete() -> None:
    """What `create.life` starts, by the class or function of each entry."""
    source = (ROOT / "app/composition.py").read_text()
    life = next(
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.AsyncFunctionDef) and node.name == "life"
    )
    table = DOCUMENT[DOCUMENT.index("## Background work") : DOCUMENT.index("## Storage")]
    started = next(
        node
        for node in ast.walk(life)
        if isinstance(node, ast.Tuple) and node.elts and isinstance(node.elts[0], ast.Tuple)
    )
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    entries = [entry for row in rows for entry in row.split(", ")]
    assert len(entries) == len(started.elts), (
        "an entry of create.life is not in the table, or the other way round"
    )
