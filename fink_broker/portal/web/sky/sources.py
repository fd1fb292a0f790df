"""What is drawn on the sky."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fink_broker.portal.web.theme import HEX_COLOURS, class_hex

#: Corners of a polygon: right ascension and declination in degrees (ICRS).
Ring = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class SkySource:
    """A point on the sky.

    Parameters
    ----------
    name : str
        Its name, as ``ZTF21abfmbix``.
    ra, dec : float
        Position in degrees (ICRS).
    label : str
        Its class; sources of one label share a colour and an entry of the legend.
    href : str
        Where a click leads: a path of this site, as ``/ZTF21abfmbix``; empty: nowhere.
    text : str
        What is said of it, besides its name; plain text.
    colour : str
        Mantine's name of a colour, or ``#rrggbb``; empty: the one of its class.
    symbol : str
        Marker as Plotly names it: ``circle``, ``cross-thin-open``, ``square-open``, …
    """

    name: str
    ra: float
    dec: float
    label: str = ""
    href: str = ""
    text: str = ""
    colour: str = ""
    symbol: str = "circle"

    @property
    def hex_colour(self) -> str:
        """Its colour as ``#rrggbb``."""
        return HEX_COLOURS.get(self.colour, self.colour) or class_hex(self.label)
