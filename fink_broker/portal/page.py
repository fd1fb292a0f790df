"""The documentation that people read, as one page that needs nothing from outside."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby
from typing import Any
from urllib.parse import quote, urlencode

from fink_broker import __version__
from fink_broker.config import Config
from fink_broker.portal.answering import arguments_of
from fink_broker.portal.arguments import LONGEST_WORDS
from fink_broker.portal.examples import example_of, example_request, files_of
from fink_broker.portal.limits import LONGEST_URL
from fink_broker.portal.openapi import PREFIX
from fink_broker.portal.route import Argument, Route

#: what the page may do in a browser: run its own script, ask this server, nothing else
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' blob: data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
#: characters of an answer the page shows
SHOWN_CHARACTERS = 20_000
#: what stands for a file of the reader's in examples
FILE = "FILE"


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
    rows = "".join(_argument(route, each, found) for each in arguments_of(route))
    table = (
        f"<table><thead><tr><th>argument</th><th>what</th><th>kind</th><th>default</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
        if rows
        else "<p>It takes no arguments.</p>"
    )
    note = ", with a file of yours" if files_of(route) else ""
    return (
        f'<section id="{name}"><h3>{methods} <code>{PREFIX}/{name}</code></h3><p>{_prose(route.summary)}.</p>{table}'
        f"{_example('curl' + note, curl_example(route, found, address))}"
        f"{_example('Python' + note, python_example(route, found, address))}"
        f'<details class="try"><summary>Try it</summary>{_form(route, found)}</details></section>'
    )


def _argument(route: Route, argument: Argument, found: Mapping[str, Any]) -> str:
    mark = ' <span class="required">required</span>' if argument.required else ""
    limits = f" ({', '.join(map(escape, argument.choices))})" if argument.choices else ""
    if argument.least is not None or argument.most is not None:
        low = "" if argument.least is None else f"{argument.least:g}"
        high = "" if argument.most is None else f"{argument.most:g}"
        limits += f" [{low} … {high}]"
    example = example_of(route, argument, found)
    shown = f"<br><small>e.g. <code>{escape(str(example)[:200])}</code></small>" if example is not None else ""
    default = "" if argument.default is None else f"<code>{escape(str(argument.default))}</code>"
    return (
        f"<tr><td><code>{escape(argument.name)}</code>{mark}</td><td>{_prose(argument.description)}{limits}{shown}</td>"
        f"<td>{escape(argument.kind.replace('_', ' '))}</td><td>{default}</td></tr>"
    )


def _example(title: str, text: str) -> str:
    return (
        f'<div class="example"><span>{title}</span><button type="button" class="copy">copy</button>'
        f"<pre><code>{escape(text)}</code></pre></div>"
    )


def curl_example(route: Route, found: Mapping[str, Any], address: str) -> str:
    """Return a command line that asks a route; it works as it is, but for files."""
    given = example_request(route, found)
    url = shlex.quote(f"{address}{PREFIX}/{route.name}")
    if files_of(route):
        fields = [f"{name}=@{FILE}" for name in files_of(route)]
        fields += [f"{name}={value}" for name, value in {**_open_arguments(route), **given}.items()]
        return f"curl {' '.join(f'-F {shlex.quote(field)}' for field in fields)} {url}"
    if "GET" in route.methods and not any(isinstance(value, (dict, list)) for value in given.values()):
        query = f"?{urlencode(given, quote_via=quote)}" if given else ""
        return f"curl '{address}{PREFIX}/{route.name}{query}'"
    return f"curl -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(given))} {url}"


def python_example(route: Route, found: Mapping[str, Any], address: str) -> str:
    """Return a program that asks a route; it works as it is, but for files."""
    given = example_request(route, found) | ({"output-format": "json"} if route.has_rows else {})
    url, result = json.dumps(f"{address}{PREFIX}/{route.name}"), "answer.json()" if route.has_rows else "answer.content"
    files = files_of(route)
    if files:
        opened = ", ".join(f'{json.dumps(name)}: open("{FILE}", "rb")' for name in files)
        call = f"httpx.post({url}, data={_literal(_open_arguments(route) | given)}, files={{{opened}}}, timeout=60)"
    elif "GET" in route.methods:
        call = f"httpx.get({url}, params={_literal(given)}, timeout=60)"
    else:
        call = f"httpx.post({url}, json={_literal(given)}, timeout=60)"
    return f"import httpx\n\nanswer = {call}\nanswer.raise_for_status()\nprint({result})"


def _literal(given: Mapping[str, Any]) -> str:
    return f"{{{', '.join(f'{json.dumps(name)}: {value!r}' for name, value in given.items())}}}"


def _open_arguments(route: Route) -> dict[str, str]:
    """Return what the reader has to fill in, as words in capitals: required arguments without an example."""
    files = files_of(route)
    names = [each.name for each in route.arguments if each.required and each.example is None]
    return {name: name.upper() for name in names if name not in files}


def _form(route: Route, found: Mapping[str, Any]) -> str:
    given = example_request(route, found)
    arguments = arguments_of(route)
    fields = "".join(_field(each, given.get(each.name, "")) for each in arguments)
    is_large = any(each.kind == "upload" or (_has_lines(each) and each.longest > LONGEST_URL) for each in arguments)
    method = "POST" if "POST" in route.methods and (is_large or "GET" not in route.methods) else "GET"
    return (
        f'<form data-path="{PREFIX}/{escape(route.name)}" data-method="{method}">{fields}'
        '<button type="submit">Send</button></form><p class="status"></p><pre class="answer" hidden></pre>'
        '<img class="answer" alt="" hidden>'
    )


def _field(argument: Argument, value: object) -> str:
    name = _quoted(argument.name)
    if argument.kind == "upload":
        entry = f'<input type="file" name={name}>'
    elif _has_lines(argument):
        entry = f"<textarea name={name} rows=4>\n{escape(str(value))}</textarea>"
    else:
        entry = f"<input name={name} value={_quoted(value)}>"
    return f"<label>{escape(argument.name)}{entry}</label>"


def _has_lines(argument: Argument) -> bool:
    """Return whether an argument may be a text of several lines."""
    return argument.kind == "text" and argument.longest > LONGEST_WORDS


def _prose(text: str) -> str:
    """Return a text with what is between backticks as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def _quoted(value: object) -> str:
    return f'"{escape(str(value))}"'
