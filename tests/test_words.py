"""Words for people: no language lacks a key or a placeholder of the other, and none stands unused."""

import json
import re
from pathlib import Path

import pytest

from core.language import Language, load

ROOT = Path(__file__).parents[1]
PLURAL = re.compile(r"\.(one|other)$")
PLACEHOLDER = re.compile(r"\{(\w+)\}")


def check(german: dict[str, str], english: dict[str, str]) -> None:
    assert set(german) == set(english)
    for key, text in german.items():
        if PLURAL.search(key):
            plain = PLURAL.sub("", key)
            assert {f"{plain}.one", f"{plain}.other"} <= set(german), key
            assert plain not in german, key
        assert text.strip() and english[key].strip()
        # The singular may say "one" for its count.
        either = (
            set(PLACEHOLDER.findall(words)) - ({"count"} if key.endswith(".one") else set())
            for words in (text, english[key])
        )
        assert next(either) == next(either), key


@pytest.mark.parametrize(
    "package",
    [
        *("core.audio", "core.audit", "core.diagnosis", "bot", "manifest", "tab"),
        *("connector.setup", "connector.site"),
    ],
)
def test_the_packages_languages_agree(package: str) -> None:
    check(dict(load(package, Language.DE)), dict(load(package, Language.EN)))


def test_the_tabs_languages_agree_and_every_word_is_used() -> None:
    words = ROOT / "tab" / "web" / "src"
    parts = ("", "pages.", "phone.", "consent.", "help.", "settings.")
    german, english = (
        {
            key: text
            for part in parts
            for key, text in json.loads((words / "words" / f"{part}{name}.json").read_text()).items()
        }
        for name in ("de", "en")
    )
    check(german, english)
    source = "".join(path.read_text() for path in words.rglob("*.ts"))
    for key in {PLURAL.sub("", key) for key in english}:
        parts = key.split(".")
        used = f'"{key}"' in source or any(
            f"`{'.'.join(parts[:length])}.${{" in source for length in range(1, len(parts))
        )
        assert used, f"{key} is not used"


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("DE-ch", "de"),
        ("en-US,en;q=0.9", "en"),
        ("fr-FR,de;q=0.5", "de"),
        ("fr", "en"),
        ("", "en"),
        (None, "en"),
    ],
)
def test_the_language_of_a_locale(tag: str | None, language: str) -> None:
    assert Language.of(tag) == language


def test_news_are_described_in_both_languages_for_every_version_of_the_changelog() -> None:
    news = json.loads((ROOT / "tab" / "web" / "src" / "words" / "news.json").read_text())
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert list(news) == headings
    for items in news.values():
        assert set(items) == {"de", "en"}
        assert len(items["de"]) == len(items["en"]) > 0


def _imported(file: Path) -> set[Path]:
    """Return the files of the client that are loaded with this one, itself among them; `import()` is not followed."""
    found, todo = set[Path](), [file]
    while todo:
        one = todo.pop()
        if one in found:
            continue
        found.add(one)
        if one.suffix == ".ts":
            imports = re.findall(
                r"^import (?!type)[^\"]*\"(\.[^\"]+)\"", one.read_text("utf-8"), re.MULTILINE
            )
            todo += [(one.parent / re.sub(r"\.js$", ".ts", name)).resolve() for name in imports]
    return found


def _keys(files: set[Path]) -> set[str]:
    return {
        PLURAL.sub("", key)
        for file in files
        if file.suffix == ".json" and isinstance(words := json.loads(file.read_text("utf-8")), dict)
        for key in words
    }


CLIENT = (ROOT / "tab/web/src").resolve()
LOADED_LATER = sorted(
    (file, (file.parent / re.sub(r"\.js$", ".ts", name)).resolve())
    for file in CLIENT.rglob("*.ts")
    for name in re.findall(r"import\(\"(\.[^\"]+)\"\)", file.read_text("utf-8"))
)


@pytest.mark.parametrize(("loader", "page"), LOADED_LATER, ids=[page.stem for _, page in LOADED_LATER])
def test_a_page_that_is_loaded_later_brings_its_texts(loader: Path, page: Path) -> None:
    """Each text that a module uses by name is in the files loaded with it, with its loader or at the start."""
    files = _imported(page)
    here = _keys(files | _imported(loader) | _imported(CLIENT / "main.ts"))
    everywhere = _keys(set(CLIENT.rglob("*.json")))
    for file in sorted(one for one in files if one.suffix == ".ts"):
        text = file.read_text("utf-8")
        used = set(re.findall(r"\"([a-z][\w.-]*)\"", text)) & everywhere
        starts = set(re.findall(r"`([a-z][\w.-]*[.-])\$\{", text))
        used |= {key for key in everywhere for start in starts if key.startswith(start)}
        assert used <= here, f"{file.name}: {sorted(used - here)[:3]}"
