"""Open pages show the line as it is, also when a connector was busy for a moment."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from core.background import Background
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, RefusedError
from tab import phone_news
from tab.phone_news import PhoneNews
from wire.phone import LineState, PhoneLine

PERSON = ("tenant", "object")


@dataclass
class Page:
    user: Any = None
    takes_phone: bool = True
    sent: list[bytes] = field(default_factory=list)

    def send_phone(self, text: bytes) -> None:
        self.sent.append(text)


@dataclass
class Pages:
    page: Page

    def get_of(self, person: tuple[str, str]) -> list[Page]:
        return [self.page] if person == PERSON else []


@dataclass
class Telephone:
    answers: Iterator[PhoneLine | Finding]

    async def line(self, _user: Any) -> PhoneLine:
        answer = next(self.answers)
        if isinstance(answer, Finding):
            raise RefusedError(answer)
        return answer


async def read(*answers: PhoneLine | Finding) -> list[bytes]:
    page, tasks = Page(), Background()
    news = PhoneNews(Pages(page), Telephone(iter(answers)), tasks)  # type: ignore[arg-type]
    news.changed(PERSON)
    async with asyncio.timeout(20):
        while not page.sent:
            await asyncio.sleep(0)
    await tasks.finish()
    return page.sent


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phone_news, "RETRY_SECONDS", (0.0, 0.0))


@pytest.mark.parametrize("code", [Code.PBX_BUSY, Code.OUTCOME_UNKNOWN])
async def test_a_line_is_read_again_before_a_page_loses_it(code: Code) -> None:
    (sent,) = await read(
        Finding(code), Finding(code), PhoneLine(state=LineState.UP, features={}, calls=[], phones=[])
    )
    assert b'"line":{' in sent


async def test_a_line_that_stays_unreadable_is_shown_as_such() -> None:
    (sent,) = await read(*[Finding(Code.PBX_BUSY)] * 3)
    assert b'"line":null' in sent and b'"isOn":true' in sent


async def test_another_refusal_is_shown_at_once() -> None:
    (sent,) = await read(Finding(Code.LINK_DOWN))
    assert b'"line":null' in sent
