"""What is said instead of a result: nothing found, an error, a reason and a way out."""

from __future__ import annotations

import dash_mantine_components as dmc
from dash import html
from dash.development.base_component import Component

from fink_broker.portal.client import ApiError


def notice(title: str, text: str, *further: Component, colour: str = "blue") -> Component:
    """Return a box with a title, a sentence, and what else helps."""
    return dmc.Alert(
        [dmc.Text(text, size="sm"), *further],
        title=title,
        color=colour,
        variant="light",
        attributes={"root": {"role": "status"}},
        styles={"label": {"color": "var(--mantine-color-text)"}},  # a coloured title has too little contrast
    )


def nothing(title: str, text: str) -> Component:
    """Return the words for a result that is empty."""
    return notice(title, text, colour="yellow")


def failure(error: ApiError) -> Component:
    """Return the words for a request that the API refused or did not answer."""
    if error.status in (0, 502, 503, 504):
        return notice(
            "The archive does not answer just now",
            f"{error.message} Nothing is lost: try again in a minute.",
            html.A("Try again", href="", className="retry"),
            colour="red",
        )
    return notice("The archive refused the request", error.message, colour="red")
