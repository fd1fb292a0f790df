"""The frame of every page: bar at the top, drawer, theme, and the place where pages come."""

from __future__ import annotations

from collections.abc import Sequence

import dash_mantine_components as dmc
from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component

from fink_broker.portal.web.site import Page

#: links of the drawer that lead out
OUTSIDE = (
    ("Fink", "https://fink-broker.org"),
    ("Documentation", "https://fink-broker.readthedocs.io"),
    ("ZTF", "https://www.ztf.caltech.edu"),
    ("Rubin Observatory", "https://rubinobservatory.org"),
)


def frame(pages: Sequence[Page]) -> Component:
    """Return what stays while pages come and go."""
    return dmc.MantineProvider(
        theme={
            "primaryColor": "indigo",
            "primaryShade": {"light": 8, "dark": 8},
            "defaultRadius": "md",
            "fontFamily": "system-ui, sans-serif",
        },
        defaultColorScheme="auto",
        children=[
            dcc.Location(id="address", refresh="callback-nav"),
            dcc.Store(id="visit-title"),
            dmc.NotificationContainer(id="notifications"),
            html.A("Skip to the content", href="#page", className="skip-link"),
            dmc.AppShell(
                [
                    dmc.AppShellHeader(_bar(pages), className="bar"),
                    dmc.AppShellMain(html.Div(id="page", tabIndex=-1, className="page")),
                ],
                header={"height": 56},
                padding=0,
            ),
            dmc.Drawer(_drawer(pages), id="drawer", title="Fink", position="right", size="xs"),
        ],
    )


def _bar(pages: Sequence[Page]) -> Component:
    links = [dcc.Link(page.label, href=page.path, className="bar-link") for page in pages if page.label]
    return dmc.Group(
        [
            dcc.Link(
                [html.Img(src="/assets/fink.svg", alt="", width=28, height=28), html.Span("Fink")],
                href="/",
                className="brand",
                title="Fink: search",
            ),
            html.Nav(links, className="bar-links", **{"aria-label": "Pages"}),
            dmc.Group(
                [
                    dmc.ColorSchemeToggle(
                        lightIcon=html.Span("☀", **{"aria-hidden": "true"}),
                        darkIcon=html.Span("☾", **{"aria-hidden": "true"}),
                        id="scheme",
                        variant="subtle",
                        color="gray",
                        **{"aria-label": "Light or dark"},
                    ),
                    dmc.Burger(id="menu", opened=False, size="sm", **{"aria-label": "Menu"}),
                ],
                gap="xs",
            ),
        ],
        justify="space-between",
        wrap="nowrap",
        px="md",
        h="100%",
    )


def _drawer(pages: Sequence[Page]) -> Component:
    inside = [dcc.Link(page.label, href=page.path, className="drawer-link") for page in pages if page.label]
    inside += [
        dcc.Link("Gallery", href="/gallery", className="drawer-link"),
        dcc.Link("Cross-match", href="/xmatch", className="drawer-link"),
        dcc.Link("API", href="/api", className="drawer-link"),
        dcc.Link("About", href="/about", className="drawer-link"),
    ]
    outside = [
        html.A(name, href=url, target="_blank", rel="noopener", className="drawer-link") for name, url in OUTSIDE
    ]
    return html.Nav([*inside, html.Hr(), *outside], **{"aria-label": "All pages"})


def register(app: Dash) -> None:
    """Add the callbacks of the frame."""
    app.clientside_callback(
        # the button and the drawer, which closes itself too, agree; another page closes it, however it was chosen
        "(menu, drawer) => { const by = window.dash_clientside.callback_context.triggered_id; "
        "const opened = by === 'menu' ? menu : by === 'drawer' ? drawer : false; return [opened, opened]; }",
        Output("menu", "opened"),
        Output("drawer", "opened"),
        Input("menu", "opened"),
        Input("drawer", "opened"),
        Input("address", "pathname"),
        prevent_initial_call=True,
    )
