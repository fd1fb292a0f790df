"""``schema`` and ``columns``: which columns alerts have, and what they say."""

from __future__ import annotations

from fink_broker.archive.columns import described
from fink_broker.config import Config
from fink_broker.portal.alert_rows import DEFAULTS
from fink_broker.portal.computed import CLASSIFICATION, COMPUTED
from fink_broker.portal.cutout_columns import CUTOUTS
from fink_broker.portal.route import Document, Query, Route

ORIGINAL, IMAGES = "ZTF original fields (i:)", "ZTF original cutouts (b:)"
OURS, COMPUTED_HEADING = "Fink science module outputs (d:)", "Fink on-the-fly added values (v:)"
HISTORIC_COMPUTED_HEADING = "Fink added values (v:)"
#: What is said of columns that no module declares.
_DEFAULT_DOCS = {
    "d:tns": "type of the Transient Name Server; empty: it has none",
    "d:tracklet": "name of the tracklet it is part of; empty: none",
}
_Fields = dict[str, dict[str, str]]


def fields(config: Config) -> dict[str, _Fields]:
    """Return type and meaning of every column an alert has, by heading and name without its family, sorted."""
    groups: dict[str, _Fields] = {ORIGINAL: {}, IMAGES: {}, OURS: {}, COMPUTED_HEADING: {}}
    for name in DEFAULTS:
        doc = _DEFAULT_DOCS.get(name, "-1: the alert is of no blazar")
        groups[OURS][_bare(name)] = {"type": "string" if name in _DEFAULT_DOCS else "double", "doc": doc}
    for column in described(config).values():
        doc = f"{column.doc} [{column.unit}]" if column.unit and f"[{column.unit}]" not in column.doc else column.doc
        groups[ORIGINAL if column.family == "i" else OURS][_bare(column.name)] = {"type": column.type, "doc": doc}
    groups[OURS].pop(_bare(CLASSIFICATION), None)
    for name, doc in CUTOUTS.items():
        groups[IMAGES][_bare(name)] = {"type": "array", "doc": doc}
    for name, computed in COMPUTED.items():
        groups[COMPUTED_HEADING][_bare(name)] = {"type": computed.type, "doc": computed.doc}
    return {heading: dict(sorted(group.items())) for heading, group in groups.items()}


def current(query: Query) -> Document:
    """Return the columns of alerts."""
    return Document(fields(query.config))


def historic(query: Query) -> Document:
    """Return the columns of alerts, as the historic generation wraps them."""
    groups = fields(query.config)
    groups[HISTORIC_COMPUTED_HEADING] = groups.pop(COMPUTED_HEADING)
    return Document({"fields": groups})


def _bare(name: str) -> str:
    return name.partition(":")[2]


ROUTES = (
    Route(
        "schema", "Display all available alert fields and their type", current, methods=("GET",),
        generations=("current",), group="Columns", has_rows=False, answers_bare_get=True,
    ),
    Route(
        "columns", "Display all available alert fields and their type", historic, methods=("GET",),
        generations=("historic",), group="Columns", has_rows=False, answers_bare_get=True,
    ),
)  # fmt: skip
