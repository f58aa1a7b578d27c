"""What an operation of the tab API is: routes and the OpenAPI document both come from these."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import BaseModel

from core.administration.administration import Administration
from core.administration.connections import Connections
from core.advisor.advisor import Advisor
from core.advisor.calls import CallHelp
from core.advisor.probes import Probes
from core.advisor.records import CallRecords
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.identity.teams_user import TeamsUser
from core.identity.tokens import TabToken, TabTokenValidator
from core.phone.telephone import Telephone
from core.signin.preferences import PreferenceStore
from core.signin.signin import PbxAccess, SignIn, State
from core.store.conversations import Conversations
from tab import present
from tab.budgets import Cost, PersonBudgets
from tab.export import ExportFile
from tab.live import LiveUpdates
from tab.problems import ProblemError, language_of
from wire.tab import MyState

API: Final = "/api/v1"
MAX_BODY_BYTES: Final = 256 * 1024
BODY_SECONDS: Final = 10.0
"""For the whole body of a request; the largest that people send has a few kilobytes."""
T = TypeVar("T")


def is_packed(request: web.Request) -> bool:
    """Whether the body has a content encoding (gzip and its like). Nobody who speaks to the service packs, and unpacking is
    work that a stranger could multiply.
    """
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    return encoding not in ("", "identity")


TOKEN_IS_GOOD: Final[web.AppKey[Callable[[web.Request], None]]] = web.AppKey("token_is_good")
"""Called as soon as a request's token is validated: its connection is a stranger's no more."""


@dataclass(frozen=True, slots=True)
class TabServices:
    """What the tab API stands on."""

    tokens: TabTokenValidator
    sign_in: SignIn
    administration: Administration
    connections: Connections
    advisor: Advisor
    probes: Probes
    call_help: CallHelp
    telephone: Telephone
    records: CallRecords
    preferences: PreferenceStore
    conversations: Conversations
    budgets: PersonBudgets
    live: LiveUpdates
    public_url: str
    """The service's own address, for programs that are to connect to it."""
    bot_can_write: Callable[[], bool]
    """Microsoft gives the bot its token."""


@dataclass(frozen=True, slots=True)
class Call:
    """One validated call."""

    request: web.Request
    token: TabToken
    services: TabServices
    body: Any
    query: Any

    @property
    def user(self) -> TeamsUser:
        return self.token.user

    def my_state(self, state: State) -> MyState:
        return present.my_state(state, language_of(self.request))

    def access(self) -> PbxAccess:
        return PbxAccess(self.body.pbx_name, self.body.key_digest, self.request.remote or "")


@dataclass(frozen=True, slots=True)
class Operation:
    id: str
    method: str
    path: str
    summary: str
    run: Callable[[Call], Awaitable[BaseModel | present.Rendered | ExportFile]]
    answer: type[BaseModel | ExportFile]
    body: type[BaseModel] | None = None
    problems: tuple[Code, ...] = ()
    query: type[BaseModel] | None = None
    cost: Cost | None = None
    """None: little for what only reads, a change for the rest."""

    @property
    def its_cost(self) -> Cost:
        return self.cost or (Cost.LITTLE if self.method == "GET" else Cost.CHANGE)


def expect(outcome: T | Finding) -> T:
    if isinstance(outcome, Finding):
        raise ProblemError(outcome)
    return outcome
