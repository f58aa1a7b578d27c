"""The result of a benchmark: ratios to a bare baseline of the same run, and the figures behind them."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

KEPT: Final = Path(".cache/bench")
"""Where `python -m bench` stores its reports, for other programs."""


@dataclass(frozen=True, slots=True)
class Bar:
    """The limit for a ratio: a minimum, or a maximum."""

    limit: float
    at_most: bool = False

    def holds(self, ratio: float) -> bool:
        return ratio <= self.limit if self.at_most else ratio >= self.limit

    def __str__(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.limit:g}"


@dataclass(slots=True)
class Report:
    name: str
    bars: dict[str, Bar]
    ratios: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float | str] = field(default_factory=dict)

    @property
    def missed(self) -> list[str]:
        return [name for name, bar in self.bars.items() if not bar.holds(self.ratios[name])]

    def as_json(self) -> str:
        return json.dumps(
            {
                "name": self.name,
                "ratios": {name: round(ratio, 3) for name, ratio in self.ratios.items()},
                "bars": {name: str(bar) for name, bar in self.bars.items()},
                "figures": self.figures,
            },
            indent=2,
        )

    def as_text(self) -> str:
        lines = [f"{self.name}"]
        for name, ratio in self.ratios.items():
            bar = self.bars.get(name)
            verdict = "" if bar is None else f"  {bar}  {'ok' if bar.holds(ratio) else 'MISSED'}"
            lines.append(f"  {name:28} {ratio:8.2f}{verdict}")
        lines += [f"    {name:40} {value}" for name, value in self.figures.items()]
        return "\n".join(lines)
