"""The page ``/api``: the REST API, described by the definitions of its routes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, get_args, get_type_hints
from urllib.parse import quote, urlencode

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component

from fink_broker.config import Config
from fink_broker.portal.answering import arguments_of
from fink_broker.portal.client import ApiError
from fink_broker.portal.examples import example_of, example_request, files_of
from fink_broker.portal.formats import FORMATS
from fink_broker.portal.openapi import PREFIX
from fink_broker.portal.page import curl_example, python_example
from fink_broker.portal.route import Argument, Document, File, Route, Rows, Text
from fink_broker.portal.routes import routes_of
from fink_broker.portal.web.api import Api
from fink_broker.portal.web.code import code_block
from fink_broker.portal.web.examples import latest_alert
from fink_broker.portal.web.site import Page, Site, Visit

_ANSWERS = {
    Rows: "rows, a list of objects in JSON, with the columns that the route schema describes",
    Document: "a JSON document",
    Text: "a text",
    File: "a file",
}
_HEADERS = {
    "X-Fink-Truncated": "true, if there would be more rows than the answer has",
    "X-Fink-Max-Rows": "the most rows this answer could have",
}


def _build(visit: Visit, site: Site) -> Component:
    routes = _ordered(routes_of(site.config.api.generation))
    chosen = next((route for route in routes if route.name == visit.arguments.get("route")), None)
    content = _summary(site, routes) if chosen is None else _route(chosen, _examples(site.api), site.api_url)
    return html.Div(
        [
            _menu(routes, chosen),
            html.Article(content, className="apidocs-article", key=chosen.name if chosen else ""),
        ],
        className="page-content apidocs-page",
    )


def _ordered(routes: Sequence[Route]) -> list[Route]:
    """Return routes by their heading, each heading where it comes first."""
    groups = list(dict.fromkeys(route.group for route in routes))
    return sorted(routes, key=lambda route: groups.index(route.group))


def _menu(routes: Sequence[Route], chosen: Route | None) -> Component:
    parts: list[Component] = [_link("Summary", "/api", current=chosen is None)]
    for group, members in groupby(routes, key=lambda route: route.group):
        parts.append(html.Span(group, className="apidocs-group"))
        parts += [_link(each.name, f"/api?route={quote(each.name)}", current=each == chosen) for each in members]
    return html.Nav(parts, className="apidocs-menu", **{"aria-label": "Routes of the API"})


def _link(text: str, href: str, *, current: bool) -> Component:
    return dcc.Link(text, href=href, className="apidocs-link apidocs-current" if current else "apidocs-link")


def _summary(site: Site, routes: Sequence[Route]) -> list[Component]:
    """Return what all routes have in common."""
    config = site.config
    rows = [
        dmc.TableTr([dmc.TableTd(_name_link(each)), dmc.TableTd(_methods(each)), dmc.TableTd(_prose(each.summary))])
        for each in routes
    ]
    return [
        dmc.Title("API", order=1, mb="xs"),
        dmc.Text(
            "Everything these pages show comes from a REST API that is yours to use: "
            f"{len(routes)} routes below one address.",
            mb="md",
        ),
        code_block(f"{site.api_url}{PREFIX}", "bash", "the address of the API"),
        dmc.List([dmc.ListItem(_prose(line)) for line in _rules(config)], spacing="xs", my="md", size="sm"),
        dmc.Title("Routes", order=2, size="h3", mb="xs"),
        _table(("route", "methods", "what it gives"), rows),
        dmc.Text(
            [
                "Programs read the same as ",
                dmc.Anchor("OpenAPI", href=f"{site.api_url}/openapi.json", inherit=True, underline="always"),
                "; a page with forms to try each route is ",
                dmc.Anchor("at the API itself", href=f"{site.api_url}/api", inherit=True, underline="always"),
                ".",
            ],
            size="sm",
            mt="md",
        ),
    ]


def _rules(config: Config) -> list[str]:
    """Return what holds for all routes, with the limits in force."""
    return [
        "Arguments go into the query string or, by POST, into a JSON body. Unknown names are ignored.",
        f"Rows come as {_formats()}: say `output-format`.",
        "Columns have a family: `i:` what the telescope's packet says, `d:` what Fink adds, `v:` computed as you ask, "
        "`b:` images. The route `schema` describes them all.",
        "Times are UTC: ISO 8601, JD or MJD. Positions are ICRS, in degrees or sexagesimal.",
        f"An answer has at most {config.api.max_rows:,} rows and takes at most {config.api.seconds:g} s. "
        "One that was cut has the header `X-Fink-Truncated: true`.",
        "An error is a status 4xx or 5xx and a sentence that says what to change. After 429 and 503 `Retry-After` says "
        "when to ask again.",
    ]


def _route(route: Route, found: Mapping[str, Any], address: str) -> list[Component]:
    note = " (put your file's name for FILE)" if files_of(route) else ""
    return [
        dmc.Group([dmc.Title(route.name, order=1), _methods(route)], gap="md", mb=4),
        dmc.Text(_prose(f"{route.summary}."), mb="sm"),
        code_block(f"{address}{PREFIX}/{route.name}", "bash", "the address of the route"),
        dmc.Title("Arguments", order=2, size="h3", mt="lg", mb="xs"),
        _arguments(route, found),
        dmc.Title("Examples", order=2, size="h3", mt="lg", mb="xs"),
        dmc.Text(f"curl{note}", size="sm", mb=4),
        code_block(curl_example(route, found, address), "bash", "the curl command"),
        dmc.Text(f"Python{note}", size="sm", mt="sm", mb=4),
        code_block(python_example(route, found, address), "python", "the Python program"),
        dmc.Title("Output", order=2, size="h3", mt="lg", mb="xs"),
        *_output(route),
        *_trial(route, found),
    ]


def _arguments(route: Route, found: Mapping[str, Any]) -> Component:
    arguments = arguments_of(route)
    if not arguments:
        return dmc.Text("It takes no arguments.", size="sm")
    rows = [
        dmc.TableTr(
            [
                dmc.TableTd([html.Code(each.name, className="apidocs-code"), *_required(each)]),
                dmc.TableTd([*_prose(each.description), *_limits(each), *_example(route, each, found)]),
                dmc.TableTd(each.kind.replace("_", " ")),
                dmc.TableTd("" if each.default is None else html.Code(str(each.default), className="apidocs-code")),
            ]
        )
        for each in arguments
    ]
    return _table(("argument", "what", "kind", "default"), rows)


def _required(argument: Argument) -> list[Component]:
    return (
        [dmc.Badge("required", size="xs", variant="outline", color="gray", ml=6, className="apidocs-required")]
        if argument.required
        else []
    )


def _limits(argument: Argument) -> list[Component]:
    """Return what a value may be."""
    told = [f"one of {', '.join(argument.choices)}"] if argument.choices else []
    if argument.least is not None:
        told.append(f"at least {argument.least:g}")
    if argument.most is not None:
        told.append(f"at most {argument.most:g}")
    if argument.aliases:
        told.append(f"also written {', '.join(argument.aliases)}")
    return [html.Div("; ".join(told), className="apidocs-note")] if told else []


def _example(route: Route, argument: Argument, found: Mapping[str, Any]) -> list[Component]:
    value = example_of(route, argument, found)
    if value is None:
        return []
    return [html.Div(["e.g. ", html.Code(str(value)[:200], className="apidocs-code")], className="apidocs-note")]


def _output(route: Route) -> list[Component]:
    """Return what a route gives, by the types its function says it returns."""
    kinds = [_ANSWERS[kind] for kind in _kinds(route)]
    text = " or ".join(kinds)
    lines: list[Component] = [dmc.Text(f"{text[:1].upper()}{text[1:]}.", size="sm", mb="xs")]
    if route.has_rows:
        formats = [dmc.TableTr([dmc.TableTd(html.Code(name, className="apidocs-code")), dmc.TableTd(form.content_type)])
                   for name, form in FORMATS.items()]  # fmt: skip
        headers = [dmc.TableTr([dmc.TableTd(html.Code(name, className="apidocs-code")), dmc.TableTd(text)])
                   for name, text in _HEADERS.items()]  # fmt: skip
        lines += [_table(("output-format", "content type"), formats), _table(("header", "says"), headers)]
    return lines


def _kinds(route: Route) -> list[type]:
    answer = get_type_hints(route.answer).get("return", Rows)
    return [kind for kind in (get_args(answer) or (answer,)) if kind in _ANSWERS]


def _trial(route: Route, found: Mapping[str, Any]) -> list[Component]:
    """Return what asks the example in the browser, where it is a question that needs no file."""
    given = example_request(route, found)
    if (
        "GET" not in route.methods
        or files_of(route)
        or any(isinstance(value, (dict, list)) for value in given.values())
    ):
        return []
    query = f"?{urlencode(given, quote_via=quote)}" if given else ""
    return [
        dmc.Button("Ask the example", id="apidocs-ask", variant="default", mt="md", n_clicks=0),
        dcc.Store(id="apidocs-question", data=f"{PREFIX}/{route.name}{query}"),
        html.Pre(id="apidocs-answer", className="apidocs-answer", tabIndex=0, **{"aria-live": "polite"}),
    ]


def _examples(api: Api) -> Mapping[str, Any]:
    """Return values for examples from what is in the archive; none while it is away."""
    found: dict[str, Any] = {}
    try:
        if alert := latest_alert(api):
            found |= {"objectId": alert["i:objectId"], "ra": float(alert["i:ra"]), "dec": float(alert["i:dec"])}
            found["xmatch.catalog"] = f"ID,RA,Dec\na,{found['ra']},{found['dec']}"
        nights = api.rows("statistics", date="", columns="key:key")
        if not nights.empty:
            found["statistics.date"] = str(nights["key:key"].iloc[-1]).rpartition("_")[2]
    except ApiError:
        return found
    return found


def _table(heads: Sequence[str], rows: Sequence[Component]) -> Component:
    head = dmc.TableThead(dmc.TableTr([dmc.TableTh(name) for name in heads]))
    table = dmc.Table([head, dmc.TableTbody(rows)], verticalSpacing="xs", highlightOnHover=True, mb="md")
    return html.Div(
        table, className="apidocs-table", tabIndex=0, role="region", **{"aria-label": f"Table of {heads[0]}"}
    )


def _methods(route: Route) -> Component:
    return dmc.Group(
        [dmc.Badge(name, variant="light", radius="sm", className="apidocs-method") for name in route.methods], gap=4
    )


def _name_link(route: Route) -> Component:
    return dcc.Link(html.Code(route.name), href=f"/api?route={quote(route.name)}", className="apidocs-name")


def _prose(text: str) -> list[Component | str]:
    """Return a text with what is between backticks as code."""
    pieces = text.split("`")
    return [
        html.Code(each, className="apidocs-code") if number % 2 else each for number, each in enumerate(pieces) if each
    ]


def _formats() -> str:
    names = list(FORMATS)
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _register(app: Dash, site: Site) -> None:
    del site
    app.clientside_callback(
        ClientsideFunction("apidocs", "ask"),
        Output("apidocs-answer", "children"),
        Input("apidocs-ask", "n_clicks"),
        State("apidocs-question", "data"),
        running=[(Output("apidocs-ask", "loading"), True, False)],
        prevent_initial_call=True,
    )


PAGE = Page("/api", "API : Fink Science Portal", _build, _register, "")
