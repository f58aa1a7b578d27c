"""Which parts `make dev` starts again when something changes."""

from pathlib import Path

import pytest

from simulator.reloading import PARTS, ROOT, parts_of


@pytest.mark.parametrize(
    ("changed", "parts"),
    [
        (["tab/present.py"], ("service",)),
        (["core/words/de.json"], ("service", "connector")),
        (["wire/link.py"], ("service", "connector")),
        (["connector/rest.py", "bot/door.py"], ("service", "connector")),
        (["simulator/starface/rest.py"], ("starface",)),
        (["tab/web/dist/index.html"], ("service",)),
        (["tab/web/src/main.ts", "tab/web/dist/assets/main.js"], ()),
        (["simulator/teams/page/node_modules/x/index.js", "core/a.db", "docs/audio.md", "tests/x.py"], ()),
        ([], ()),
    ],
)
def test_only_what_runs_the_changed_code_starts_again(changed: list[str], parts: tuple[str, ...]) -> None:
    assert parts_of(Path(one) for one in changed) == parts


def test_every_folder_that_is_watched_is_there() -> None:
    assert all((ROOT / folder).is_dir() for folder in PARTS)
