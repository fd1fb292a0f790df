"""The tab of variable stars: a period search, and the light curve folded with what it found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
from dash import Dash
from dash.development.base_component import Component

from fink_broker.portal.web.api import Api
from fink_broker.portal.web.fits.job_folder import FitError
from fink_broker.portal.web.fits.jobs import JobState
from fink_broker.portal.web.fits.search import Magnitudes, PeriodSearch
from fink_broker.portal.web.object_data import ObjectData
from fink_broker.portal.web.object_tabs import variable_plots
from fink_broker.portal.web.object_tabs.fit_panel import FitPanel, fit_inputs, magnitudes_said, why_no_fit
from fink_broker.portal.web.object_tabs.fit_results import fact, facts, file_links
from fink_broker.portal.web.object_tabs.science_plots import shown_plot
from fink_broker.portal.web.site import Site, Tab

SHORTEST, LONGEST = 0.1, 1.2
_HEIGHT = 420
#: a chance below this is not told exactly
_SMALL_CHANCE = 1e-4
_PERCENT = 0.01
_TIMES = {"double": 2.0, "halve": 0.5}


def period_inputs(api: Api, data: ObjectData, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a period search takes.

    Parameters
    ----------
    api : Api
        Not asked: the object has all there is.
    data : ObjectData
        The object.
    fields : mapping
        Values of the fields: ``base``, ``band``, ``shortest``, ``longest``, ``period``.

    Raises
    ------
    FitError
        If a value is of no use, or the measurements are too few for it.
    """
    del api
    period = _as_number(fields.get("period"))
    inputs = fit_inputs(data) | {
        "nterms_base": _as_number(fields.get("base")), "nterms_band": _as_number(fields.get("band")),
        "shortest": _as_number(fields.get("shortest")), "longest": _as_number(fields.get("longest")),
        "period": None if period == "" else period,
    }  # fmt: skip
    PeriodSearch.of(inputs).check(Magnitudes.of(inputs))
    return inputs


