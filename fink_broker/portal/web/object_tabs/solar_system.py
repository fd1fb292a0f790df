"""The tab of asteroids and comets: light curve, offsets from the ephemerides, phase curve, what else is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
import numpy as np
import pandas as pd
from dash import Dash, html
from dash.development.base_component import Component

from fink_broker.portal.client import ApiError
from fink_broker.portal.web import notices
from fink_broker.portal.web.api import Api
from fink_broker.portal.web.fits.job_folder import FitError
from fink_broker.portal.web.fits.phase_fit import BANDS, COMBINED, DEFAULT_MODEL, MODELS, UNITS, Parameter, PhaseFit
from fink_broker.portal.web.light_curve import band_name, dates
from fink_broker.portal.web.object_data import ObjectData
from fink_broker.portal.web.object_tabs.fit_panel import FitPanel
from fink_broker.portal.web.object_tabs.fit_results import result_link
from fink_broker.portal.web.object_tabs.science_plots import NO_VALUE, listed, name_value_table, number, shown_plot
from fink_broker.portal.web.object_tabs.solar_system_data import (
    SolarSystemData,
    known_name,
    offsets,
    phase_points,
    read_solar_system,
)
from fink_broker.portal.web.object_tabs.solar_system_plots import astrometry_plot, light_curve_plot, phase_plot
from fink_broker.portal.web.site import Site, Tab

PLOT_HEIGHT, PHASE_HEIGHT = 380, 520
_POLITE: dict[str, Any] = {"aria-live": "polite"}
_WORDS = {
    "SHG1G2": "With spin axis and oblateness: Carry et al. 2024. All bands are fitted together.",
    "HG1G2": "Muinonen et al. 2010: three parameters.",
    "HG12": "Muinonen et al. 2010: two parameters, for few points.",
    "HG": "Bowell et al. 1989: two parameters.",
}
#: properties of the monthly table: column, words, digits, unit
_TABLE = (
    ("H_1", "H in g", 2, " mag"), ("H_2", "H in r", 2, " mag"), ("G1_1", "G1 in g", 3, ""), ("G2_1", "G2 in g", 3, ""),
    ("G1_2", "G1 in r", 3, ""), ("G2_2", "G2 in r", 3, ""), ("R", "Oblateness R", 3, ""),
    ("alpha0", "Spin axis α", 1, "°"), ("delta0", "Spin axis δ", 1, "°"), ("obliquity", "Obliquity", 1, "°"),
    ("n_obs", "Observations fitted", 0, ""), ("chi2red", "Reduced χ²", 2, ""),
)  # fmt: skip


def _why_not(data: ObjectData) -> str:
    return "" if known_name(data.alerts) else "It is not known as an asteroid or a comet."


def _build(data: ObjectData, site: Site) -> Component:
    site.jobs.warm()
    found = read_solar_system(site.api, data)
    left: list[Component] = []
    if found.trouble:
        words = f"{found.trouble} The light curve is shown without them."
        left.append(notices.nothing("No ephemerides just now", words))
    left.append(_tabs(found))
    return dmc.Grid(
        [
            dmc.GridCol(dmc.Stack(left), span={"base": 12, "md": 8}),
            dmc.GridCol(_card(found, site), span={"base": 12, "md": 4}),
        ],
        gutter="lg",
    )


def _tabs(found: SolarSystemData) -> Component:
    label = f"Magnitudes of {found.name} over time"
    words = "Filled: measured. Open: as the ephemerides have it." if found.has_ephemerides else ""
    curve = shown_plot("solar-system-light-curve", light_curve_plot(found), label, words, height=PLOT_HEIGHT)
    names = {"light-curve": "Lightcurve", "astrometry": "Astrometry", "phase": "Phase curve"}
    panels = {"light-curve": curve, "astrometry": _astrometry(found), "phase": _phase(found)}
    tabs = dmc.TabsList([dmc.TabsTab(label, value=name) for name, label in names.items()])
    shown = [dmc.TabsPanel(content, value=name, pt="md") for name, content in panels.items()]
    return dmc.Tabs([tabs, *shown], value="light-curve", keepMounted=False, id="solar-system-tabs")


def _astrometry(found: SolarSystemData) -> Component:
    if not found.has_ephemerides:
        return notices.nothing("No ephemerides", "Without them there is nothing to compare positions with.")
    east, north = (pd.Series(each).dropna() for each in offsets(found.rows))
    if not len(east):
        return notices.nothing("No positions", "The ephemerides came without positions.")
    words = (
        f"Measured minus predicted. Mean: Δα cos δ {east.mean():.2f}″, Δδ {north.mean():.2f}″; "
        f"scatter {east.std(ddof=0):.2f}″ and {north.std(ddof=0):.2f}″."
    )
    label = f"Measured minus predicted positions of {found.name}. {words}"
    return shown_plot("solar-system-astrometry", astrometry_plot(found), label, words, height=PLOT_HEIGHT)


def _phase(found: SolarSystemData) -> Component:
    if not found.has_ephemerides:
        return notices.nothing("No ephemerides", "Without them phase angles and distances are not known.")
    models = dmc.SegmentedControl(
        id=f"{PANEL.name}-model", data=list(MODELS), value=DEFAULT_MODEL, **{"aria-label": "Model"}
    )
    modes = [{"value": BANDS, "label": "Per band"}, {"value": COMBINED, "label": "Combined (V)"}]
    bands = dmc.SegmentedControl(id=f"{PANEL.name}-bands", data=modes, value=BANDS, **{"aria-label": "Bands"})
    said = f"{len(phase_points(found.rows)['phase'])} measurements with ephemerides."
    return html.Div(PANEL.build(said, [dmc.Group([models, bands], gap="sm")]), id="solar-system-fit", **_POLITE)


def _card(found: SolarSystemData, site: Site) -> Component:
    name, number_ = found.official("sso_name") or found.name, found.official("sso_number")
    rows: list[tuple[str, str | Component]] = [
        ("Name", name),
        ("Number", number_ or NO_VALUE),
        ("Name in alerts", found.name),
        ("Alerts, under all names", str(len(found.rows))),
    ]
    if found.has_ephemerides and len(found.rows):
        latest = found.rows.iloc[-1]
        rows += [
            ("At the latest alert (UTC)", str(dates(latest[["i:jd"]].to_numpy(np.float64))[0])[:16].replace("T", " ")),
            ("Distance to the Sun", number(latest.get("Dhelio"), 3, " au")),
            ("Distance to the Earth", number(latest.get("Dobs"), 3, " au")),
            ("Phase angle", number(latest.get("Phase"), 2, "°")),
            ("Elongation", number(latest.get("Elong."), 1, "°")),
        ]
    fitted, words = _monthly(found, site)
    return dmc.Paper(
        [
            dmc.Title(name, order=2, size="h4", mb="xs"),
            name_value_table([row for row in rows if row[1]], f"What is known of {name}"),
            dmc.Title("Monthly fit (SHG1G2)", order=3, size="h5", mt="md", mb="xs"),
            name_value_table(fitted, "Parameters of the monthly fit") if fitted else dmc.Text(words, size="sm"),
            dmc.Title("Elsewhere", order=3, size="h5", mt="md", mb="xs"),
            _links(number_ or name),
            dmc.Title("Download", order=3, size="h5", mt="md", mb="xs"),
            _downloads(found),
        ],
        withBorder=True,
        p="md",
    )


def _monthly(found: SolarSystemData, site: Site) -> tuple[list[tuple[str, str | Component]], str]:
    """Return what the monthly table has of the object, or why it has nothing."""
    official = found.official("sso_number")
    asked: dict[str, Any] = {"sso_number": official} if official else {"sso_name": found.name}
    try:
        rows = site.api.rows("ssoft", flavor="SHG1G2", **asked)
    except ApiError:
        return [], "There is no table of this month."
    if rows.empty:
        return [], "It is not in the table of this month: it takes 50 observations."
    row = rows.iloc[0]
    return [(words, number(row.get(name), digits, unit)) for name, words, digits, unit in _TABLE if name in row], ""


def _links(name: str) -> Component:
    places = {
        "Minor Planet Center": f"https://minorplanetcenter.net/db_search/show_object?object_id={quote(name)}",
        "SsODNet": f"https://ssp.imcce.fr/webservices/ssodnet/api/ssocard/{quote(name)}",
        "JPL SBDB": f"https://ssd.jpl.nasa.gov/tools/sbdb_lookup.html#/?sstr={quote(name)}",
    }
    return html.Div(
        [html.A(label, href=url, target="_blank", rel="noopener") for label, url in places.items()],
        className="science-links",
    )


def _downloads(found: SolarSystemData) -> Component:
    ephemerides = "&withEphem=True" if found.has_ephemerides else ""
    address = f"/api/v1/sso?n_or_d={quote(found.name)}{ephemerides}&output-format="
    files = {"CSV": "csv", "JSON": "json", "VOTable": "votable", "Parquet": "parquet"}
    links = [html.A(label, href=address + kind, download=f"{found.name}.{kind}") for label, kind in files.items()]
    return html.Div(links, className="science-links")


def _register(app: Dash, site: Site) -> None:
    PANEL.register(app, site)


def phase_inputs(api: Api, data: ObjectData, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the fit of a phase curve takes.

    Parameters
    ----------
    api : Api
        Gives ephemerides.
    data : ObjectData
        The object.
    fields : mapping
        ``model``, and ``bands``: how they are taken.

    Raises
    ------
    FitError
        If there are no points, or a field is of no use.
    ApiError
        If the API does not answer.
    """
    model, bands = fields.get("model"), fields.get("bands")
    if model not in tuple(MODELS) or bands not in (BANDS, COMBINED):
        raise FitError(f"Choose one of the models {', '.join(MODELS)}, of each band or of all combined.")
    found = read_solar_system(api, data) if known_name(data.alerts) else None
    if found is None or not found.has_ephemerides:
        raise FitError("There are no ephemerides of the object just now: a phase curve needs them.")
    return {**phase_points(found.rows), "model": model, "bands": bands}


