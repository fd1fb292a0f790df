"""What tabs with a fit share: what starts it, how far it is, a way to cancel it, and the place its result comes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component
from flask import request

from fink_broker.portal.client import ApiError
from fink_broker.portal.web import notices, polling
from fink_broker.portal.web.api import Api
from fink_broker.portal.web.fits.job_folder import FitError
from fink_broker.portal.web.fits.jobs import ENDED, JobState
from fink_broker.portal.web.object_data import ObjectData, read_object
from fink_broker.portal.web.object_tabs.fit_results import register_files
from fink_broker.portal.web.photometry import magnitudes_for_fit
from fink_broker.portal.web.site import Site
from fink_broker.portal.web.transfer.visitor import visitor_of

#: milliseconds between two looks at a fit that runs
POLL_MS = 250
#: pixels kept for results
RESULT_HEIGHT = 560


@dataclass(frozen=True)
class FitPanel:
    """A fit of an object, as a tab shows it.

    Parameters
    ----------
    name : str
        Of the tab; components are named after it.
    kind : str
        Of the fit, as `Jobs` knows it.
    inputs : callable
        Makes of the API, an object and the values of the fields what the fit takes; a `FitError` becomes words.
    show : callable
        Makes a page of a result and the name of its job.
    help : callable
        Says what the fit does: shown before it is run, and when it was refused.
    fields : sequence of str
        Names of the fields: ``<name>-<field>`` is the id of a component with a ``value``.
    opened : tuple of str, optional
        Id of the tabs that show the panel, and their value then: the fit starts when it is opened and whenever a field
        changes. Without it there is a button, and the fields are in the address.
    again : mapping
        Further buttons that fit: the last part of their id, and what they make of the values of the fields and of the
        result before.
    """

    name: str
    kind: str
    inputs: Callable[[Api, ObjectData, Mapping[str, Any]], Mapping[str, Any]]
    show: Callable[[Mapping[str, Any], str], Component]
    help: Callable[[], Component]
    fields: Sequence[str] = ()
    again: Sequence[str] = ()
    opened: tuple[str, str] | None = None

    def build(self, said: str, fields: Sequence[Component] = (), further: Sequence[Component] = ()) -> Component:
        """Return the panel with words on what is fitted, the components of the fields, and further buttons."""
        name = self.name
        button = [] if self.opened else [dmc.Button("Fit data", id=f"{name}-fit", color="indigo.7")]
        cancel = dmc.Button("Cancel", id=f"{name}-cancel", variant="default", disabled=True)
        buttons = dmc.Group([*button, cancel, *further], gap="sm")
        progress = html.Div(
            [
                dmc.ProgressRoot(
                    dmc.ProgressSection(value=0, id=f"{name}-share", **{"aria-label": "How much of the fit is done"}),
                    size="sm",
                ),
                html.Div(id=f"{name}-words", className="fit-words", role="status"),
            ],
            id=f"{name}-progress",
            className="fit-progress",
        )
        fields_row = [html.Div(list(fields), className="fit-fields")] if fields else []
        return html.Div(
            [
                dcc.Store(id=f"{name}-job"),
                dcc.Store(id=f"{name}-ended"),
                dcc.Store(id=f"{name}-address", data=None),
                *polling.components(name, POLL_MS),
                dmc.Paper(
                    [
                        *fields_row,
                        html.Div([buttons, progress], className="fit-bar"),
                        html.Div(said, className="fit-note"),
                    ],
                    withBorder=True,
                    p="md",
                ),
                html.Div(self.help(), id=f"{name}-result", className="fit-result"),
            ],
            className="fit",
        )

    def register(
        self, app: Dash, site: Site, change: Callable[[str, dict[str, Any], JobState], None] | None = None
    ) -> None:
        """Add the callbacks.

        Parameters
        ----------
        app : Dash
            The application.
        site : Site
            The API, and where fits run.
        change : callable, optional
            What a further button changes in the values of the fields, by the last part of its id and the fit before.
        """
        register_files(app, site)
        self._register_start(app, site, change)
        self._register_poll(app, site)
        app.clientside_callback(
            ClientsideFunction("fits", "running"),
            Output(f"{self.name}-poll", "disabled"),
            Output(f"{self.name}-cancel", "disabled"),
            Output(f"{self.name}-progress", "className"),
            Input(f"{self.name}-job", "data"),
            Input(f"{self.name}-ended", "data"),
        )

        @app.callback(
            Output(f"{self.name}-words", "children", allow_duplicate=True),
            Input(f"{self.name}-cancel", "n_clicks"),
            State(f"{self.name}-job", "data"),
            prevent_initial_call=True,
        )
        def cancel(clicks: int | None, job: Any) -> Any:
            if not clicks or not isinstance(job, str):
                return no_update
            try:
                site.jobs.cancel(job)
            except FitError as error:
                return str(error)
            return "Cancelling"

        if self.fields and not self.opened:
            app.clientside_callback(
                ClientsideFunction("fits", "address"),
                Output(f"{self.name}-address", "data"),
                *(Input(f"{self.name}-{field}", "value") for field in self.fields),
                State(f"{self.name}-address", "data"),
                State("object-id", "data"),
            )

    def _register_start(
        self, app: Dash, site: Site, change: Callable[[str, dict[str, Any], JobState], None] | None
    ) -> None:
        name = self.name
        starters = [Input(f"{name}-{button}", "n_clicks") for button in ("fit", *self.again)]
        changed = [Output(f"{name}-{field}", "value") for field in self.fields if self.again]
        if self.opened:
            starters = [Input(self.opened[0], "value")]

        @app.callback(
            Output(f"{name}-job", "data"),
            Output(f"{name}-ended", "data"),
            Output(f"{name}-result", "children"),
            Output(f"{name}-share", "value"),
            Output(f"{name}-words", "children"),
            *changed,
            *starters,
            State("object-id", "data"),
            State(f"{name}-job", "data"),
            *((Input if self.opened else State)(f"{name}-{field}", "value") for field in self.fields),
            # pressed again it would not know yet whose place it takes
            running=None if self.opened else [(Output(f"{name}-fit", "disabled"), True, False)],
            prevent_initial_call=True,
        )
        def start(*given: Any) -> Any:
            pressed, (object_id, before, *values) = given[: len(starters)], given[len(starters) :]
            if not any(pressed) or (self.opened and pressed[0] != self.opened[1]):
                return (no_update,) * (5 + len(changed))
            button = str(ctx.triggered_id or "").removeprefix(f"{name}-")
            fields = dict(zip(self.fields, values, strict=True))
            kept: tuple[Any, ...] = (no_update,) * len(changed)
            try:
                if button in self.again and change is not None:
                    change(button, fields, site.jobs.look(before, self.kind))
                    kept = tuple(fields.values())
                job_id = self._ordered(site, object_id, fields, before)
            except FitError as error:
                refused = notices.notice("The fit was not started", str(error), colour="orange")
                return (None, None, [refused, self.help()], 0, "", *kept)
            except ApiError as error:
                return (None, None, notices.failure(error), 0, "", *kept)
            state = site.jobs.look(job_id, self.kind)
            if state.state == "done":  # it was asked for a while ago
                return (job_id, job_id, self.show(state.result, job_id), 100, "", *kept)
            return (job_id, None, _waiting(), 0, "Starting", *kept)

    def _ordered(self, site: Site, object_id: Any, fields: Mapping[str, Any], before: Any) -> str:
        if not isinstance(object_id, str):
            raise FitError("The page does not say which object it shows: load it again.")
        inputs = self.inputs(site.api, read_object(site.api, object_id), fields)
        return site.jobs.start(self.kind, inputs, visitor_of(request), before)

    def _register_poll(self, app: Dash, site: Site) -> None:
        name = self.name
        polling.register(app, name)

        @app.callback(
            Output(f"{name}-seen", "data"),
            Output(f"{name}-ended", "data", allow_duplicate=True),
            Output(f"{name}-result", "children", allow_duplicate=True),
            Output(f"{name}-share", "value", allow_duplicate=True),
            Output(f"{name}-words", "children", allow_duplicate=True),
            Input(f"{name}-look", "data"),
            State(f"{name}-job", "data"),
            State(f"{name}-ended", "data"),
            prevent_initial_call=True,
        )
        def poll(look: Any, job: Any, ended: Any) -> Any:
            if job is None or job == ended:
                return look, *(no_update,) * 4
            state = site.jobs.look(job, self.kind)
            if state.state not in ENDED:
                return look, no_update, no_update, round(100 * state.share), state.words
            return look, job, self._end(state, job), 100, ""

    def _end(self, state: JobState, job: str) -> Any:
        if state.state == "done":
            return self.show(state.result, job)
        if state.state == "cancelled":
            return [notices.notice("Cancelled", state.words), self.help()]
        return [notices.notice("No result", state.words, colour="orange"), self.help()]


def fit_inputs(data: ObjectData) -> dict[str, Any]:
    """Return the magnitudes of an object as fits take them: ``jd``, ``fid``, ``mag``, ``error``."""
    magnitudes, _ = magnitudes_for_fit(data)
    return {name: magnitudes[name].tolist() for name in ("jd", "fid", "mag", "error")}


def why_no_fit(data: ObjectData) -> str:
    """Return why an object cannot be fitted; empty if it can."""
    return "" if len(data.alerts) > 1 else "The object has one alert: a fit needs more."


def magnitudes_said(data: ObjectData) -> str:
    """Return which magnitudes of an object are fitted, in words."""
    magnitudes, is_apparent = magnitudes_for_fit(data)
    kind = "apparent (DC) magnitudes: a source is within 1.5″ in the reference image" if is_apparent else (
        "difference magnitudes: no source is within 1.5″ in the reference image"
    )  # fmt: skip
    return f"{len(magnitudes)} measurements, {kind}."


def _waiting() -> Component:
    return dmc.Stack([dmc.Skeleton(height=64, radius="md"), dmc.Skeleton(height=420, radius="md")], gap="md")
