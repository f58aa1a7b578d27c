"""The labelled names: lists of one machine each, from public reports, and pairs with what is expected of them."""

import itertools
import json
from pathlib import Path
from typing import Any

_LABELS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "core" / "audio" / "labels.json").read_text(encoding="utf-8")
)
PAIRS: list[tuple[str, str, list[str]]] = [
    (pair["one"], pair["other"], pair["expected"]) for pair in _LABELS["pairs"]
]


def machine_pairs() -> list[tuple[str, str, str, bool]]:
    """Source, two labels, and whether they are one device."""
    return [
        (machine["source"], one["label"], other["label"], one["device"] == other["device"])
        for machine in _LABELS["machines"]
        for one, other in itertools.combinations(machine["devices"], 2)
    ]
