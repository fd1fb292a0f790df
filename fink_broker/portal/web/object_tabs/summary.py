"""The tab that every object has: its classes over time, its light curve, and drawers with all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping

import dash_mantine_components as dmc
from dash import Dash, dcc
from dash.development.base_component import Component

from fink_broker.portal.web.object_data import ObjectData
from fink_broker.portal.web.object_parts import Builder, part
from fink_broker.portal.web.object_tabs import (
    summary_alert,
    summary_classes,
    summary_cutouts,
    summary_light_curve,
    summary_links,
    summary_sharing,
)
from fink_broker.portal.web.site import Site, Visit

#: Parts that are made when their drawer is opened.
PARTS: Mapping[str, Builder] = {
    "scores": summary_alert.scores,
    "content": summary_alert.content,
    "coordinates": summary_sharing.coordinates,
    "download": summary_sharing.download,
    "neighbourhood": summary_links.neighbourhood,
    "brokers": summary_links.brokers,
    "share": summary_sharing.share,
}
#: Their names, and the pixels they need about.
_DRAWERS = {
    "scores": ("Scores", 280),
    "content": ("Alert content", 480),
    "coordinates": ("Coordinates", 150),
    "download": ("Download data", 420),
    "neighbourhood": ("Neighbourhood", 420),
    "brokers": ("Other brokers", 60),
    "share": ("Share", 260),
}
_CUTOUTS = "cutouts"


def build(data: ObjectData, site: Site, visit: Visit) -> Component:
    """Return the content of the tab; drawers but the first are made when they are opened."""
    latest = str(data.latest["i:candid"])
    alerts = summary_cutouts.listed(data)
    drawers = [_drawer(_CUTOUTS, "Alert cutouts", summary_cutouts.build(data, alerts))]
    drawers += [_drawer(name, label, part(name, height)) for name, (label, height) in _DRAWERS.items()]
    return dmc.Stack(
        [
            dcc.Store(id="object-candid", data=latest),
            dcc.Store(id="object-alerts", data=alerts),
            summary_classes.class_bar(data),
            summary_light_curve.build(data, site, visit),
            dmc.Accordion(
                drawers, id="object-drawers", value=[_CUTOUTS], multiple=True, variant="separated", order=2,
                transitionDuration=120,
            ),
        ],
        gap="md",
    )  # fmt: skip


def register(app: Dash, site: Site) -> None:
    """Add the callbacks of the tab."""
    summary_light_curve.register(app, site)
    summary_cutouts.register(app)
    summary_alert.register(app, site)
    summary_sharing.register(app)


def _drawer(name: str, label: str, content: Component) -> Component:
    return dmc.AccordionItem([dmc.AccordionControl(label), dmc.AccordionPanel(content)], value=name)
