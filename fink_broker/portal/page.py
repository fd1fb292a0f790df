"""The documentation that people read, as one page that needs nothing from outside."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby
from typing import Any
from urllib.parse import quote, urlencode

from fink_broker import __version__
from fink_broker.config import Config
from fink_broker.portal.answering import arguments_of
from fink_broker.portal.examples import example_of
from fink_broker.portal.openapi import PREFIX, example_request
from fink_broker.portal.route import Argument, Route

#: what the page may do in a browser: run its own script, ask this server, nothing else
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' blob: data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
#: characters of an answer the page shows
SHOWN_CHARACTERS = 20_000


def documentation(config: Config, routes: Sequence[Route], found: Mapping[str, Any], address: str) -> str:
    """Return the page.

    Parameters
    ----------
    config : Config
        The configuration in force: its limits are told.
    routes : sequence of Route
        What is served.
    found : mapping
        Examples from the archive, by name of argument.
    address : str
        Address of the API, without a slash at its end.
    """
    template = files("fink_broker.portal").joinpath("page.html").read_text(encoding="utf-8")
    groups = list(dict.fromkeys(route.group for route in routes))
    ordered = sorted(routes, key=lambda route: groups.index(route.group))
    parts = {
        "VERSION": escape(__version__),
        "GENERATION": escape(config.api.generation),
        "ADDRESS": escape(address),
        "MAX_ROWS": f"{config.api.max_rows:,}",
        "SECONDS": f"{config.api.seconds:g}",
        "SHOWN": str(SHOWN_CHARACTERS),
        "MENU": "".join(_menu(ordered)),
        "ROUTES": "".join(_section(route, found, address) for route in ordered),
    }
    for name, text in parts.items():
        template = template.replace(f"@{name}@", text)
    return template


def _menu(routes: Sequence[Route]) -> list[str]:
    lines = []
    for group, members in groupby(routes, key=lambda route: route.group):
        links = "".join(f'<li><a href="#{escape(each.name)}">{escape(each.name)}</a></li>' for each in members)
        lines.append(f"<h2>{escape(group)}</h2><ul>{links}</ul>")
    return lines


def _section(route: Route, found: Mapping[str, Any], address: str) -> str:
    name = escape(route.name)
    methods = " ".join(f'<span class="method">{escape(method)}</span>' for method in route.methods)
    rows = "".join(_argument(each, found) for each in arguments_of(route))
    table = (
        f"<table><thead><tr><th>argument</th><th>what</th><th>kind</th><th>default</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
        if rows
        else "<p>It takes no arguments.</p>"
    )
    return (
        f'<section id="{name}"><h3>{methods} <code>{PREFIX}/{name}</code></h3><p>{escape(route.summary)}.</p>{table}'
        f"{_example('curl', curl_example(route, found, address))}{_example('Python', _python(route, found, address))}"
        f'<details class="try"><summary>Try it</summary>{_form(route, found)}</details></section>'
    )


def _argument(argument: Argument, found: Mapping[str, Any]) -> str:
    mark = ' <span class="required">required</span>' if argument.required else ""
    limits = f" ({', '.join(map(escape, argument.choices))})" if argument.choices else ""
    if argument.least is not None or argument.most is not None:
        low = "" if argument.least is None else f"{argument.least:g}"
        high = "" if argument.most is None else f"{argument.most:g}"
        limits += f" [{low} … {high}]"
    example = example_of(argument, found)
    shown = f"<br><small>e.g. <code>{escape(str(example)[:200])}</code></small>" if example is not None else ""
    default = "" if argument.default is None else f"<code>{escape(str(argument.default))}</code>"
    return (
        f"<tr><td><code>{escape(argument.name)}</code>{mark}</td><td>{escape(argument.description)}{limits}{shown}</td>"
        f"<td>{escape(argument.kind.replace('_', ' '))}</td><td>{default}</td></tr>"
    )


def _example(title: str, text: str) -> str:
    return (
        f'<div class="example"><span>{title}</span><button type="button" class="copy">copy</button>'
        f"<pre><code>{escape(text)}</code></pre></div>"
    )


def curl_example(route: Route, found: Mapping[str, Any], address: str) -> str:
    """Return a command line that asks a route and works as it is."""
    given = example_request(route, found)
    url = f"{address}{PREFIX}/{route.name}"
    if "GET" in route.methods and not any(isinstance(value, (dict, list)) for value in given.values()):
        return f"curl '{url}?{urlencode(given, quote_via=quote)}'" if given else f"curl '{url}'"
    body = json.dumps(given).replace("'", "'\\''")
    return f"curl -H 'Content-Type: application/json' -d '{body}' '{url}'"


def _python(route: Route, found: Mapping[str, Any], address: str) -> str:
    given = ", ".join(f"{json.dumps(name)}: {value!r}" for name, value in example_request(route, found).items())
    call = "post" if "POST" in route.methods else "get"
    argument = f"json={{{given}}}" if call == "post" else f"params={{{given}}}"
    result = "answer.json()" if route.has_rows else "answer.content"
    return (
        f'import httpx\n\nanswer = httpx.{call}("{address}{PREFIX}/{route.name}", {argument})\n'
        f"answer.raise_for_status()\nprint({result})"
    )


def _form(route: Route, found: Mapping[str, Any]) -> str:
    given = example_request(route, found)
    fields = "".join(
        f"<label>{escape(each.name)}<input name={_quoted(each.name)} value={_quoted(given.get(each.name, ''))}></label>"
        for each in arguments_of(route)
        if each.kind != "upload"
    )
    method = "POST" if "POST" in route.methods and "GET" not in route.methods else "GET"
    return (
        f'<form data-path="{PREFIX}/{escape(route.name)}" data-method="{method}">{fields}'
        '<button type="submit">Send</button></form><p class="status"></p><pre class="answer" hidden></pre>'
        '<img class="answer" alt="" hidden>'
    )


def _quoted(value: object) -> str:
    return f'"{escape(str(value))}"'