def show_phase(result: Mapping[str, Any], job: str) -> Component:
    """Return a fitted phase curve with its parameters."""
    fit = PhaseFit.of_json(result)
    label = f"Reduced magnitude against phase angle with the model {fit.model}, reduced χ² {fit.reduced_chi2:.2f}"
    words = _WORDS[fit.model]
    if fit.left_out:
        words += f" Left out, with too few points for the model: {', '.join(map(band_name, fit.left_out))}."
    plot = shown_plot("solar-system-phase", phase_plot(fit, PHASE_HEIGHT), label, words, height=PHASE_HEIGHT)
    return html.Div([plot, parameter_table(fit), result_link(job)])


def parameter_table(fit: PhaseFit) -> Component:
    """Return parameters with errors; those a bound stopped are marked."""
    rows = [
        ("V" if band.band == 0 else band_name(band.band), parameter)
        for band in fit.bands
        for parameter in band.parameters
    ] + [("all", parameter) for parameter in fit.spin]
    cells = [(band, *_cells(parameter)) for band, parameter in rows]
    scatter = [
        (("V" if band.band == 0 else band_name(band.band)), "rms", f"{band.rms:.3f}", "", "mag") for band in fit.bands
    ]
    return listed(("Band", "Parameter", "Value", "± 1 σ", "Unit"), [*cells, *scatter], "Parameters of the phase curve")


def _cells(parameter: Parameter) -> tuple[str, str, str, str]:
    error = "at its bound" if parameter.at_limit else number(parameter.error, 3)
    return parameter.name, number(parameter.value, 3), error, UNITS.get(parameter.name, "")


def _help() -> Component:
    return dmc.Text(
        "A phase curve tells how bright an asteroid is at each angle between Sun, asteroid and observer, at 1 au from "
        "both. It is fitted apart from the page, again after each choice.",
        size="sm",
    )


PANEL = FitPanel(
    "solar-system-curve", "phase", phase_inputs, show_phase, _help,
    fields=("model", "bands"), opened=("solar-system-tabs", "phase"),
)  # fmt: skip
TAB = Tab("solar_system", "Solar System", _why_not, _build, _register)
