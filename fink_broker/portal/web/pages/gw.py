"""The page ``/gw``: objects that appeared in the credible region of a gravitational-wave event."""

from __future__ import annotations

import io
from typing import Any

import dash_mantine_components as dmc
import pandas as pd
from dash import ClientsideFunction, Dash, Input, Output, State, html, no_update
from dash.development.base_component import Component
from flask import Response, abort, jsonify, request

from fink_broker.portal.client import ApiError
from fink_broker.portal.web import notices, polling
from fink_broker.portal.web.fits.job_folder import FitError
from fink_broker.portal.web.fits.jobs import ENDED
from fink_broker.portal.web.gw import view
from fink_broker.portal.web.gw.candidates import candidates, checked_event, checked_level, fetched_map
from fink_broker.portal.web.gw.maps import LARGEST, MapFolder
from fink_broker.portal.web.site import Page, Site, Visit
from fink_broker.portal.web.transfer.visitor import visitor_of

_SHOWN = ["i:objectId", "i:ra", "i:dec", "d:classification", "delay"]
#: other sites cannot send this header without asking first
_HEADER = "X-Fink-Upload"


def _build(visit: Visit, site: Site) -> Component:
    event = visit.arguments.get("event_name", "")[:64]
    try:
        level = checked_level(visit.arguments.get("credible_level", view.DEFAULT_LEVEL))
    except ApiError:
        level = view.DEFAULT_LEVEL
    if event:
        site.jobs.warm()
    return dmc.Stack(
        [
            html.Div(
                [
                    dmc.Title("Gravitational waves", order=1, size="h2"),
                    dmc.Text("Objects that appeared where and when an event was seen", className="gw-note"),
                ]
            ),
            view.form(event, level),
            html.Div(view.waiting() if event else view.introduction(), id="gw-result", className="gw-result"),
            *view.stores(),
        ],
        gap="md",
    )


def _register(app: Dash, site: Site) -> None:
    maps = MapFolder(site.jobs.folder.parent / "skymaps")
    _register_upload(app, site, maps)
    _register_clientside(app)

    @app.callback(
        Output("gw-result", "children"),
        Output("gw-shown", "data"),
        Output("gw-job", "data"),
        Output("gw-ended", "data", allow_duplicate=True),  # the job may be that of an earlier search
        Input("gw-asked", "data"),
        State("gw-job", "data"),
        running=[(Output("gw-busy", "data"), True, False)],
        prevent_initial_call=True,
    )
    def search(asked: Any, before: Any) -> Any:
        given = asked if isinstance(asked, dict) else {}
        try:
            return *searched(site, maps, given, visitor_of(request), before), None
        except ApiError as error:
            return refusal(error), None, None, None
        except OSError:
            words = "The portal cannot keep the skymap just now: tell its operator."
            return notices.notice("The search could not be done", words, colour="red"), None, None, None

    polling.register(app, "gw")

    @app.callback(
        Output("gw-seen", "data"),
        Output("gw-ended", "data"),
        Output("gw-map", "children"),
        Input("gw-look", "data"),
        State("gw-job", "data"),
        State("gw-ended", "data"),
        State("gw-shown", "data"),
        prevent_initial_call=True,
    )
    def draw(look: Any, job: Any, ended: Any, shown: Any) -> Any:
        state = site.jobs.look(job, "region")
        if job == ended or state.state not in ENDED:
            return look, no_update, no_update
        if state.state != "done":
            return look, job, notices.notice("The region could not be drawn", state.words, colour="orange")
        return look, job, view.chart(restored(shown), state.result)


def searched(
    site: Site, maps: MapFolder, asked: dict[str, Any], visitor: str, before: object
) -> tuple[Component, str, str | None]:
    """Return the result of a search, its objects as JSON, and the job that draws the region.

    Parameters
    ----------
    site : Site
        The API, and where regions are computed.
    maps : MapFolder
        Skymaps that were uploaded.
    asked : dict
        What the browser asks for: ``event`` or ``file`` with its ``name``, and ``level``.
    visitor : str
        Who asks.
    before : object
        The job that draws the region of his search before, which is of no use any more.

    Raises
    ------
    ApiError
        If it cannot be answered.
    OSError
        If the skymap cannot be kept.
    """
    level = checked_level(asked.get("level"))
    event = ""
    if asked.get("file"):
        path = maps.find(asked["file"])
        if path is None:
            raise ApiError("The skymap is not kept any more: choose the file again.")
        name, content = str(asked.get("name") or "your skymap")[:80], path.read_bytes()
    else:
        event = name = checked_event(asked.get("event"))
        content = fetched_map(site, event)
        path = maps.find(maps.keep(content))
    found = candidates(site.api, content, level)
    try:
        job = site.jobs.start("region", {"file": str(path), "level": level}, visitor, before)
    except FitError:
        job = None
    shown = view.result(found, name, level, [view.snippet(site.api_url, event, level)])
    return shown, stored(found), job


def stored(found: pd.DataFrame) -> str:
    """Return what the map shows of objects, as the browser keeps it."""
    return found.reindex(columns=_SHOWN).to_json(orient="split")


def restored(text: Any) -> pd.DataFrame:
    """Return what `stored` made, whatever the browser made of it."""
    try:
        found = pd.read_json(io.StringIO(text), orient="split").reindex(columns=_SHOWN)
        return found.astype({"i:ra": float, "i:dec": float, "delay": float})
    except (TypeError, ValueError, KeyError, AttributeError):
        return pd.DataFrame(columns=_SHOWN)


def refusal(error: ApiError) -> Component:
    """Return the words for a search that was not answered."""
    if error.status == 0 and not error.message.startswith("The API"):
        return notices.notice("Nothing was searched yet", error.message, colour="orange")
    if error.status == 404:
        return notices.nothing("Unknown event", error.message)
    if error.status == 424:
        return notices.notice(
            "GraceDB does not answer",
            f"{error.message} You can download the skymap from gracedb.ligo.org yourself and upload it here.",
            colour="orange",
        )
    if error.status == 400:
        return notices.notice("The skymap cannot be used", error.message, colour="orange")
    return notices.failure(error)


def _register_upload(app: Dash, site: Site, maps: MapFolder) -> None:
    @app.server.route("/gw/skymaps", methods=["POST"])
    def take_skymap() -> Response:
        if request.headers.get(_HEADER) != "1":
            abort(403)
        site.jobs.warm()  # the search is next
        content = request.get_data(cache=False)
        if not 0 < len(content) <= LARGEST:
            return Response("The file is empty.", 400, mimetype="text/plain")
        try:
            return jsonify(file=maps.keep(content))
        except OSError:
            return Response("The portal cannot keep the skymap just now.", 503, mimetype="text/plain")


def _register_clientside(app: Dash) -> None:
    app.clientside_callback(
        ClientsideFunction("gw", "ask"),
        Output("gw-asked", "data"),
        Input("gw-search", "n_clicks"),
        Input("gw-event", "n_submit"),
        Input("gw-file", "data"),
        State("gw-event", "value"),
        State("gw-level", "value"),
        State("gw-busy", "data"),
    )
    app.clientside_callback(ClientsideFunction("gw", "drop"), Output("gw-drop", "title"), Input("gw-drop", "id"))
    app.clientside_callback(
        ClientsideFunction("gw", "wait"),
        Output("gw-result", "children", allow_duplicate=True),
        Input("gw-asked", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("gw", "running"),
        Output("gw-poll", "disabled"),
        Input("gw-job", "data"),
        Input("gw-ended", "data"),
    )


PAGE = Page("/gw", "Gravitational waves : Fink Science Portal", _build, _register, "Gravitational Waves")
