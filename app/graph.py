"""Call records from Microsoft Graph, by the application permission `CallRecords.Read.All` (there is no delegated one).

Sources: learn.microsoft.com/graph/api/callrecords-cloudcommunications-list-callrecords (filter by participant and
start; no expansion) and …/callrecords-callrecord-get (expansion of sessions and segments).
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar
from urllib.parse import quote

import aiohttp
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from pydantic import BaseModel, ValidationError

from bot.credentials import TokenSource
from core.advisor.records import RecordsNotAllowedError, RecordsUnavailableError
from core.audio.call_records import CallRecord, CallRecordList, newest, uses_of
from core.audio.evidence import DeviceUse
from wire import outbound

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=BaseModel)

MAX_RECORDS: Final = 5
"""Number of latest calls that are read. Earlier calls say nothing about the devices in use today."""
CALL_SECONDS: Final = 10.0
MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
"""Size of the record of a meeting with hundreds of people. It is parsed in a thread, since that would block others."""
MAX_TENANTS: Final = 1_000
"""Number of tenants whose credentials are cached."""


class GraphCallRecords:
    """Reads call records. `source_of` returns the credential for a tenant id; each credential caches its tokens."""

    def __init__(self, graph_url: str, source_of: Callable[[str], TokenSource]) -> None:
        self._url = graph_url
        self._source_of = source_of
        self._sources: dict[str, TokenSource] = {}
        self._not_before = 0.0
        """Monotonic time until which Graph has asked us to wait."""

    async def recent(self, tenant_id: str, object_id: str, since: datetime) -> Sequence[DeviceUse]:
        """Return the devices that a person used in their latest calls since `since`.

        Raises `RecordsNotAllowedError` and `RecordsUnavailableError`.
        """
        if time.monotonic() < self._not_before:
            raise RecordsUnavailableError
        headers = {
            "Authorization": f"Bearer {await self._token(tenant_id)}",
            "Prefer": "odata.maxpagesize=50",
        }
        start = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        chosen = f"participants_v2/any(p:p/id eq '{object_id}') and startDateTime ge {start}"
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        try:
            async with outbound.client(timeout=timeout, headers=headers) as http:
                listed = await self._get(http, f"?$filter={quote(chosen)}", CallRecordList)
                ordered = sorted(listed.value, key=lambda item: item.start_date_time or since, reverse=True)[
                    :MAX_RECORDS
                ]
                records = [
                    await self._get(
                        http, f"/{quote(item.id, safe='')}?$expand=sessions($expand=segments)", CallRecord
                    )
                    for item in ordered
                ]
        except (aiohttp.ClientError, TimeoutError, ValidationError) as fault:
            logger.warning("call records not read", extra={"reason": type(fault).__name__})
            raise RecordsUnavailableError from fault
        return newest([use for record in records for use in uses_of(record, object_id)])

    async def _get(self, http: aiohttp.ClientSession, path: str, kind: type[M]) -> M:
        async with http.get(f"{self._url}/v1.0/communications/callRecords{path}") as answer:
            if answer.status in (401, 403):
                raise RecordsNotAllowedError
            if answer.status in (429, 503):
                wait = answer.headers.get("Retry-After", "")
                self._not_before = time.monotonic() + (
                    min(int(wait), 3600) if wait.isascii() and wait.isdigit() and len(wait) < 10 else 60
                )
            if answer.status != 200:
                raise RecordsUnavailableError
            body = await answer.content.read(MAX_ANSWER_BYTES + 1)
            while len(body) <= MAX_ANSWER_BYTES and (more := await answer.content.read(MAX_ANSWER_BYTES)):
                body += more
            if len(body) > MAX_ANSWER_BYTES:
                raise RecordsUnavailableError
            return await asyncio.to_thread(kind.model_validate_json, body)

    async def _token(self, tenant_id: str) -> str:
        source = self._sources.get(tenant_id)
        if source is None:
            while len(self._sources) >= MAX_TENANTS:
                del self._sources[next(iter(self._sources))]
            source = self._sources[tenant_id] = self._source_of(tenant_id)
        try:
            token = await asyncio.to_thread(source.get_token, f"{self._url}/.default")
        except ClientAuthenticationError as refused:
            # The tenant does not have the app, or its administrator has not consented.
            raise RecordsNotAllowedError from refused
        except ServiceRequestError as fault:
            raise RecordsUnavailableError from fault
        return token.token
