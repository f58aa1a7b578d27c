"""Texts for people: choosing a language, and reading the language files.

A package with texts has `words/de.json` and `words/en.json` in its folder. Nested objects are addressed with dots.
`tests/test_words.py` fails when one language lacks a key or a placeholder that the other has.
"""

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any


class Language(StrEnum):
    DE = "de"
    EN = "en"

    @classmethod
    def of(cls, tag: str | None) -> "Language":
        """Return the language for a locale ("de-AT") or an Accept-Language header; English if neither fits."""
        for part in (tag or "").split(","):
            language = cls.named(part.split(";")[0].strip().split("-")[0].lower())
            if language is not None:
                return language
        return cls.EN

    @classmethod
    def named(cls, name: object) -> "Language | None":
        return next((language for language in cls if language.value == name), None)


class Words:
    """The texts of one package, in all languages."""

    def __init__(self, package: str) -> None:
        self._package = package

    def text(
        self,
        language: Language,
        key: str,
        clean: Callable[[object], object] | None = None,
        /,
        **values: Any,
    ) -> str:
        """Return the text of `key` with its `{placeholders}` filled; a placeholder without a value becomes "…".

        `clean` is applied to each value that the text shows. Raises KeyError for an unknown key, which is a
        programming error.
        """
        text = load(self._package, language)[key]
        return text.format_map(_Filled(values) if clean is None else _Cleaned(values, clean))

    def has(self, language: Language, key: str) -> bool:
        return key in load(self._package, language)


class _Filled(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "…"


class _Cleaned(dict[str, object]):
    """Values that are cleaned when they are shown, because most texts show few of them."""

    def __init__(self, values: Mapping[str, object], clean: Callable[[object], object]) -> None:
        self._values = values
        self._clean = clean

    def __missing__(self, key: str) -> object:
        return self._clean(self._values[key]) if key in self._values else "…"


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
    """Format a UTC time, and say that it is UTC: the server does not know the reader's time zone."""
    return moment.strftime("%d.%m.%Y, %H:%M UTC" if language is Language.DE else "%d %b %Y, %H:%M UTC")


def format_day(language: Language, day: date) -> str:
    """Format a day, for instance "1 Oct 2026" or "01.10.2026"."""
    return f"{day:%d.%m.%Y}" if language is Language.DE else f"{day.day} {day:%b %Y}"
