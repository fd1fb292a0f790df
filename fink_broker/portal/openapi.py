"""The description of the API that programs read: OpenAPI 3.1, made from the routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fink_broker import __version__
from fink_broker.config import Config
from fink_broker.portal.answering import arguments_of
from fink_broker.portal.examples import example_of
from fink_broker.portal.formats import FORMATS
from fink_broker.portal.route import Argument, Route

PREFIX = "/api/v1"
_SUMMARY = (
    "Alerts of the Zwicky Transient Facility with what Fink adds to them, seconds after they arrive. "
    "Arguments go into the query string or, by POST, into a JSON body. An error is status 4xx or 5xx and a sentence. "
    "An answer that was cut at the most rows the server gives has the header `X-Fink-Truncated: true`."
)
_TYPES: dict[str, dict[str, Any]] = {
    "integer": {"type": "integer", "format": "int64"},
    "number": {"type": "number"},
    "flag": {"type": "boolean"},
    "presence": {"type": "boolean"},
}
_ERRORS = {
    "400": "A wrong or missing argument; the sentence says which.",
    "404": "What was asked for is not there.",
    "413": "The request is too large.",
    "429": "The quota is used up; `Retry-After` says for how many seconds.",
    "503": "The archive does not answer, or the server is busy; `Retry-After` says when to try again.",
    "504": "The request took too long: ask for less.",
}


def describe_api(config: Config, routes: Sequence[Route], found: Mapping[str, Any], address: str) -> dict[str, Any]:
    """Return the OpenAPI document.

    Parameters
    ----------
    config : Config
        The configuration in force.
    routes : sequence of Route
        What is served.
    found : mapping
        Examples from the archive, by name of argument.
    address : str
        Address of the API, without a slash at its end.
    """
    return {
        "openapi": "3.1.0",
        "info": {"title": "Fink API", "version": __version__, "description": _SUMMARY},
        "servers": [{"url": address}],
        "paths": {f"{PREFIX}/{route.name}": _path(route, found, config) for route in routes},
        "tags": [{"name": group} for group in dict.fromkeys(route.group for route in routes)],
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            }
        },
        "security": [{}, {"bearer": []}, {"key": []}],
    }


def example_request(route: Route, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments that work: those that are required, or else the first that has an example."""
    examples = [(each, example_of(each, found)) for each in arguments_of(route) if each in route.arguments]
    required = {each.name: value for each, value in examples if each.required and value is not None}
    if required or route.answers_bare_get:
        return required
    optional = [(each, value) for each, value in examples if value is not None]
    if not optional:
        return {}
    group = optional[0][0].group
    return {each.name: value for each, value in optional if each.group == group and group is not None} or {
        optional[0][0].name: optional[0][1]
    }


def _path(route: Route, found: Mapping[str, Any], config: Config) -> dict[str, Any]:
    return {method.lower(): _operation(route, method, found, config) for method in route.methods}


def _operation(route: Route, method: str, found: Mapping[str, Any], config: Config) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{method.lower()}_{route.name}",
        "summary": route.summary,
        "tags": [route.group],
        "responses": _responses(route, config),
    }
    if method == "POST":
        schema = _body(route, found)
        upload = {"schema": schema} if any(each.kind == "upload" for each in route.arguments) else None
        content = {"application/json": {"schema": schema, "example": example_request(route, found)}}
        operation["requestBody"] = {
            "required": True,
            "content": content | ({"multipart/form-data": upload} if upload else {}),
        }
    else:
        operation["parameters"] = [_parameter(each, found) for each in arguments_of(route) if each.kind != "upload"]
    return operation


def _parameter(argument: Argument, found: Mapping[str, Any]) -> dict[str, Any]:
    described = {
        "name": argument.name,
        "in": "query",
        "required": argument.required,
        "description": argument.description,
        "schema": schema_of(argument),
    }
    example = example_of(argument, found)
    return described if example is None else {**described, "example": example}


def _body(route: Route, found: Mapping[str, Any]) -> dict[str, Any]:
    arguments = arguments_of(route)
    properties = {each.name: schema_of(each) | {"description": each.description} for each in arguments}
    return {
        "type": "object",
        "properties": properties,
        "required": [each.name for each in arguments if each.required],
    }


def schema_of(argument: Argument) -> dict[str, Any]:
    """Return what an argument may be, as JSON Schema."""
    if argument.kind == "anything":
        return {}
    schema: dict[str, Any] = dict(_TYPES.get(argument.kind, {"type": "string"}))
    if schema["type"] == "string" and argument.kind != "upload":
        schema["maxLength"] = argument.longest
    if argument.choices and argument.kind == "choice":
        schema["enum"] = list(argument.choices)
    elif argument.name == "output-format" and argument.kind == "text":
        schema["examples"] = list(FORMATS)
    if argument.least is not None:
        schema["minimum"] = argument.least
    if argument.most is not None:
        schema["maximum"] = argument.most
    if isinstance(argument.default, (str, int, float, bool)):
        schema["default"] = argument.default
    return schema


def _responses(route: Route, config: Config) -> dict[str, Any]:
    kinds: dict[str, Any] = {form.content_type: {} for form in FORMATS.values()} if route.has_rows else {"*/*": {}}
    if config.api.generation == "historic":
        kinds = {"text/html": {}}
    headers = {
        "X-Fink-Truncated": {"description": "true if there would be more rows", "schema": {"type": "string"}},
        "X-Fink-Max-Rows": {"description": "the most rows the server gives", "schema": {"type": "integer"}},
    }
    answer: dict[str, Any] = {"description": "The answer.", "content": kinds}
    if route.has_rows:
        answer["headers"] = headers
    errors = {
        status: {"description": text, "content": {"text/html": {"schema": {"type": "string"}}}}
        for status, text in _ERRORS.items()
    }
    return {"200": answer, **errors}
