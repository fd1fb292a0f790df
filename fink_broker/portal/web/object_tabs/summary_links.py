"""What other services know of the place of an object, and links to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import dash_mantine_components as dmc
import httpx
from dash import html
from dash.development.base_component import Component

from fink_broker.portal.web.object_data import ObjectData
from fink_broker.portal.web.results.values import number_of, text_of
from fink_broker.portal.web.site import Site

#: Radius of the searches that links lead to (arcsec).
CONE_ARCSEC = 5


@dataclass(frozen=True)
class Neighbour:
    """What a catalogue has near an object.

    Parameters
    ----------
    catalogue : str
        Which one.
    name : str
        Name or type, empty: the catalogue has nothing.
    distance : float, optional
        In arcsec.
    said : str
        What else is known.
    """

    catalogue: str
    name: str
    distance: float | None = None
    said: str = ""


def neighbours(alert: Mapping[Any, Any]) -> list[Neighbour]:
    """Return what catalogues have near an alert."""
    parallax, error = number_of(alert, "d:Plx"), number_of(alert, "d:e_Plx")
    plx = f"parallax {parallax:.2f} ± {error:.2f} mas" if parallax is not None and error is not None else ""
    star = number_of(alert, "i:sgscore1")
    likeness = f"star-like {star:.2f}" if star is not None and star >= 0 else ""
    gaia = text_of(alert, "d:DR3Name") or ("source" if _distance(alert, "i:neargaia") is not None else "")
    spicy = text_of(alert, "d:spicy_class")
    return [
        Neighbour("SIMBAD", text_of(alert, "d:cdsxmatch"), said="type, nearest within 1″"),
        Neighbour("TNS", text_of(alert, "d:tns"), said="type"),
        Neighbour("VSX", text_of(alert, "d:vsx"), said="variable star, type"),
        Neighbour("GCVS", text_of(alert, "d:gcvs"), said="variable star, type"),
        Neighbour("MPC", text_of(alert, "i:ssnamenr"), _distance(alert, "i:ssdistnr"), _magnitude(alert, "i:ssmagnr")),
        Neighbour("Gaia", gaia, _distance(alert, "i:neargaia"), _joined(_magnitude(alert, "i:maggaia", "G"), plx)),
        Neighbour("Pan-STARRS 1", _present(alert, "i:distpsnr1"), _distance(alert, "i:distpsnr1"),
                  _joined(_magnitude(alert, "i:srmag1", "r"), likeness)),
        Neighbour("ZTF reference", _present(alert, "i:distnr"), _distance(alert, "i:distnr"),
                  _magnitude(alert, "i:magnr")),
        Neighbour("SPICY", spicy, said="young stellar object" if spicy else ""),
        Neighbour("3HSP", text_of(alert, "d:x3hsp"), said="blazar"),
        Neighbour("4LAC", text_of(alert, "d:x4lac"), said="gamma-ray active galaxy"),
        Neighbour("Mangrove", text_of(alert, "d:mangrove_HyperLEDA_name") or text_of(alert, "d:mangrove_2MASS_name"),
                  said="galaxy"),
    ]  # fmt: skip


def neighbourhood(data: ObjectData, site: Site) -> Component:
    """Return what catalogues have near an object, and links that search there."""
    del site
    latest = data.latest.to_dict()
    found = neighbours(latest)
    known = [each for each in found if each.name]
    nothing = [each.catalogue for each in found if not each.name]
    body = [
        [each.catalogue, each.name, "" if each.distance is None else f"{each.distance:.2f}″", each.said]
        for each in known
    ]
    table = html.Div(
        dmc.Table(
            data={"head": ["Catalogue", "Name or type", "Distance", "Further"], "body": body},
            verticalSpacing=6,
            className="object-neighbours",
        ),
        className="object-scroll",
        role="region",
        tabIndex=0,
        **{"aria-label": "Neighbours"},
    )
    place = f"Constellation: {text_of(latest, 'v:constellation') or 'not known'}."
    rest = f"Nothing in {', '.join(nothing)}." if nothing else ""
    ra, dec = float(latest["i:ra"]), float(latest["i:dec"])
    return dmc.Stack(
        [
            dmc.Text(place, size="sm"),
            table if body else html.Span(),
            dmc.Text(rest, size="sm", c="dimmed"),
            dmc.Text(f"Search within {CONE_ARCSEC}″ in", size="sm", fw=600),
            _buttons(cone_links(ra, dec)),
        ],
        gap="xs",
    )


def brokers(data: ObjectData, site: Site) -> Component:
    """Return links to the object at other brokers of ZTF."""
    del site
    return _buttons(broker_links(data.object_id))


def cone_links(ra: float, dec: float) -> list[tuple[str, str]]:
    """Return services and the addresses that search around a position (degrees, ICRS)."""
    place = f"{ra:.7f} {dec:+.7f}"
    degrees = {"ra": f"{ra:.7f}", "dec": f"{dec:.7f}"}
    near_ned = {
        "search_type": "Near Position Search", "in_csys": "Equatorial", "in_equinox": "J2000.0",
        "lon": f"{ra:.7f}d", "lat": f"{dec:.7f}d", "radius": f"{CONE_ARCSEC / 60:.4f}",
    }  # fmt: skip
    return [
        ("TNS", _address("https://www.wis-tns.org/search", ra=degrees["ra"], decl=degrees["dec"], radius=CONE_ARCSEC,
                         coords_unit="arcsec")),
        ("SIMBAD", _address("https://simbad.cds.unistra.fr/simbad/sim-coo",
                            **{"Coord": place, "Radius": f"{CONE_ARCSEC}", "Radius.unit": "arcsec"})),
        ("SNAD", f"https://ztf.snad.space/search/{quote(place)}/{CONE_ARCSEC}"),
        ("DataCentral", _address("https://das.datacentral.org.au/open", RA=degrees["ra"], DEC=degrees["dec"], FOV=0.5,
                                 ERR=CONE_ARCSEC)),
        ("NED", _address("https://ned.ipac.caltech.edu/cgi-bin/objsearch", **near_ned)),
        ("SDSS", _address("https://skyserver.sdss.org/dr18/VisualTools/navi", **degrees)),
        ("ASAS-SN", _address("https://asas-sn.osu.edu/photometry", **degrees, radius=CONE_ARCSEC)),
        ("VSX", _address("https://vsx.aavso.org/index.php", view="results.get", coords=place, format="d",
                         size=CONE_ARCSEC, unit=3, geom="r", order=9)),
    ]  # fmt: skip


def broker_links(object_id: str) -> list[tuple[str, str]]:
    """Return other brokers and the addresses of an object there."""
    return [
        ("ALeRCE", f"https://alerce.online/object/{object_id}"),
        ("ANTARES", _address("https://antares.noirlab.edu/loci/lookup", ztf_object_id=object_id)),
        ("Lasair", f"https://lasair-ztf.lsst.ac.uk/objects/{object_id}/"),
    ]


def _buttons(links: Sequence[tuple[str, str]]) -> Component:
    return dmc.Group(
        [
            html.A([name, html.Span(" ↗", **{"aria-hidden": "true"})], href=address, target="_blank",
                   rel="noopener noreferrer", className="object-link")
            for name, address in links
        ],
        gap="xs",
    )  # fmt: skip


def _address(base: str, **arguments: str | float) -> str:
    return str(httpx.URL(base, params={name: str(value) for name, value in arguments.items()}))


def _distance(alert: Mapping[Any, Any], name: str) -> float | None:
    value = number_of(alert, name)
    return value if value is not None and value >= 0 else None


def _present(alert: Mapping[Any, Any], name: str) -> str:
    return "" if _distance(alert, name) is None else "source"


def _magnitude(alert: Mapping[Any, Any], name: str, band: str = "") -> str:
    value = number_of(alert, name)
    return "" if value is None or value <= 0 else f"{f'{band} = ' if band else ''}{value:.2f} mag"


def _joined(*texts: str) -> str:
    return ", ".join(text for text in texts if text)
