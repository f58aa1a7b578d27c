"""Renders the pages: templates, the language of a request, and its words."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any, Final

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from connector.site.security import NONCE, Session
from core.diagnosis.codes import Code
from core.diagnosis.finding import Explanation, Finding, Role, explain
from core.diagnosis.steps import step_title
from core.language import Language, Words
from wire.doctor import DoctorStep, StepOutcome
from wire.lines import one_line

STATIC: Final = "/static/"
_PAGES: Final = Words("connector.site")
_SETUP: Final = Words("connector.setup")
LANGUAGE: Final = web.RequestKey("language", Language)
_environment: Final = Environment(
    loader=PackageLoader("connector.site"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def text(language: Language, key: str, /, **values: Any) -> str:
    """Return a text of the pages or of the set-up's steps."""
    words = _PAGES if _PAGES.has(language, key) else _SETUP
    return words.text(language, key, **values)


def has_text(language: Language, key: str) -> bool:
    return _PAGES.has(language, key) or _SETUP.has(language, key)


def text_or_value(language: Language, prefix: str, value: str) -> str:
    """Return the text for one of several values; the value itself if there is none, as of a later service."""
    key = f"{prefix}.{value}"
    return text(language, key) if has_text(language, key) else value


def translator(language: Language) -> Callable[..., str]:
    def translate(key: str, /, **values: Any) -> str:
        return text(language, key, **values)

    return translate


def render(
    request: web.Request, template: str, session: Session | None, *, status: int = 200, **values: Any
) -> web.Response:
    """Return a page. Every value is escaped by the template engine."""
    return web.Response(
        text=render_text(request, template, session, **values), content_type="text/html", status=status
    )


def render_text(request: web.Request, template: str, session: Session | None, **values: Any) -> str:
    language = request[LANGUAGE]
    return _environment.get_template(template).render(
        t=translator(language),
        language=language.value,
        session=session,
        nonce=request[NONCE],
        root=f"/{session.space}/" if session is not None else "/",
        static=STATIC,
        **values,
    )


def static_file(name: str) -> str:
    return files("connector.site").joinpath(name).read_text(encoding="utf-8")


def check_rows(
    steps: Sequence[DoctorStep], language: Language, *, cure: str | None = None
) -> list[dict[str, Any]]:
    """Return the doctor's steps for the template, with cause and cure in the page's language.

    `cure` replaces the cure of a step that failed: the page offers something better than the doctor can.
    """
    return [_check_row(step, language, cure) for step in steps if step.outcome is not StepOutcome.SKIPPED]


def _check_row(step: DoctorStep, language: Language, cure: str | None) -> dict[str, Any]:
    finding = explanation_of(step, language)
    evidence = {name: one_line(value) for name, value in step.evidence.items()}
    error = evidence.get("error", "")
    if finding is not None and cure is not None and step.outcome is StepOutcome.FAILED:
        finding = replace(finding, cure=cure)
    return {
        "title": step_title(step.step, language),
        "outcome": step.outcome.value,
        "evidence": ", ".join(evidence.values()) if step.outcome is StepOutcome.OK else "",
        "finding": finding,
        "error": error if finding is not None and error not in finding.detail else "",
    }


def explanation_of(step: DoctorStep, language: Language) -> Explanation | None:
    """Return the texts for a step that failed or warns, else None."""
    code = Code.named(step.code or "")
    if code is None:
        return None
    evidence = {name: one_line(value) for name, value in step.evidence.items()}
    return explain(Finding(code, evidence, step.variant), language, Role.ADMINISTRATOR)
