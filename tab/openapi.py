"""The OpenAPI document of the tab API, generated from the operations and their pydantic models."""

from collections import defaultdict
from functools import cache
from typing import Any

from pydantic.json_schema import models_json_schema

from core.diagnosis.codes import Code
from tab.operation import Operation
from tab.operations import OPERATIONS
from tab.problems import status_of
from wire.tab import Problem

_REF = "#/components/schemas/{model}"


@cache
def document() -> dict[str, Any]:
    models = {operation.answer for operation in OPERATIONS} | {Problem}
    bodies = {operation.body for operation in OPERATIONS if operation.body is not None}
    inputs = sorted(((body, "validation") for body in bodies), key=lambda pair: pair[0].__name__)
    outputs = sorted(((model, "serialization") for model in models), key=lambda pair: pair[0].__name__)
    _, schemas = models_json_schema([*inputs, *outputs], by_alias=True, ref_template=_REF)  # type: ignore[list-item]
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for operation in OPERATIONS:
        paths[operation.path][operation.method.lower()] = _operation(operation)
    paths["/api/v1/events"]["get"] = {
        "operationId": "watch",
        "summary": "Live updates (server-sent events): `state` carries MyState, `audio` and `licences` say that these changed",
        "responses": {
            "200": {"description": "OK", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
            "401": _problem_response([Code.TOKEN_REJECTED]),
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


def _operation(operation: Operation) -> dict[str, Any]:
    by_status: dict[int, list[Code]] = defaultdict(list)
    general = [Code.TOKEN_REJECTED, Code.IDENTITY_UNAVAILABLE, Code.INTERNAL]
    if operation.body is not None or operation.query is not None:
        general += [Code.INVALID_REQUEST, Code.TOO_LARGE]
    for code in (*general, *operation.problems):
        by_status[status_of(code)].append(code)
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "responses": {
            "200": {
                "description": "OK",
                "content": {
                    "application/json": {"schema": {"$ref": _REF.format(model=operation.answer.__name__)}}
                },
            }
        }
        | {str(status): _problem_response(codes) for status, codes in sorted(by_status.items())},
    }
    if operation.query is not None:
        members = operation.query.model_json_schema(by_alias=True)["properties"]
        described["parameters"] = [
            {"name": name, "in": "query", "required": False, "schema": schema}
            for name, schema in members.items()
        ]
    if operation.body is not None:
        schema = {"$ref": _REF.format(model=operation.body.__name__)}
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return described


def _problem_response(codes: list[Code]) -> dict[str, Any]:
    return {
        "description": ", ".join(codes),
        "content": {"application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}},
    }
