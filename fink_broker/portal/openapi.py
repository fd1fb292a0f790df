"""The description of the API that programs read: OpenAPI 3.1, made from the routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fink_broker import __version__
from fink_broker.config import Config
from fink_broker.portal.answering import arguments_of
from fink_broker.portal.examples import example_of, example_request, files_of
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
    "401": "A key is needed, or not known; or the token to write is missing or wrong.",
    "403": "This API takes no data.",
    "404": "What was asked for is not there.",
    "408": "The body came too slowly.",
    "413": "The request is too large.",
    "414": "The address is too long: send the arguments by POST.",
    "415": "The body is neither JSON nor a form.",
    "424": "A service outside that is needed does not answer.",
    "429": "The quota is used up; `Retry-After` says for how many seconds.",
    "500": "A fault of the server; the sentence has a number under which its log has the details.",
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
        operation["requestBody"] = {"required": True, "content": _contents(route, found)}
    else:
        operation["parameters"] = [
            _parameter(route, each, found) for each in arguments_of(route) if each.kind != "upload"
        ]
    return operation


def _contents(route: Route, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the kinds of bodies a route takes; an example of a file would be none that works."""
    schema = _body(route)
    if files_of(route):
        return {"multipart/form-data": {"schema": schema}, "application/json": {"schema": schema}}
    return {"application/json": {"schema": schema, "example": example_request(route, found)}}


def _parameter(route: Route, argument: Argument, found: Mapping[str, Any]) -> dict[str, Any]:
    described = {
        "name": argument.name,
        "in": "query",
        "required": argument.required,
        "description": argument.description,
        "schema": schema_of(argument),
    }
    example = example_of(route, argument, found)
    return described if example is None else {**described, "example": example}


def _body(route: Route) -> dict[str, Any]:
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
        "X-Fink-Max-Rows": {"description": "the most rows this answer could have", "schema": {"type": "integer"}},
    }
    answer: dict[str, Any] = {"description": "The answer.", "content": kinds}
    if route.has_rows:
        answer["headers"] = headers
    errors = {
        status: {"description": text, "content": {"text/html": {"schema": {"type": "string"}}}}
        for status, text in _ERRORS.items()
    }
    return {"200": answer, **errors}