def _as_number(value: object) -> object:
    """Return the number in a text, and anything else as it is: a field gives "1.0" as text until it is left."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def change_period(button: str, fields: dict[str, Any], before: JobState) -> None:
    """Set the field of the period to twice or half of what the fit before found.

    Raises
    ------
    FitError
        If there was none.
    """
    period = before.result.get("period")
    if not isinstance(period, float):
        raise FitError("There is no period yet that could be changed: fit the data first.")
    fields["period"] = float(f"{period * _TIMES[button]:.8g}")


def written_period(period: float, error: float | None) -> str:
    """Return a period in days with as many digits as its error has meaning."""
    if not error or not 0 < error < period:
        return f"{period:.6g} d"
    digits = min(10, max(0, -int(f"{error:.0e}".split("e")[1]) + 1))
    return f"{period:.{digits}f} ± {error:.{digits}f} d"


def written_chance(chance: float) -> str:
    """Return how likely noise alone does as well, in words."""
    if chance < _SMALL_CHANCE:
        return "less than 0.01 %"
    return f"about {100 * chance:.{0 if chance > _PERCENT else 2}f} %"


def show_period(result: Mapping[str, Any], job: str) -> Component:
    """Return the result of a period search."""
    period, hours = result["period"], result["period"] * 24
    found = "searched for" if result["searched"] else "given"
    head = facts(
        fact("Period", written_period(period, result["period_error"]), f"{hours:.4g} h, {found}"),
        fact("Score", f"{result['score']:.3f}", "of 1: share of the variance explained"),
        fact("By chance", written_chance(result["chance"]), _of_noise(result)),
    )
    panels = {
        "folded": ("Folded", variable_plots.folded(result), "Light curve over the phase of the period, two cycles",
                   "Two cycles; phase 0 is the brightest point of the model. Lines: the model of each band."),
        "unfolded": ("Unfolded", variable_plots.unfolded(result), "Light curve over time with the model",
                     variable_plots.unfolded_said(result)),
        "periodogram": ("Periodogram", variable_plots.periodogram(result), "Score of each period of the range",
                        f"{result['trials']:,} periods were tried; the line marks the one shown.{_rivals(result)} "
                        "Peaks at 1/(1/P ± 1) d are aliases of nightly observations."),
    }  # fmt: skip
    heads = dmc.TabsList([dmc.TabsTab(label, value=name) for name, (label, *_) in panels.items()])
    contents = [
        dmc.TabsPanel(
            shown_plot(f"variable-plot-{name}", plot, label, caption, height=_HEIGHT), value=name, pt="sm",
        )
        for name, (_, plot, label, caption) in panels.items()
    ]  # fmt: skip
    return dmc.Stack([head, dmc.Tabs([heads, *contents], value="folded", keepMounted=False), file_links(job)], gap="sm")


def _rivals(result: Mapping[str, Any]) -> str:
    others = ", ".join(f"{period:.6g} d ({height:.3f})" for period, height in result["rivals"])
    name = "Next highest" if result["searched"] else "Highest in the range"
    return f" {name}: {others}." if others else ""


def _of_noise(result: Mapping[str, Any]) -> str:
    return "in noise, anywhere in the range" if result["searched"] else "in noise, at this period"


def _help() -> Component:
    lines = (
        ("Terms", "Fourier terms of the model: those of all bands share their shape, those of each band are added. "
                  "More terms follow sharper shapes, and need more measurements."),
        ("Range", "Periods that are tried, in days. RR Lyrae: 0.2 to 1 d. Eclipsing binaries: 0.2 to 10 d; their two "
                  "eclipses are alike, so try twice the period found."),
        ("Period", "Where you know the period, give it: it is not searched for then."),
    )  # fmt: skip
    return dmc.Paper(
        dmc.Stack(
            [
                dmc.Title("Is it periodic?", order=2, size="h4"),
                dmc.Text(
                    "“Fit data” searches for the period that describes all bands at once (multiband Lomb-Scargle, "
                    "VanderPlas & Ivezić 2015). It runs apart from the page: you may go on, or cancel it.",
                    size="sm",
                ),
                *(dmc.Text([dmc.Text(f"{name}. ", fw=600, span=True), text], size="sm") for name, text in lines),
            ],
            gap="xs",
        ),
        withBorder=True, p="lg",
    )  # fmt: skip


def _number(name: str, label: str, value: float | str, **options: Any) -> Component:
    return dmc.NumberInput(id=f"variable-{name}", label=label, value=value, size="sm", hideControls=True, **options)


def _terms(name: str, label: str) -> Component:
    return dmc.NumberInput(
        id=f"variable-{name}", label=label, value=1, min=0, max=4, size="sm", allowDecimal=False, clampBehavior="none"
    )


def _build(data: ObjectData, site: Site) -> Component:
    site.jobs.warm()
    fields = [
        _terms("base", "Terms, all bands"),
        _terms("band", "Terms, each band"),
        _number("shortest", "Shortest period (d)", SHORTEST, decimalScale=6),
        _number("longest", "Longest period (d)", LONGEST, decimalScale=6),
        _number("period", "Period (d), if known", "", decimalScale=10, placeholder="searched for"),
    ]
    further = [
        dmc.Button("Period × 2", id="variable-double", variant="default"),
        dmc.Button("Period ÷ 2", id="variable-halve", variant="default"),
    ]
    return PANEL.build(magnitudes_said(data), fields, further)


def _register(app: Dash, site: Site) -> None:
    PANEL.register(app, site, change_period)


PANEL = FitPanel(
    "variable", "period", period_inputs, show_period, _help,
    fields=("base", "band", "shortest", "longest", "period"), again=tuple(_TIMES),
)  # fmt: skip
TAB = Tab("variable", "Variable stars", why_no_fit, _build, _register)
