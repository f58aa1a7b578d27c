"""Words for people: which language, and the language files that hold the words.

A package that speaks keeps `words/de.json` and `words/en.json` beside its code; nested objects are addressed
with dots. `tests/test_words.py` fails when one language lacks a key or a placeholder of the other.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any


class Language(StrEnum):
    DE = "de"
    EN = "en"

    @classmethod
    def of(cls, tag: str | None) -> "Language":
        """The language for a locale ("de-AT") or an Accept-Language header; English when it is neither."""
        for part in (tag or "").split(","):
            language = cls.named(part.split(";")[0].strip().split("-")[0].lower())
            if language is not None:
                return language
        return cls.EN

    @classmethod
    def named(cls, name: object) -> "Language | None":
        return next((language for language in cls if language.value == name), None)


class Words:
    """The words of one package."""

    def __init__(self, package: str) -> None:
        self._package = package

    def text(self, language: Language, key: str, **values: Any) -> str:
        """The text under `key` with `{placeholders}` filled. An unknown key is a programming error: KeyError."""
        return load(self._package, language)[key].format_map(_Filled(values))

    def has(self, language: Language, key: str) -> bool:
        return key in load(self._package, language)


class _Filled(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "…"


@cache
def load(package: str, language: Language) -> Mapping[str, str]:
    source = files(package).joinpath("words", f"{language}.json").read_text(encoding="utf-8")
    return dict(_flat(json.loads(source), ""))


def _flat(node: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    flat: list[tuple[str, str]] = []
    for key, value in node.items():
        flat += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return flat


def format_time(language: Language, moment: datetime) -> str:
    """For texts made on the server, which does not know the reader's zone: says UTC."""
    return moment.strftime("%d.%m.%Y, %H:%M UTC" if language is Language.DE else "%d %b %Y, %H:%M UTC")
