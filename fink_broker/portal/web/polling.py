"""Looks at what runs apart from the page: the next one is taken when the one before was answered, however long it took.

Dash drops the answer to a request when a newer one of the same callback was sent. An interval shorter than the way to
the portal and back would never see an answer.
"""

from __future__ import annotations

from dash import ClientsideFunction, Dash, Input, Output, State, dcc
from dash.development.base_component import Component


def components(name: str, milliseconds: int) -> list[Component]:
    """Return what the page needs: ``<name>-poll`` ticks unless it is disabled, ``<name>-look`` is the look taken last.

    Parameters
    ----------
    name : str
        Ids begin with it.
    milliseconds : int
        Time between two looks, where answers are quicker.
    """
    return [
        dcc.Interval(id=f"{name}-poll", interval=milliseconds, disabled=True),
        dcc.Store(id=f"{name}-look"),
        dcc.Store(id=f"{name}-seen"),
    ]


def register(app: Dash, name: str) -> None:
    """Add what takes a look; a callback has ``<name>-look`` as its input, and gives its value to ``<name>-seen``."""
    app.clientside_callback(
        ClientsideFunction("fits", "look"),
        Output(f"{name}-look", "data"),
        Input(f"{name}-poll", "n_intervals"),
        State(f"{name}-look", "data"),
        State(f"{name}-seen", "data"),
        prevent_initial_call=True,
    )
