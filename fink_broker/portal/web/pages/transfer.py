"""The page ``/download``: select past alerts, see how much that is, have them sent to a topic, fetch them."""

from __future__ import annotations

import logging
from typing import Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component
from dash.exceptions import PreventUpdate
from flask import request

from fink_broker.config import Config
from fink_broker.errors import FinkError, UsageError
from fink_broker.portal.client import ApiError
from fink_broker.portal.web import notices
from fink_broker.portal.web.site import Page, Site, Visit
from fink_broker.portal.web.transfer import after, conditions, steps
from fink_broker.portal.web.transfer.estimate import estimate, night_range
from fink_broker.portal.web.transfer.livy import LivySender
from fink_broker.portal.web.transfer.local import LocalSender
from fink_broker.portal.web.transfer.records import Records
from fink_broker.portal.web.transfer.selection import MOST_ALERTS, Selection, from_address, from_inputs
from fink_broker.portal.web.transfer.sender import Sender
from fink_broker.portal.web.transfer.summary import summary
from fink_broker.portal.web.transfer.visitor import visitor_of

log = logging.getLogger(__name__)

_INPUTS = ("transfer-start", "transfer-stop", "transfer-classes", "transfer-where", "transfer-content")


def sender_of(config: Config) -> Sender | None:
    """Return who sends, None where nobody does; raises ConfigError if the configuration is not complete."""
    kinds: dict[str, type[LocalSender | LivySender]] = {"local": LocalSender, "livy": LivySender}
    kind = kinds.get(config.portal.transfer)
    return None if kind is None else kind(config)


def _build(visit: Visit, site: Site) -> Component:
    nights = night_range(site.api)
    heading = [
        dmc.Title("Data transfer", order=1, mb=4),
        dmc.Text(
            "Select past alerts, have them sent to a Kafka topic of your own, and fetch them.", c="dimmed", mb="lg"
        ),
    ]
    if not nights:
        empty = notices.nothing("The archive is empty", "There are no alerts to transfer yet. Come back after a night.")
        return html.Div([*heading, empty], className="page-content transfer-page")
    selection = from_address(visit.arguments)
    topic = visit.arguments.get("topic", "")
    done = _submitted(site, topic)
    return html.Div(
        [
            *heading,
            html.Ol(
                [
                    steps.source_step(),
                    steps.filter_step(selection, nights),
                    steps.content_step(selection),
                    steps.summary_step(_submit_box(site.config)),
                ],
                className="transfer-steps",
            ),
            html.Ol(done, id="transfer-after", className="transfer-steps"),
            dcc.Store(id="transfer-topic", data=topic if done else ""),
            dcc.Store(id="transfer-kept"),
        ],
        className="page-content transfer-page",
    )


def _submitted(site: Site, topic: str) -> list[Component]:
    """Return the steps after the submission of a topic, if it was submitted here."""
    record = Records(site.config).read(topic)
    try:
        sender = sender_of(site.config)
    except FinkError:
        return []
    return after.after(topic, sender.look(record)) if record is not None and sender is not None else []


def _submit_box(config: Config) -> Component:
    """Return the button that submits, or the words where nobody sends."""
    if config.portal.transfer == "none":
        words = "This portal does not send by itself: give the command above to those who run the broker."
        return dmc.Text(words, size="sm", mt="md")
    button = dmc.Button("Submit", id="transfer-submit", size="md", mt="md", disabled=True, n_clicks=0)
    return html.Div([button, html.Div(id="transfer-submit-error", role="alert", className="transfer-error")])


