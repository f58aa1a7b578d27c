"""The pages of the set-up: one for each step, a summary, and what to do next."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from connector.errors import ConnectorError
from connector.setup.draft import Draft, is_secret
from connector.setup.steps import (
    CALL,
    STEPS,
    Attempt,
    Field,
    Kind,
    LicenceShown,
    Step,
    attempt,
    certificate_values,
    first_open,
    mark_tried,
    shown,
    step_named,
)
from connector.site.pages import LANGUAGE, check_rows, has_text, render, render_text, text
from connector.site.security import Session
from connector.site.server import Site, form_texts, see_other
from connector.status import ask
from core.language import Language, format_day
from wire.doctor import StepOutcome
from wire.pbxkey import grouped

logger = logging.getLogger(__name__)

DONE: Final = "done"
PINNED: Final = "pbx.certificate_fingerprint"


@dataclass(slots=True)
class _Run:
    """One attempt of a step, in the background."""

    attempt: Attempt
    task: asyncio.Task[None]
    is_new: bool = True
    """Nobody has seen its result yet."""
    waited_for_call: bool = False


class SetupPages:
    """The set-up of one connector. All sessions see the same draft."""

    def __init__(self, site: Site, draft: Draft, start_command: str) -> None:
        """`start_command` is what a technician runs afterwards to start the connector."""
        self._draft = draft
        self._start_command = start_command
        self._runs: dict[str, _Run] = {}
        self._is_saved = False
        self.ended = asyncio.Event()
        site.get("", self._first)
        site.get("step/{step}", self._show)
        site.post("step/{step}", self._act)
        site.get("progress/{step}", self._progress, is_person=False)
        site.get("finish", self._finish)
        site.post("finish", self._finish_act)
        site.post("key-file", self._key_file)

    async def stop(self) -> None:
        """End what is being checked."""
        for run in self._runs.values():
            run.task.cancel()
        await asyncio.gather(*(run.task for run in self._runs.values()), return_exceptions=True)

    async def _first(self, _request: web.Request, session: Session) -> web.StreamResponse:
        if self._is_saved:
            return see_other(session, "finish")
        return see_other(session, f"step/{first_open(self._draft)}")

    async def _show(self, request: web.Request, session: Session) -> web.StreamResponse:
        name = request.match_info["step"]
        if name == DONE:
            return self._summary(request, session)
        step = _step(name)
        run = self._runs.get(name)
        if run is not None and run.task.done() and run.is_new:
            run.is_new = False
            if not run.task.cancelled():
                run.task.result()
            if _is_plain_success(run):
                return see_other(session, f"step/{_following(name)}")
        return render(request, "step.html", session, **self._step_values(request[LANGUAGE], step, run))

    async def _act(self, request: web.Request, session: Session) -> web.StreamResponse:
        name = request.match_info["step"]
        form = await form_texts(request)
        action = form.get("action", "check")
        if name == DONE:
            return self._save(request, session)
        step = _step(name)
        running = self._runs.get(name)
        if running is not None and not running.task.done():
            return see_other(session, f"step/{name}")
        if action == "save":
            if running is None or not running.attempt.may_be_saved:
                return see_other(session, f"step/{name}")
            mark_tried(step, self._draft)
            logger.info(
                "audit: a step of the set-up is saved although its check failed", extra={"step": name}
            )
            return see_other(session, f"step/{_following(name)}")
        if action == "accept":
            self._draft.enter(certificate_values(form.get("fingerprint", "")))
            logger.info("audit: a certificate of the PBX was accepted")
        elif action == "forget-certificate":
            self._draft.forget(PINNED)
        self._begin(step, form, is_call=action == "call", takes_values=action != "accept")
        return see_other(session, f"step/{name}")

    def _begin(self, step: Step, form: dict[str, str], *, is_call: bool, takes_values: bool) -> None:
        running = Attempt()
        if takes_values:
            work = attempt(
                Step(step.name, step.fields, CALL.check) if is_call else step, self._draft, form, running
            )
        else:
            work = attempt(Step(step.name, (), step.check), self._draft, {}, running)
        self._runs[step.name] = _Run(running, asyncio.create_task(work), waited_for_call=is_call)

    async def _progress(self, request: web.Request, session: Session) -> web.StreamResponse:
        run = self._runs.get(request.match_info["step"])
        is_running = run is not None and not run.task.done()
        rows = check_rows(run.attempt.steps, request[LANGUAGE]) if run is not None else []
        fragment = render_text(request, "checks.html", session, checks=rows)
        return web.Response(
            text=fragment, content_type="text/html", headers={"X-Running": "1" if is_running else "0"}
        )

    def _step_values(self, language: Language, step: Step, run: _Run | None) -> dict[str, Any]:
        is_running = run is not None and not run.task.done()
        found = run.attempt if run is not None else Attempt()
        fields = [self._field(language, one, found) for one in step.fields]
        pinned = str(self._draft.value(PINNED) or "").upper() if step.name == "pbx" else ""
        names = [one.name for one in STEPS]
        at = names.index(step.name)
        return {
            **self._progress_values(step.name),
            "fields": fields,
            "open_rare": any(one["is_rare"] and (one["error"] or one["value"]) for one in fields),
            "is_running": is_running,
            "attempted": run is not None,
            "checks": check_rows(
                found.steps,
                language,
                cure=text(language, "setup.compare") if found.certificate is not None else None,
            ),
            "verdict": _verdict(language, run) if run is not None and not is_running else None,
            "certificate": found.certificate,
            "pinned": ":".join(pinned[at : at + 2] for at in range(0, len(pinned), 2)),
            "licences": [licence_line(language, one) for one in found.licences],
            "offers_call": step.name == "uci" and not found.has_failed,
            "may_continue": step.name in self._draft.tried,
            "may_be_saved": found.may_be_saved,
            "following": _following(step.name),
            "preceding": names[at - 1] if at else None,
        }

    def _field(self, language: Language, one: Field, found: Attempt) -> dict[str, Any]:
        key = f"field.{one.name}"
        is_asked = one.name == "pbx.oauth_client_secret" and found.asks_for_oauth
        error = found.errors.get(one.name)
        value = self._draft.value(one.name)
        return {
            "name": one.name,
            "id": one.name.replace(".", "-").replace("_", "-"),
            "kind": one.kind.value,
            "label": text(language, f"{key}.label"),
            "hint": text(language, f"{key}.hint") if has_text(language, f"{key}.hint") else "",
            "value": shown(one, self._draft),
            "is_required": one.is_required or is_asked,
            "is_rare": one.is_rare and not is_asked,
            "is_stored": is_secret(one.name, value) and self._draft.holds(one.name),
            "example": one.example,
            "error": text(language, error) if error else text(language, "oauth-asked") if is_asked else "",
        }

    def _progress_values(self, step: str) -> dict[str, Any]:
        tried = self._draft.tried
        opened = first_open(self._draft)
        names = [one.name for one in STEPS]
        all_steps = [
            {"name": name, "is_done": name in tried, "is_open": name in tried or name == opened}
            for name in (*names, DONE)
        ]
        return {"step": step, "all_steps": all_steps}

    def _summary(self, request: web.Request, session: Session, problem: str | None = None) -> web.Response:
        language = request[LANGUAGE]
        opened = first_open(self._draft)
        return render(
            request,
            "summary.html",
            session,
            status=500 if problem else 200,
            **self._progress_values(DONE),
            rows=self._rows(language),
            untried=opened if opened != DONE else None,
            preceding=STEPS[-1].name,
            file=str(self._draft.file.path),
            problem=problem,
        )

    def _rows(self, language: Language) -> list[tuple[str, str]]:
        rows = []
        for one in (field for step in STEPS for field in step.fields):
            value = self._draft.value(one.name)
            if not self._draft.holds(one.name) and one.kind is not Kind.SWITCH:
                if one.is_rare:
                    continue
                said = text(language, "setup.nothing")
            elif is_secret(one.name, value) or one.is_secret:
                said = text(language, "setup.secret-set")
            elif one.kind is Kind.SWITCH:
                said = "✓" if value is not False else text(language, "setup.nothing")
            else:
                said = str(value)
            rows.append((text(language, f"field.{one.name}.label"), said))
        return rows

    def _save(self, request: web.Request, session: Session) -> web.StreamResponse:
        if first_open(self._draft) != DONE:
            return see_other(session, f"step/{DONE}")
        try:
            self._draft.save()
        except ConnectorError as fault:
            return self._summary(request, session, str(fault))
        self._is_saved = True
        logger.info(
            "audit: the configuration was written by the set-up", extra={"file": str(self._draft.file.path)}
        )
        return see_other(session, "finish")

    async def _finish(self, request: web.Request, session: Session) -> web.StreamResponse:
        return await self._finish_page(request, session)

    async def _finish_page(self, request: web.Request, session: Session, key: str = "") -> web.StreamResponse:
        if not self._is_saved:
            return see_other(session, f"step/{first_open(self._draft)}")
        config = self._draft.file.load()
        return render(
            request,
            "finish.html",
            session,
            file=str(self._draft.file.path),
            is_linked=await _is_linked(config.status.port),
            start_command=self._start_command,
            pbx_name=config.pbx.name,
            key=key,
        )

    async def _finish_act(self, request: web.Request, session: Session) -> web.StreamResponse:
        if not self._is_saved:
            return see_other(session, f"step/{first_open(self._draft)}")
        if (await request.post()).get("action") == "key":
            logger.info("audit: the PBX key was shown")
            return await self._finish_page(request, session, grouped(self._draft.state.pbx_key()))
        language = request[LANGUAGE]
        asyncio.get_running_loop().call_later(0.5, self.ended.set)
        return render(
            request,
            "plain.html",
            None,
            title=text(language, "finish.title"),
            text=text(language, "finish.ended"),
        )

    async def _key_file(self, _request: web.Request, session: Session) -> web.StreamResponse:
        if not self._is_saved:
            return see_other(session, f"step/{first_open(self._draft)}")
        name = self._draft.file.load().pbx.name
        logger.info("audit: the key file was downloaded")
        return key_file_response(
            name, self._draft.state.key_file(name).model_dump_json(by_alias=True, indent=2)
        )


def key_file_response(name: str, content: str) -> web.Response:
    """Return the key file as a download."""
    return web.Response(
        body=content.encode() + b"\n",
        content_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{name}.pbxkey"'},
    )


def _step(name: str) -> Step:
    found = step_named(name)
    if found is None:
        raise web.HTTPNotFound
    return found


def _following(name: str) -> str:
    names = [*(one.name for one in STEPS), DONE]
    return names[names.index(name) + 1]


def _is_plain_success(run: _Run) -> bool:
    """Return whether there is nothing to read about the attempt, so that the next step may follow at once."""
    found = run.attempt
    has_remark = any(one.outcome is StepOutcome.WARNING for one in found.steps)
    return not (found.has_failed or has_remark or found.licences or run.waited_for_call)


def _verdict(language: Language, run: _Run) -> dict[str, str]:
    found = run.attempt
    if found.problem:
        return {"kind": "failed", "title": text(language, "setup.problem"), "text": found.problem}
    if found.errors:
        return {"kind": "failed", "title": text(language, "setup.invalid"), "text": ""}
    if found.has_failed:
        return {"kind": "failed", "title": text(language, "setup.failed"), "text": ""}
    if any(one.outcome is StepOutcome.WARNING for one in found.steps):
        return {"kind": "warning", "title": text(language, "setup.warned"), "text": ""}
    said = "setup.call-arrived" if found.call_arrived else "setup.passed"
    if found.licences:
        said = "setup.keys-complete"
    return {"kind": "ok", "title": text(language, said), "text": ""}


def licence_line(language: Language, one: LicenceShown) -> str:
    """Return what a licence key says about itself, for people."""
    which = "one" if one.seats == 1 else "other"
    until = format_day(language, one.until)
    return text(language, f"licence-line.{which}", serial=one.serial, count=one.seats, until=until)


async def _is_linked(port: int) -> bool:
    try:
        return (await ask(port)).linked
    except ConnectorError:
        return False
