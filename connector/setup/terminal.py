"""The set-up in the terminal: the same steps and checks as the page, one question after the other."""

import asyncio
import getpass
from collections.abc import Callable
from typing import Any, TextIO

from connector.doctor.report import Printer
from connector.setup.draft import Draft
from connector.setup.steps import (
    STEPS,
    Attempt,
    Field,
    Kind,
    ShownCertificate,
    Step,
    attempt,
    certificate_values,
    mark_tried,
    shown,
)
from core.language import Language, Words, format_day
from wire.doctor import StepOutcome
from wire.lines import one_line
from wire.pbxkey import grouped

_WORDS = Words("connector.setup")


class _QuitError(Exception):
    """The person wants to end the set-up, or there is no more input."""


def ask_in_terminal(draft: Draft, language: Language, source: TextIO, out: TextIO) -> int:
    """Ask all steps, try each, and write the configuration. Returns the exit code of the command."""
    terminal = _Terminal(draft, language, source, out)
    try:
        return terminal.run()
    except (_QuitError, KeyboardInterrupt, EOFError):
        terminal.say(terminal.text("terminal.not-saved"))
        return 1


class _Terminal:
    def __init__(self, draft: Draft, language: Language, source: TextIO, out: TextIO) -> None:
        self._draft = draft
        self._language = language
        self._source = source
        self._out = out

    def run(self) -> int:
        self.say(self.text("terminal.intro"))
        for step in STEPS:
            self._ask_step(step)
        path = self._draft.file.path
        if not self._confirms(self.text("terminal.save", file=path)):
            raise _QuitError
        config = self._draft.save()
        self.say(self.text("terminal.saved", file=path))
        self.say(
            self.text("terminal.key", name=config.pbx.name, pbx_key=grouped(self._draft.state.pbx_key()))
        )
        self.say(self.text("terminal.next"))
        return 0

    def text(self, key: str, /, **values: Any) -> str:
        return _WORDS.text(self._language, key, **values)

    def say(self, words: str) -> None:
        print(words, file=self._out, flush=True)

    def _ask_step(self, step: Step) -> None:
        title = self.text(f"step.{step.name}.title")
        self.say(f"\n{title}\n{'-' * len(title)}\n{self.text(f'step.{step.name}.intro')}\n")
        asks_for_oauth = False
        while True:
            values = {
                one.name: self._ask_field(one) for one in step.fields if not one.is_rare or asks_for_oauth
            }
            found = self._try(step, values)
            while found.certificate is not None and self._accepts(found.certificate):
                self._draft.enter(certificate_values(found.certificate.fingerprint))
                found = self._try(Step(step.name, (), step.check), {})
            if not found.has_failed:
                self._say_licences(found)
                return
            if found.asks_for_oauth:
                asks_for_oauth = True
                self.say(self.text("oauth-asked"))
            if self._choose(found) == "save":
                mark_tried(step, self._draft)
                return

    def _try(self, step: Step, values: dict[str, str]) -> Attempt:
        self.say(self.text("terminal.checking"))
        found = Attempt()
        asyncio.run(attempt(step, self._draft, values, found))
        printer = Printer(self._language, colours=False)
        for one in found.steps:
            if one.outcome is not StepOutcome.SKIPPED:
                printer.step(one)
        for key in found.errors.values():
            self.say(f"! {self.text(key)}")
        if found.problem:
            self.say(f"! {one_line(found.problem)}")
        return found

    def _ask_field(self, one: Field) -> str:
        label = self.text(f"field.{one.name}.label")
        if not one.is_required:
            label = f"{label} ({self.text('optional')})"
        if one.kind is Kind.SWITCH:
            return "on" if self._confirms(label, default=shown(one, self._draft) == "on") else ""
        if one.kind is Kind.LINES:
            return self._ask_lines(label)
        present = shown(one, self._draft)
        if one.is_secret:
            held = f" [{self.text('stored')}]" if self._draft.holds(one.name) else ""
            return self._read(f"{label}{held}: ", is_secret=True)
        answer = self._read(f"{label} [{present}]: " if present else f"{label}: ")
        return answer or present

    def _ask_lines(self, label: str) -> str:
        self.say(f"{label}: {self.text('terminal.keys')}")
        lines = []
        while line := self._read("> ").strip():
            lines.append(line)
        return "\n".join(lines)

    def _accepts(self, certificate: ShownCertificate) -> bool:
        self.say(f"\n{self.text('certificate.intro')}\n")
        for name in ("fingerprint", "subject", "issuer"):
            self.say(f"{self.text(f'certificate.{name}')}: {one_line(getattr(certificate, name))}")
        dates = self.text(
            "certificate.from-until", valid_from=certificate.valid_from, valid_until=certificate.valid_until
        )
        self.say(f"{self.text('certificate.validity')}: {dates}")
        return self._confirms(self.text("terminal.accept"), default=False)

    def _say_licences(self, found: Attempt) -> None:
        for one in found.licences:
            which = "one" if one.seats == 1 else "other"
            until = format_day(self._language, one.until)
            self.say(self.text(f"licence-line.{which}", serial=one.serial, count=one.seats, until=until))
        if found.licences:
            self.say(self.text("licence-note"))

    def _confirms(self, question: str, *, default: bool = True) -> bool:
        yes = self.text("terminal.yes-letter")
        shown_default = yes if default else self.text("terminal.yes-no").rpartition("/")[2]
        answer = (
            self._read(f"{question} ({self.text('terminal.yes-no')}) [{shown_default}]: ").strip().lower()
        )
        return default if not answer else answer[:1] in (yes, "y")

    def _choose(self, found: Attempt) -> str:
        """Return "again" or "save". Raises `_QuitError`."""
        question = "terminal.again" if found.may_be_saved else "terminal.again-only"
        while True:
            letter = self._read(f"{self.text(question)} ").strip().lower()[:1]
            if letter == self.text("terminal.quit-letter"):
                raise _QuitError
            if letter == self.text("terminal.save-letter") and found.may_be_saved:
                return "save"
            if letter in (self.text("terminal.again-letter"), ""):
                return "again"

    def _read(self, prompt: str, *, is_secret: bool = False) -> str:
        read: Callable[[str], str] | None = None
        if self._source.isatty():
            read = getpass.getpass if is_secret else input
        if read is not None:
            return read(prompt)
        print(prompt, end="", file=self._out, flush=True)
        line = self._source.readline()
        if not line:
            raise _QuitError
        return line.rstrip("\r\n")
