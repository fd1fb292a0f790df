"""What results of fits share: their numbers side by side, and files to download."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence

from dash import Dash, html
from dash.development.base_component import Component
from flask import Response, abort

from fink_broker.portal.web.site import Site


def fact(label: str, value: str, further: str = "") -> Component:
    """Return a number of a result with its name."""
    said = [html.Span(further, className="fit-further")] if further else []
    return html.Div([html.Dt(label), html.Dd([html.Span(value, className="fit-value"), *said])], className="fit-fact")


def facts(*each: Component) -> Component:
    """Return numbers of a result side by side."""
    return html.Dl(list(each), className="fit-facts")


def file_links(job: str) -> Component:
    """Return links to the points of a result, and to all of it."""
    return html.Div(
        [
            html.Span("Download"),
            html.A("Points (CSV)", href=f"/fits/{job}.csv", download="", className="fit-link"),
            html.A("All of it (JSON)", href=f"/fits/{job}.json", download="", className="fit-link"),
        ],
        className="fit-links",
    )


def result_link(job: str) -> Component:
    """Return a link to all of a result."""
    link = html.A("All of it (JSON)", href=f"/fits/{job}.json", download="", className="fit-link")
    return html.Div([html.Span("Download"), link], className="fit-links")


def register_files(app: Dash, site: Site) -> None:
    """Serve results as files, once for all tabs."""
    server = app.server
    if "fit_file" in server.view_functions:
        return

    @server.route("/fits/<job>.<any(csv, json):ending>", endpoint="fit_file")
    def fit_file(job: str, ending: str) -> Response:
        found = site.jobs.look(job)
        if found.state != "done":
            abort(404)
        text = json.dumps(dict(found.result)) if ending == "json" else points_csv(found.result.get("points", {}))
        kind = "application/json" if ending == "json" else "text/csv"
        return Response(text, mimetype=kind, headers={"Content-Disposition": f'attachment; filename="fit.{ending}"'})


def points_csv(points: Mapping[str, Sequence[float]]) -> str:
    """Return columns as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(points)
    writer.writerows(zip(*points.values(), strict=True))
    return text.getvalue()
