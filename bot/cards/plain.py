"""Text from outside in cards, shown literally.

Clients interpret Markdown in a TextBlock, a FactSet and the labels of inputs, with differences between clients, also in
how escapes work (https://learn.microsoft.com/microsoftteams/platform/task-modules-and-cards/cards/cards-format and
https://github.com/MicrosoftDocs/msteams-docs/issues/5793). They do not in a TextRun:
https://learn.microsoft.com/adaptive-cards/authoring-cards/text-features. So text from outside is put into TextRuns only,
and into the choices of a compact list, which are plain text too.

A TextRun still interprets the functions `{{DATE(…)}}` and `{{TIME(…)}}`; `plain` disables them.
"""

import re
from typing import Final

from wire.bounds import clean_lines

MAX_OUTSIDE: Final = 1_000
_FUNCTION: Final = re.compile(r"\{(?=\{)")
_WORD_JOINER: Final = "\u2060"


class Plain(str):
    """Text that a TextRun shows literally: texts of the language files, and results of `plain`."""

    __slots__ = ()


class Title(str):
    """A text of a language file without placeholders. Only such texts may be used where clients interpret Markdown."""

    __slots__ = ()


def plain(outside: object) -> Plain:
    """Make a text from outside safe for a TextRun. At most `MAX_OUTSIDE` characters are kept."""
    if isinstance(outside, Plain):
        return outside
    text = clean_lines(str(outside)[:MAX_OUTSIDE], MAX_OUTSIDE)
    return Plain(_FUNCTION.sub("{" + _WORD_JOINER, text))
