"""The OpenAPI document of the tab API, generated from the operations and their pydantic models."""

import re
from collections import defaultdict
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from core.diagnosis.codes import Code
from tab.budgets import Cost
from tab.export import MEDIA_TYPES, ExportFile, Format
from tab.operation import Operation
from tab.operations import OPERATIONS
from tab.problems import RETRIED_STATUSES, status_of
from wire.tab import Problem
from wire.tab_events import HoldersChange, SeatsChange

_WATCH = (
    "Live updates (server-sent events). The first is `state` (MyState), sent again when the person's own state changes. With"
    " the parameter `changes` the others carry what has changed: `connection` (ConnectionState), `seats` (SeatsChange),"
    " `waiting` (WaitingPlace), `audio` (AudioState), and for administrators `holders` (HoldersChange) and `claims`. `missed`"
    " says that something may have been lost, `replaced` that newer streams of the same person have taken the place of this one."
    " `timeZone` is as for the state."
    " With the parameter `phone` as well, `phone` (Phone) is sent when something changes on the person's telephone."
    " Without the parameter whole states are sent, and `audio` and `licences` say that these may have changed"
)
_REF = "#/components/schemas/{model}"

_IN_PATH = {"type": "string", "pattern": "^[!-~]{1,100}$"}
"""The same pattern as `wire.bounds.token`."""


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    answers = {operation.answer for operation in OPERATIONS}
    models = {answer for answer in answers if issubclass(answer, BaseModel)}
    models |= {Problem, HoldersChange, SeatsChange}
    bodies = {operation.body for operation in OPERATIONS if operation.body is not None}
    inputs = sorted(((body, "validation") for body in bodies), key=lambda pair: pair[0].__name__)
    outputs = sorted(((model, "serialization") for model in models), key=lambda pair: pair[0].__name__)
    _, schemas = models_json_schema([*inputs, *outputs], by_alias=True, ref_template=_REF)  # type: ignore[list-item]
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for operation in OPERATIONS:
        paths[operation.path][operation.method.lower()] = _operation(operation)
    paths["/api/v1/events"]["get"] = {
        "operationId": "watch",
        "summary": _WATCH,
        "responses": {
            "200": {"description": "OK", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
            "401": _problem_response(401, [Code.TOKEN_REJECTED]),
            "403": _problem_response(403, [Code.TENANT_NOT_ALLOWED]),
            "429": _problem_response(429, [Code.THROTTLED]),
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "PBX for Teams: tab API",
            "version": "1",
            "description": "Every call carries a Teams SSO token. Errors are problem+json with a stable `code`.",
        },
        "servers": [{"url": "/"}],
        "security": [{"teamsSso": []}],
        "paths": dict(paths),
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"teamsSso": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _names_in(path: str) -> list[str]:
    return re.findall(r"{(\w+)}", path)


def _operation(operation: Operation) -> dict[str, Any]:
    by_status: dict[int, list[Code]] = defaultdict(list)
    general = [Code.TOKEN_REJECTED, Code.TENANT_NOT_ALLOWED, Code.IDENTITY_UNAVAILABLE, Code.INTERNAL]
    if operation.its_cost is not Cost.LITTLE and Code.THROTTLED not in operation.problems:
        general.append(Code.THROTTLED)
    if _names_in(operation.path):
        general.append(Code.INVALID_REQUEST)
    elif operation.body is not None or operation.query is not None:
        general += [Code.INVALID_REQUEST, Code.TOO_LARGE, Code.TOO_SLOW, Code.UNSTORABLE_VALUE]
    for code in (*general, *operation.problems):
        by_status[status_of(code)].append(code)
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "responses": {"200": _answer(operation)}
        | {str(status): _problem_response(status, codes) for status, codes in sorted(by_status.items())},
    }
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _IN_PATH}
        for name in _names_in(operation.path)
    ]
    if operation.query is not None:
        members = operation.query.model_json_schema(by_alias=True)["properties"]
        parameters += [
            {"name": name, "in": "query", "required": False, "schema": schema}
            for name, schema in members.items()
        ]
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        schema = {"$ref": _REF.format(model=operation.body.__name__)}
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return described


def _answer(operation: Operation) -> dict[str, Any]:
    if issubclass(operation.answer, ExportFile):
        text = {"schema": {"type": "string"}}
        return {
            "description": "OK: a file to be saved",
            "headers": {
                "Content-Disposition": {"description": "Holds the file's name", **text},
                "X-Complete": {
                    "description": "`false`: there are older rows that did not fit into one file",
                    "schema": {"type": "string", "enum": ["true", "false"]},
                },
            },
            "content": {MEDIA_TYPES[Format.CSV]: text, MEDIA_TYPES[Format.XLSX]: text},
        }
    schema = {"$ref": _REF.format(model=operation.answer.__name__)}
    return {"description": "OK", "content": {"application/json": {"schema": schema}}}


def _problem_response(status: int, codes: list[Code]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": ", ".join(codes),
        "content": {"application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}},
    }
    if status in RETRIED_STATUSES:
        seconds = {"type": "integer", "minimum": 1}
        described["headers"] = {
            "Retry-After": {"description": "Seconds until it is worth asking again", "required": True}
            | {"schema": seconds}
        }
    return described
