"""Finds all regular expressions of the code, and the texts that are slowest for each."""

import ast
import importlib
import pkgutil
import re
import re._constants as opcodes
import re._parser as parser
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("app", "tab", "core", "wire", "connector", "probe", "manifest", "bot")
BOTH: Final = ("search", "fullmatch")
USES: Final = {"probe.programs": ("fullmatch",)}
"""Of modules that hold expressions for one method alone; the others must be quick in both."""


def patterns_in(value: Any, depth: int = 3) -> Iterator[re.Pattern[str]]:
    """Also inside of containers and of our own objects (the probe's rules)."""
    if isinstance(value, re.Pattern):
        yield value
    elif depth and isinstance(value, dict):
        for one in value.values():
            yield from patterns_in(one, depth - 1)
    elif depth and isinstance(value, tuple | list | set | frozenset):
        for one in value:
            yield from patterns_in(one, depth - 1)
    elif depth and type(value).__module__.partition(".")[0] in PACKAGES:
        names = getattr(value, "__dict__", None) or getattr(type(value), "__slots__", ())
        for name in names:
            yield from patterns_in(getattr(value, name, None), depth - 1)


def written_in_calls(source: Path) -> Iterator[tuple[re.Pattern[str], tuple[str, ...]]]:
    """Those that stand in the call itself, `re.findall("…", text)`, and what they are called for."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        is_of_re = isinstance(node.func.value, ast.Name) and node.func.value.id == "re"
        text = node.args[0]
        if (
            is_of_re
            and isinstance(text, ast.Constant)
            and isinstance(text.value, str)
            and node.func.attr != "escape"
        ):
            method = node.func.attr if node.func.attr in ("match", "fullmatch") else "search"
            flags = re.IGNORECASE if "IGNORECASE" in ast.dump(node) else re.NOFLAG
            yield re.compile(text.value, flags), (method,)


def expressions() -> dict[str, tuple[re.Pattern[str], tuple[str, ...]]]:
    """Each with the methods that it must be quick in."""
    found: dict[str, tuple[re.Pattern[str], tuple[str, ...]]] = {}
    for package in map(importlib.import_module, PACKAGES):
        for _, name, _ in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if name.endswith("__main__") or ".migrations." in name:
                continue
            source = ROOT / f"{name.replace('.', '/')}.py"
            try:
                module = importlib.import_module(name)
            except ImportError:  # readers of another system; those in calls are found all the same
                module = None
            values = vars(module).values() if module else ()
            held = [(one, USES.get(name, BOTH)) for value in values for one in patterns_in(value)]
            called = written_in_calls(source) if source.exists() else ()
            for pattern, methods in (*held, *called):
                if isinstance(pattern.pattern, str) and pattern not in {one for one, _ in found.values()}:
                    found[f"{name}: {pattern.pattern[:60]}"] = pattern, methods
    return found


EXPRESSIONS: Final = expressions()


def sample(items: Any) -> str:
    """A short text that fits a part of an expression."""
    return "".join(_sample_of(operation, argument) for operation, argument in items)


def _sample_of(operation: Any, argument: Any) -> str:
    if operation is opcodes.LITERAL:
        return chr(argument)
    if operation is opcodes.NOT_LITERAL:
        return "a" if argument != ord("a") else "b"
    if operation is opcodes.ANY:
        return "a"
    if operation is opcodes.IN:
        return _member(argument)
    if operation in (opcodes.MAX_REPEAT, opcodes.MIN_REPEAT, opcodes.POSSESSIVE_REPEAT):
        least, most, inner = argument
        return sample(inner) * max(int(least), min(1, int(most)))
    if operation is opcodes.SUBPATTERN:
        return sample(argument[3])
    if operation is opcodes.ATOMIC_GROUP:
        return sample(argument)
    if operation is opcodes.BRANCH:
        return sample(argument[1][0])
    return ""  # anchors, looks ahead and behind


def _member(members: Any) -> str:
    by_category = {
        opcodes.CATEGORY_DIGIT: "0",
        opcodes.CATEGORY_WORD: "a",
        opcodes.CATEGORY_SPACE: " ",
        opcodes.CATEGORY_NOT_DIGIT: "a",
        opcodes.CATEGORY_NOT_WORD: " ",
        opcodes.CATEGORY_NOT_SPACE: "a",
    }
    if members[0][0] is opcodes.NEGATE:
        excluded = "".join(_member([one]) for one in members[1:])
        return next(character for character in "a0 _-!" if character not in excluded)
    operation, argument = members[0]
    if operation is opcodes.CATEGORY:
        return by_category[argument]
    return chr(argument if operation is opcodes.LITERAL else argument[0])


def variants(items: Any) -> Iterator[str]:
    """Short texts that fit: of each choice, each alternative once."""
    yield sample(items)
    for at, (operation, argument) in enumerate(items):
        if operation is opcodes.SUBPATTERN:
            choices = variants(argument[3])
        elif operation is opcodes.BRANCH:
            choices = (text for branch in argument[1] for text in variants(branch))
        else:
            continue
        for choice in choices:
            yield sample(items[:at]) + choice + sample(items[at + 1 :])


def repetitions(items: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """Of each repetition: what leads to it, and what it repeats."""
    for operation, argument in items:
        if operation in (opcodes.MAX_REPEAT, opcodes.MIN_REPEAT, opcodes.POSSESSIVE_REPEAT):
            yield from ((before, text) for text in variants(argument[2]))
            yield from repetitions(argument[2], before)
        elif operation is opcodes.SUBPATTERN:
            yield from repetitions(argument[3], before)
        elif operation is opcodes.ATOMIC_GROUP:
            yield from repetitions(argument, before)
        elif operation is opcodes.BRANCH:
            for branch in argument[1]:
                yield from repetitions(branch, before)
        elif operation in (opcodes.ASSERT, opcodes.ASSERT_NOT):
            yield from repetitions(argument[1], before)
        before += _sample_of(operation, argument)


def list_pumps(pattern: re.Pattern[str]) -> set[tuple[str, str]]:
    """Return each repetition of an expression: a text that leads to it, and a text that it repeats."""
    parsed = parser.parse(pattern.pattern, pattern.flags)
    return {(lead, pump) for lead, pump in repetitions(parsed) if pump}
