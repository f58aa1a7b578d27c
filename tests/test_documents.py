"""The documents and the code point at each other, and at nothing outside the repository."""

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = {
    ".md",
    ".py",
    ".ts",
    ".js",
    ".sh",
    ".toml",
    ".yaml",
    ".yml",
    ".bicep",
    ".service",
    ".html",
    ".css",
    "",
}
ELSEWHERE = re.compile(
    r"shared facts|\bFACTS\b|\bdesign, section|\bshared/(?:starface|teams|findings)|\b(?:HOUSE|STYLE|TELEPHONY)\.md|\bDESIGN\.md"
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
DOCUMENT = re.compile(r"\b(docs/[\w/.-]+\.md)(?:, \"([^\"]+)\")?")
CODE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.py):([A-Za-z_][\w.]*)`")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted(
        path
        for name in listed.split("\0")
        if name and (path := ROOT / name).suffix in TEXT and path.is_file() and path != Path(__file__)
    )


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


DOCUMENTS = [path for path in files() if path.suffix == ".md"]


@cache
def anchors(path: Path) -> frozenset[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    found: dict[str, int] = {}
    for heading in headings(path):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
    return frozenset(
        slug if not n else f"{slug}-{n}" for slug, last in found.items() for n in range(last + 1)
    )


@cache
def headings(path: Path) -> tuple[str, ...]:
    text = FENCE.sub("", path.read_text())
    return tuple(
        line.lstrip("#").strip().replace("`", "") for line in text.splitlines() if re.match(r"#+ ", line)
    )


def test_no_pointer_leads_to_something_outside_the_repository():
    found = [
        f"{shown(path)}:{number}: {line.strip()}"
        for path in files()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if ELSEWHERE.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("document", DOCUMENTS, ids=shown)
def test_every_link_of_a_document_leads_somewhere(document):
    lost = []
    for target in LINK.findall(FENCE.sub("", document.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        if not path.is_relative_to(ROOT) or not path.exists():
            lost.append(target)
        elif anchor and anchor not in anchors(path):
            lost.append(f"{target}: no such heading")
    assert not lost


def test_every_document_and_heading_that_a_file_names_is_there():
    lost = []
    for path in files():
        for name, heading in DOCUMENT.findall(path.read_text(errors="replace")):
            if not (ROOT / name).is_file():
                lost.append(f"{shown(path)}: {name}")
            elif heading and heading not in headings(ROOT / name):
                lost.append(f'{shown(path)}: {name}, "{heading}"')
    assert not lost, "\n".join(lost)


@pytest.mark.parametrize("document", DOCUMENTS, ids=shown)
def test_every_function_that_a_document_names_is_in_the_code(document):
    """`path/to/file.py:Name` and `path/to/file.py:Class.method`."""
    lost = [
        f"{file}:{name}"
        for file, name in CODE.findall(document.read_text())
        if not (ROOT / file).is_file() or name not in definitions(ROOT / file)
    ]
    assert not lost


@cache
def definitions(path: Path) -> frozenset[str]:
    """Names that a module defines: `f`, `C`, `C.method`, `create.inner`, `CONSTANT`."""
    found = set()

    def walk(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                found.add(prefix + child.name)
                walk(child, f"{prefix}{child.name}.")
            elif isinstance(child, (ast.Assign, ast.AnnAssign)):
                targets = child.targets if isinstance(child, ast.Assign) else [child.target]
                found.update(prefix + target.id for target in targets if isinstance(target, ast.Name))

    walk(ast.parse(path.read_text()), "")
    return frozenset(found)
