"""The part of a simulated Microsoft Graph that the advisor reads: call records, with the app's own permission.

Shapes follow the documentation of `callRecord` (v1.0); tests supply the records under `/control/`.
"""

import re
from typing import Any, Final

from aiohttp import web

PERMISSION: Final = "CallRecords.Read.All"
_FILTER: Final = re.compile(
    r"participants_v2/any\(p:p/id eq '([0-9a-f-]{36})'\) and startDateTime ge (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"
)


def add_routes(app: web.Application, issuer: Any) -> None:
    """Add the routes. `issuer` is the simulated Entra whose tokens are accepted."""
    records: dict[str, dict[str, Any]] = {}
    throttled = {"for": 0}

    def refusal(request: web.Request) -> web.Response | None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        claims = issuer.users.verified(token)
        if claims is None or claims.get("aud") != f"{issuer.public_url}/graph":
            return _error(401, "InvalidAuthenticationToken")
        if PERMISSION not in claims.get("roles", ()):
            return _error(403, "Forbidden")
        if throttled["for"]:
            return _error(429, "TooManyRequests", {"Retry-After": str(throttled["for"])})
        return None

    async def listed(request: web.Request) -> web.Response:
        if refused := refusal(request):
            return refused
        matched = _FILTER.fullmatch(request.query.get("$filter", ""))
        if matched is None:
            return _error(400, "BadRequest")
        object_id, since = matched.groups()
        found = [
            {name: value for name, value in record.items() if name != "sessions"}
            for record in records.values()
            if object_id in str(record) and record["startDateTime"] >= since
        ]
        return web.json_response({"value": found})

    async def one(request: web.Request) -> web.Response:
        if refused := refusal(request):
            return refused
        record = records.get(request.match_info["id"])
        if record is None:
            return _error(404, "NotFound")
        expanded = request.query.get("$expand") == "sessions($expand=segments)"
        return web.json_response(record if expanded else {**record, "sessions": []})

    async def put(request: web.Request) -> web.Response:
        body = await request.json()
        records.clear()
        records.update({record["id"]: record for record in body.get("records", [])})
        issuer.roles = (PERMISSION,) if body.get("consented", True) else ()
        throttled["for"] = int(body.get("retryAfter", 0))
        return web.json_response({})

    app.router.add_get("/graph/v1.0/communications/callRecords", listed)
    app.router.add_get("/graph/v1.0/communications/callRecords/{id}", one)
    app.router.add_post("/control/call-records", put)


def _error(status: int, code: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"code": code, "message": code}}, status=status, headers=headers)
