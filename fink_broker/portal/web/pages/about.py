"""The page ``/about``: what this is, how alerts go through it, whom it owes thanks."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, html
from dash.development.base_component import Component

from fink_broker.portal.web.site import Page, Site, Visit

#: packages whose versions are shown
PACKAGES = ("fink-broker", "fastapi", "dash", "dash-mantine-components", "plotly", "pyarrow", "sbpy", "pyLIMA")
#: name, what it gives, address
SERVICES = (
    ("SIMBAD, CDS", "cross-matches; names of objects, through Sesame", "https://simbad.cds.unistra.fr"),
    ("VizieR and X-Match, CDS", "catalogues: Gaia DR3, VSX, SPICY, 3HSP, 4LAC", "https://cdsxmatch.u-strasbg.fr"),
    ("Transient Name Server", "names and types of transients", "https://www.wis-tns.org"),
    ("SsODNet and Miriade, IMCCE", "names and ephemerides of the Solar System", "https://ssp.imcce.fr"),
    ("Minor Planet Center", "known asteroids and comets", "https://minorplanetcenter.net"),
    ("GraceDB", "skymaps of gravitational-wave events", "https://gracedb.ligo.org"),
    ("IRSA", "photometry of the ZTF data releases", "https://irsa.ipac.caltech.edu"),
    ("Aladin Lite, CDS", "images of the sky, where the network allows", "https://aladin.cds.unistra.fr"),
)
THANKS = (
    (
        "ZTF",
        "Alerts are based on observations obtained with the Samuel Oschin Telescope 48-inch and the 60-inch Telescope "
        "at the Palomar Observatory as part of the Zwicky Transient Facility project, supported by the National "
        "Science Foundation of the United States and a collaboration of partner institutions.",
    ),
    (
        "Rubin Observatory",
        "Fink is one of the community brokers of the Vera C. Rubin Observatory's Legacy Survey of Space and Time.",
    ),
    (
        "CDS",
        "The SIMBAD database, the VizieR and X-Match services, and Aladin are operated at CDS, Strasbourg, France.",
    ),
    (
        "Gaia",
        "Data from the European Space Agency mission Gaia (https://www.cosmos.esa.int/gaia), processed by the Gaia "
        "Data Processing and Analysis Consortium.",
    ),
    ("Pan-STARRS", "The nearest sources in alerts are of the Pan-STARRS1 Surveys, archived at STScI."),
    ("Solar System", "Miriade and SsODNet are services of the IMCCE, Observatoire de Paris; orbits are of the MPC."),
    (
        "GCVS, VSX",
        "General Catalogue of Variable Stars (Samus et al. 2017); Variable Star Index of the AAVSO (Watson et al.).",
    ),
)
_WHAT = (
    "Fink is a broker: it takes the alerts of a survey of the changing sky, hundreds of thousands a night, finds out "
    "what each may be, and hands it to whoever waits for it. This portal shows what is in its archive; everything here "
    "comes from a REST API that is yours to use, too."
)
_CITE = "If Fink helped your work, please cite Möller et al. 2021, MNRAS 501, 3272 (doi:10.1093/mnras/staa3602)."
_FLOW_LABEL: dict[str, Any] = {"aria-label": "Flow of alerts"}
_FLOW = (
    "The survey sends alerts over Kafka. The broker receives and checks them, enriches them with cross-matches and "
    "classifications, and archives them. Filters send chosen alerts on as topics. Astronomers get them through "
    "clients, the REST API and this portal."
)


def _build(visit: Visit, site: Site) -> Component:
    del visit, site
    return html.Div(
        [
            dmc.Title("About", order=1, mb="sm"),
            dmc.Text(_WHAT, maw="70ch"),
            _title("How an alert goes through"),
            html.Div(
                html.Img(src="/assets/flow.svg", alt=_FLOW, width=960, height=250, className="about-flow"),
                className="about-wide",
                tabIndex=0,
                role="region",
                **_FLOW_LABEL,
            ),
            _title("Services it asks"),
            _services(),
            dmc.Text("Any of them may be away: pages say so, and show the rest.", size="sm", mt="sm"),
            _title("With thanks to"),
            _definitions(THANKS, "about-thanks"),
            dmc.Text(_CITE, mt="md"),
            _title("Versions"),
            _definitions(versions(), "about-versions"),
        ],
        className="page-content",
    )


def _title(text: str) -> Component:
    return dmc.Title(text, order=2, size="h3", mt="xl", mb="sm")


def _definitions(pairs: Iterable[tuple[str, str]], style: str) -> Component:
    parts = [part for name, words in pairs for part in (html.Dt(name), html.Dd(words))]
    return html.Dl(parts, className=style)


def _services() -> Component:
    rows = [
        html.Tr(
            [
                html.Th(html.A(name, href=url, target="_blank", rel="noopener"), scope="row"),
                html.Td(words),
            ]
        )
        for name, words, url in SERVICES
    ]
    return html.Table(html.Tbody(rows), className="about-services")


def versions() -> list[tuple[str, str]]:
    """Return packages and their versions; what is not installed is left out."""
    found = []
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return found


def _register(app: Dash, site: Site) -> None:
    del app, site  # nothing here changes


PAGE = Page("/about", "About : Fink Science Portal", _build, _register)