def _register(app: Dash, site: Site) -> None:
    values = [Input(name, "value") for name in _INPUTS]

    @app.callback(
        Output("transfer-nights-error", "children"),
        Output("transfer-where-error", "children"),
        Output("transfer-step-content", "className"),
        Output("transfer-step-summary", "className"),
        Output("transfer-summary", "children"),
        *values,
    )
    def review(*given: Any) -> tuple[Any, ...]:
        return _review(site, given)

    @app.callback(
        Output("transfer-submit", "disabled"),
        Input("transfer-summary", "children"),
        Input("transfer-topic", "data"),
        *[State(name, "value") for name in _INPUTS],
    )
    def allow(_summary: Any, topic: Any, *given: Any) -> bool:
        return bool(topic) or not _can_be_sent(site, given)

    @app.callback(
        Output("transfer-after", "children"),
        Output("transfer-topic", "data"),
        Output("transfer-submit-error", "children"),
        Input("transfer-submit", "n_clicks"),
        State("transfer-topic", "data"),
        *[State(name, "value") for name in _INPUTS],
        running=[(Output("transfer-submit", "loading"), True, False)],
        prevent_initial_call=True,
    )
    def submit(clicks: Any, topic: Any, *given: Any) -> tuple[Any, ...]:
        if not clicks or topic:
            raise PreventUpdate
        try:
            return _submit(site, given)
        except ApiError as error:
            return no_update, no_update, notices.failure(error)
        except FinkError as error:
            return no_update, no_update, notices.notice("Not submitted", str(error), colour="red")
        except OSError as error:
            log.exception("a transfer could not be begun")
            words = f"The portal cannot begin a transfer just now: {error.strerror or error}. Tell those who run it."
            return no_update, no_update, notices.notice("Not submitted", words, colour="red")

    @app.callback(
        Output("transfer-progress", "children"),
        Output("transfer-clock", "disabled"),
        Input("transfer-update", "n_clicks"),
        Input("transfer-clock", "n_intervals"),
        State("transfer-topic", "data"),
        prevent_initial_call=True,
    )
    def look(_clicks: Any, _ticks: Any, topic: Any) -> tuple[Any, Any]:
        record = Records(site.config).read(topic) if isinstance(topic, str) else None
        try:
            sender = sender_of(site.config)
        except FinkError:
            sender = None
        if record is None or sender is None:
            raise PreventUpdate
        progress = sender.look(record)
        return after.progress_box(progress), after.is_over(progress)

    _register_in_browser(app, values)


def _register_in_browser(app: Dash, values: list[Input]) -> None:
    app.clientside_callback(
        ClientsideFunction("transfer", "keep"),
        Output("transfer-kept", "data"),
        Input("transfer-topic", "data"),
        *values,
    )
    app.clientside_callback(
        ClientsideFunction("transfer", "nights"),
        Output("transfer-start", "value"),
        Output("transfer-stop", "value"),
        Input("transfer-latest", "n_clicks"),
        Input("transfer-week", "n_clicks"),
        Input("transfer-all", "n_clicks"),
        State("transfer-nights", "data"),
        prevent_initial_call=True,
    )


def _review(site: Site, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what is wrong with nights and conditions, which steps are open, and the summary."""
    try:
        selection = from_inputs(*given)
    except UsageError as error:
        return str(error), "", steps.LATER, steps.LATER, None
    wrong = conditions.problems(selection, conditions.schema_of(site.config))
    told = [html.Div(text) for text in wrong]
    if wrong or not (selection.start and selection.stop):
        return "", told, steps.LATER, steps.LATER, None
    if not selection.content:
        return "", "", steps.OPEN, steps.LATER, None
    try:
        return "", "", steps.OPEN, steps.OPEN, summary(selection, estimate(site.api, selection))
    except ApiError as error:
        return "", "", steps.OPEN, steps.OPEN, notices.failure(error)


def _whole(site: Site, given: tuple[Any, ...]) -> Selection:
    """Return a selection that can be sent.

    Raises
    ------
    UsageError
        If it cannot.
    ApiError
        If the API does not answer.
    """
    selection = from_inputs(*given)
    if not (selection.start and selection.stop and selection.content):
        raise UsageError("The selection is not complete.", "Choose both nights and a content.")
    if wrong := conditions.problems(selection, conditions.schema_of(site.config)):
        raise UsageError(wrong[0])
    size = estimate(site.api, selection)
    if size.alerts == 0:
        raise UsageError("No alerts are selected.", "Widen the nights or classes.")
    if size.alerts > MOST_ALERTS:
        raise UsageError(f"More than {MOST_ALERTS:,} alerts are selected.", "Take fewer nights or classes.")
    return selection


def _can_be_sent(site: Site, given: tuple[Any, ...]) -> bool:
    try:
        _whole(site, given)
    except FinkError:
        return False
    return True


def _submit(site: Site, given: tuple[Any, ...]) -> tuple[Any, ...]:
    selection = _whole(site, given)
    sender = sender_of(site.config)
    if sender is None:
        raise UsageError("This portal does not send by itself.", "Give the command to those who run the broker.")
    record = sender.submit(selection, visitor_of(request))
    return after.after(record.topic, sender.look(record)), record.topic, ""


PAGE = Page("/download", "Data transfer : Fink Science Portal", _build, _register, "Data Transfer")
