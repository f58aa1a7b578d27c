"""Text from outside in cards: shown as it is, whatever stands in it.

In a TextBlock, a FactSet and the labels of inputs clients read Markdown, each a little differently, escapes included
(https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-format and
https://github.com/MicrosoftDocs/msteams-docs/issues/5793). In a TextRun they do not:
https://learn.microsoft.com/adaptive-cards/authoring-cards/text-features. So what comes from outside stands in TextRuns,
and in the choices of a compact list, which are plain text as well.

What is left in a TextRun are the functions `{{DATE(…)}}` and `{{TIME(…)}}`.
"""

import re
from typing import Final

from wire.bounds import clean_lines

MAX_OUTSIDE: Final = 1_000
_FUNCTION: Final = re.compile(r"\{(?=\{)")
_WORD_JOINER: Final = "\u2060"


class Plain(str):
    """Text of which nothing is read as anything else, when it stands in a TextRun: the words of the language files, and
    what went through `plain`.
    """

    __slots__ = ()


class Title(str):
    """Words of a language file without any placeholder: the only text that may stand where clients read Markdown."""

    __slots__ = ()


def plain(outside: object) -> Plain:
    """Takes the meaning from text that comes from outside; at most `MAX_OUTSIDE` characters of it."""
    if isinstance(outside, Plain):
        return outside
    text = clean_lines(str(outside)[:MAX_OUTSIDE], MAX_OUTSIDE)
    return Plain(_FUNCTION.sub("{" + _WORD_JOINER, text))
