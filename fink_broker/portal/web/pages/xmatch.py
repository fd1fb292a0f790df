"""The page ``/xmatch``: a catalogue of the visitor's, matched with the objects of the archive."""

from __future__ import annotations

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component

from fink_broker.portal.client import ApiError
from fink_broker.portal.web import notices
from fink_broker.portal.web.results import matching
from fink_broker.portal.web.results.catalogue import MOST_BYTES, MOST_ROWS
from fink_broker.portal.web.site import Page, Site, Visit

_EXAMPLE_COLUMNS = ("i:objectId", "i:ra", "i:dec")


def _build(visit: Visit, site: Site) -> Component:
    del visit, site
    return html.Div(
        [
            dmc.Title("Cross-match", order=1),
            dmc.Text(
                "Which sources of your catalogue did ZTF alert of? Upload it, say which columns are positions, and get "
                "the objects of the archive around each.",
                mt=4,
            ),
            dmc.SimpleGrid([_upload(), _lines()], cols={"base": 1, "sm": 2}, spacing="lg", mt="lg"),
            html.Div(id="xmatch-setup", className="xmatch-part", **{"aria-live": "polite"}),
            dcc.Loading(
                html.Div(id="xmatch-results", className="xmatch-part", **{"aria-live": "polite"}),
                delay_show=300,
                type="dot",
                color="var(--mantine-color-indigo-6)",
            ),
            dcc.Store(id="xmatch-catalogue"),
            dcc.Download(id="xmatch-file"),
        ]
    )


def _upload() -> Component:
    words = (
        f"CSV, with the names of the columns in its first line; at most {MOST_ROWS:,} rows or {MOST_BYTES // 10**6} MB."
    )
    return dcc.Upload(
        html.Div(
            [
                dmc.Button("Choose a file", id="xmatch-choose", variant="default", fw=500),
                html.Span("or drop it here", className="xmatch-hint"),
                html.Span(words, className="xmatch-hint"),
                html.Span(id="xmatch-said", className="xmatch-said", role="alert"),
            ],
            className="xmatch-drop",
        ),
        id="xmatch-upload",
        multiple=False,
        max_size=MOST_BYTES,
    )


def _lines() -> Component:
    return html.Div(
        [
            dmc.Textarea(
                id="xmatch-text",
                label="or paste lines",
                placeholder="name,ra,dec\nmy source,193.8217409,2.8973184\nanother,12h55m17.2s,2d53m50s",
                autosize=True,
                minRows=5,
                maxRows=10,
                classNames={"input": "xmatch-text"},
            ),
            dmc.Group(
                [
                    dmc.Button("Use these lines", id="xmatch-use", variant="default", fw=500),
                    dmc.Button(
                        "Try an example",
                        id="xmatch-example",
                        variant="transparent",
                        c="inherit",
                        td="underline",
                        fw=500,
                    ),
                ],
                gap="xs",
                mt="xs",
            ),
        ]
    )


def _register(app: Dash, site: Site) -> None:
    matching.register(app, site)
    app.clientside_callback(
        ClientsideFunction("results", "forget_refusal"),
        Output("xmatch-said", "children"),
        Input("xmatch-upload", "contents"),
    )

    @app.callback(
        Output("xmatch-text", "value"),
        Output("xmatch-results", "children", allow_duplicate=True),
        Input("xmatch-example", "n_clicks"),
        State("xmatch-text", "value"),
        prevent_initial_call=True,
    )
    def example(clicks: int | None, text: str | None) -> tuple[str, Component | None]:
        del clicks
        try:
            rows = site.api.rows("latests", **{"class": "SN candidate"}, n=40, columns=_EXAMPLE_COLUMNS)
        except ApiError as error:
            return text or "", notices.failure(error)
        if rows.empty:
            return "name,ra,dec\nM 31,10.6847,41.2687", None
        some = rows.drop_duplicates("i:objectId").head(5)
        lines = [
            f"source {number},{ra:.5f},{dec:.5f}"
            for number, (ra, dec) in enumerate(zip(some["i:ra"], some["i:dec"], strict=True), start=1)
        ]
        return "\n".join(["name,ra,dec", *lines, "M 31,10.68470,41.26870"]), None


PAGE = Page("/xmatch", "Cross-match : Fink Science Portal", _build, _register, "")
