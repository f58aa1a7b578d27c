"""The definition of a tab API operation. Both the routes and the OpenAPI document are built from it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel

from core.administration.administration import Administration
from core.administration.connections import Connections
from core.administration.downloads import Downloads
from core.administration.repairs import Repairs
from core.advisor.advisor import Advisor
from core.advisor.calls import CallHelp
from core.advisor.probes import Probes
from core.advisor.records import CallRecords
from core.diagnosis.codes import Code
from core.identity.teams_user import TeamsUser
from core.identity.tokens import TabToken, TabTokenValidator
from core.phone.telephone import Telephone
from core.signin.preferences import PreferenceStore
from core.signin.signin import PbxAccess, SignIn, UserState
from core.store.conversations import Conversations
from tab import present
from tab.budgets import Cost, PersonBudgets
from tab.export import ExportFile
from tab.live import LiveUpdates
from tab.problems import language_of
from wire.tab import MyState

API: Final = "/api/v1"
MAX_BODY_BYTES: Final = 256 * 1024
BODY_SECONDS: Final = 10.0
"""Time-out for the complete body of a request; the largest real ones have a few kilobytes."""


def is_packed(request: web.Request) -> bool:
    """Return whether the body has a content encoding such as gzip. No client of the service compresses, and an
    attacker could use decompression to cause load.
    """
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    return encoding not in ("", "identity")


TOKEN_IS_GOOD: Final[web.AppKey[Callable[[web.Request], None]]] = web.AppKey("token_is_good")
"""Called as soon as the token of a request is validated: its connection then counts as authenticated."""


@dataclass(frozen=True, slots=True)
class TabServices:
    """The services that the tab API uses."""

    tokens: TabTokenValidator
    sign_in: SignIn
    administration: Administration
    connections: Connections
    repairs: Repairs
    downloads: Downloads
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
    """Returns whether Microsoft issues the bot's token."""


@dataclass(frozen=True, slots=True)
class Call:
    """One validated request to an operation. `body` and `query` are instances of the operation's models, or
    None.
    """

    request: web.Request
    token: TabToken
    services: TabServices
    body: Any
    query: Any

    @property
    def user(self) -> TeamsUser:
        return self.token.user

    def my_state(self, state: UserState) -> MyState:
        return present.my_state(state, language_of(self.request))

    def access(self) -> PbxAccess:
        """Return the PBX name and key digest of the body, with the client's address."""
        return PbxAccess(self.body.pbx_name, self.body.key_digest, self.request.remote or "")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: its route, its models, and the codes of the problems that it may answer."""

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
    """None means `LITTLE` for GET and `CHANGE` for everything else."""

    @property
    def its_cost(self) -> Cost:
        return self.cost or (Cost.LITTLE if self.method == "GET" else Cost.CHANGE)
