"""The search field: a combobox that says what it understood while somebody types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, dcc, html, no_update
from dash.development.base_component import Component

from fink_broker.portal.client import ApiError
from fink_broker.portal.web.search import suggestions
from fink_broker.portal.web.search.addresses import address_of
from fink_broker.portal.web.search.attributes import aria, data
from fink_broker.portal.web.search.grammar import LONGEST
from fink_broker.portal.web.search.help import help_button, help_panel
from fink_broker.portal.web.search.help import register as register_help
from fink_broker.portal.web.search.rules import with_seed
from fink_broker.portal.web.search.understanding import understand
from fink_broker.portal.web.site import Site

#: keys that a click appends to the text
QUICK_FIELDS: Sequence[tuple[str, str]] = (
    ("class", "Class of alerts"),
    ("last", "How many of the latest alerts"),
    ("radius", "Radius of a cone: 10, 10m, 0.5d"),
    ("after", "From this time on, UTC"),
    ("before", "Up to this time, UTC"),
    ("window", "Length of a span of time, in days"),
    ("random", "Objects drawn at random"),
)


def search_bar(text: str = "") -> Component:
    """Return the search field.

    Parameters
    ----------
    text : str
        What stands in it.
    """
    return html.Div(
        [
            html.Div([_field(text), _panel(), help_panel()], className="search-field"),
            html.Div(_quick_fields(), className="search-keys", role="group", **aria(label="Add to the search")),
            html.Div(id="search-said", className="search-hidden", role="status", **aria(live="polite")),
            dcc.Store(id="search-asked"),
            dcc.Store(id="search-answer"),
            dcc.Store(id="search-submitted"),
            dcc.Store(id="search-went"),
            dcc.Store(id="search-arrived", data=True),
        ],
        id="search",
        role="search",
        className="search",
    )


def register(app: Dash, site: Site) -> None:
    """Add the callbacks of the search field."""
    register_help(app, site)

    @app.callback(Output("search-answer", "data"), Input("search-asked", "data"), prevent_initial_call=True)
    def suggest(asked: Any) -> Any:
        if not isinstance(asked, dict) or not isinstance(asked.get("text"), str):
            return no_update
        return suggestions.answer(asked["text"], site.api, with_names=asked.get("names") is True)

    @app.callback(
        Output("address", "href"),
        Output("search-went", "data"),
        Input("search-submitted", "data"),
        prevent_initial_call=True,
    )
    def submit(submitted: Any) -> Any:
        if not isinstance(submitted, dict) or not isinstance(submitted.get("text"), str):
            return no_update, no_update
        return target_of(submitted["text"], site), _number(submitted.get("at"))

    app.clientside_callback(
        ClientsideFunction("search", "show"),
        Output("search-answer", "id"),
        Input("search-answer", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("search", "went"),
        Output("search-went", "id"),
        Input("search-went", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("search", "arrived"),
        Output("search-arrived", "id"),
        Input("search-arrived", "data"),
    )


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) else 0.0


def target_of(text: str, site: Site) -> str:
    """Return the address that a text leads to: of its search, else of the page that says what was not understood."""
    try:
        understood = understand(text, site.api)
        action = understood.action if understood.is_recognised else None
        if action is not None and not suggestions.note_of(understood, site.api):
            return address_of(with_seed(action))
    except ApiError:
        pass  # the page says so
    return suggestions.address_of_text(text[:LONGEST])


def _field(text: str) -> Component:
    return dmc.TextInput(
        id="search-text",
        value=text,
        placeholder="Name, position, class, date …",
        size="lg",
        radius="xl",
        spellCheck=False,
        autoComplete="off",
        leftSection=html.Span(className="search-lens", **aria(hidden="true")),
        leftSectionWidth=52,
        rightSection=html.Div([_clear_button(bool(text)), help_button(), _go_button()], className="search-buttons"),
        rightSectionWidth=164,
        inputProps={
            "role": "combobox", "aria-expanded": "false", "aria-autocomplete": "list", "enterKeyHint": "search",
            "autoCapitalize": "off", "maxLength": LONGEST,
        },
        **aria(label="Search the sky", controls="search-options"),
    )  # fmt: skip


def _clear_button(is_shown: bool) -> Component:
    return html.Button(
        html.Span("×", **aria(hidden="true")),
        id="search-clear",
        type="button",
        className="search-clear" if is_shown else "search-clear search-clear-away",
        **aria(label="Clear the search"),
    )


def _go_button() -> Component:
    return html.Button("Search", id="search-go", type="button", className="search-go")


def _panel() -> Component:
    return html.Div(
        [
            html.Div(id="search-options", role="listbox", className="search-options", **aria(label="Suggestions")),
            html.Div(id="search-note", className="search-note"),
        ],
        id="search-panel",
        className="search-panel",
    )


def _quick_fields() -> list[Component]:
    return [
        html.Button(f"{key}=", type="button", className="search-key", title=title, **data(search_append=f"{key}="))
        for key, title in QUICK_FIELDS
    ]
