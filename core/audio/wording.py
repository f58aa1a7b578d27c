"""Texts for an audio conclusion, shared by the tab and the bot.

A `Summary` is data without a language, so that it can be stored and shown later in any language.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from core.audio.advice import DeviceAdvice, DeviceChange
from core.audio.comparison import Sameness
from core.audio.device import Kind
from core.audio.evidence import Program
from core.audio.finding import Conclusion, Missing, Pair, Why
from core.audio.label import listed_name, read, shown_name
from core.language import Language, Words

_WORDS: Final = Words("core.audio")


@dataclass(frozen=True, slots=True)
class Summary:
    """A conclusion and its advice, independent of the language."""

    why: Why
    device: str
    """The shared device, or the softphone's of two that cannot be told apart."""
    other: str
    teams: str
    softphone: str
    reason: str
    """The reason of the comparison; empty if no comparison is involved."""
    changes: tuple[DeviceChange, ...]

    def as_json(self) -> dict[str, Any]:
        names = {
            name: getattr(self, name) for name in ("why", "device", "other", "teams", "softphone", "reason")
        }
        changes = [(change.program, change.kind, change.device) for change in self.changes]
        return {**names, "changes": changes}

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> "Summary":
        changes = tuple(
            DeviceChange(Program(program), Kind(kind), device) for program, kind, device in content["changes"]
        )
        names = {name: content[name] for name in ("device", "other", "teams", "softphone", "reason")}
        return cls(why=Why(content["why"]), changes=changes, **names)


def summarise(conclusion: Conclusion, advice: DeviceAdvice) -> Summary:
    pair = conclusion.pairs[0] if conclusion.pairs else None
    device, other = _names(pair) if pair is not None else ("", "")
    return Summary(
        why=conclusion.why,
        device=device,
        other=other,
        teams=_devices(conclusion, Program.TEAMS),
        softphone=_devices(conclusion, Program.SOFTPHONE),
        reason=pair.comparison.reason if pair is not None else "",
        changes=advice.changes,
    )


def _names(pair: Pair) -> tuple[str, str]:
    """Return the names of the softphone's and Teams' device.

    The names under which the system lists them are used if the short names do not differ.
    """
    labels = pair.softphone.device.label, pair.teams.device.label
    device, other = map(shown_name, labels)
    if pair.comparison.verdict is Sameness.SAME and read(labels[0]).cut:
        return other, other  # the name that is not cut
    if device == other and pair.comparison.verdict is not Sameness.SAME:
        device, other = map(listed_name, labels)
    return device, other


def _devices(conclusion: Conclusion, program: Program) -> str:
    names = [shown_name(use.device.label) for use in conclusion.uses if use.program is program]
    return ", ".join(dict.fromkeys(names))


def title(summary: Summary, language: Language) -> str:
    return _WORDS.text(language, f"finding.{summary.why}.title")


def detail(summary: Summary, language: Language) -> str:
    values = {
        "device": summary.device,
        "other": summary.other,
        "teams": summary.teams,
        "softphone": summary.softphone,
        "reason": _WORDS.text(language, f"reason.{summary.reason}") if summary.reason else "",
    }
    return _WORDS.text(language, f"finding.{summary.why}.detail", **values)


def is_reason(reason: str) -> bool:
    """Return whether there is a text for this reason. The empty reason is valid too."""
    return not reason or _WORDS.has(Language.EN, f"reason.{reason}")


def step(change: DeviceChange, language: Language) -> str:
    """Return the text that says where the setting is in the program and what to choose there."""
    return _WORDS.text(language, f"step.{change.program}.{change.kind}", device=change.device)


def missing(what: Missing, language: Language) -> str:
    return _WORDS.text(language, f"missing.{what}")
