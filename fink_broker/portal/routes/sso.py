"""``sso``: alerts of known asteroids and comets, under all the names they were sent."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fink_broker.archive.columns import is_index_column
from fink_broker.archive.hbase.keys import part
from fink_broker.archive.hbase.reader import Archive
from fink_broker.portal.alert_rows import COLUMNS, Limit, Selection, newest_of, pieces
from fink_broker.portal.cutout_columns import CUTOUTS, named_kinds, with_cutouts
from fink_broker.portal.ephemerides import (
    EPHEMERIS_COLUMNS,
    NEEDED,
    REDUCED,
    RESIDUALS,
    with_ephemerides,
    with_residuals,
)
from fink_broker.portal.images import KINDS, ImageKind
from fink_broker.portal.main_rows import completed
from fink_broker.portal.route import Argument, Query, RequestError, Route, Rows
from fink_broker.portal.sso_names import Identity, check_name, identify, under_this_name

NAME, NUMBER, SSNAMENR = "sso_name", "sso_number", "i:ssnamenr"
#: what images are found by
IDENTITY = ("i:objectId", "i:jd", "i:candid")
#: most objects of a request
MOST_OBJECTS = 100
#: number of the object an alert is of
_OWNER = "owner"
_KINDS_IN_WORDS = "`cutout-kind` must be `Science`, `Difference`, or `Template`.\n"


def answer(query: Query) -> Rows:
    """Return the alerts of objects, the latest first, with ephemerides, residuals and images where asked for."""
    limit = Limit.of(query, None)
    selection = Selection.of(query, also=(NAME, NUMBER, REDUCED, RESIDUALS, *EPHEMERIS_COLUMNS, *CUTOUTS))
    kinds = _check(query, selection)
    identities = dict(enumerate(_identities(query)))
    alerts, has_more = newest_of(_alerts(query.archive, identities, limit.rows + 1), limit.rows)
    if not len(alerts):
        alerts = selection.nothing(is_index_column, {_OWNER: pa.int64()})
    owners = alerts[_OWNER].to_numpy()
    wanted = selection.fetched(SSNAMENR, *IDENTITY, *NEEDED)
    alerts = completed(query.archive, alerts.drop_columns([_OWNER]), wanted)
    shown, added = _shown(query, selection, alerts, owners, identities)
    rows = selection.show(shown, [SSNAMENR, *added])
    named = shown.select(list(IDENTITY))
    tables = with_cutouts(query, rows, named, kinds) if kinds else pieces(rows)
    return Rows(tables, is_cut=has_more)


def _check(query: Query, selection: Selection) -> tuple[ImageKind, ...]:
    """Return which images are asked for, or say what cannot be asked together."""
    if (query["withResiduals"] or selection.has(RESIDUALS)) and len(query["n_or_d"]) > 1:
        raise RequestError("You cannot request residuals for a list object names.\n")
    if len(query["n_or_d"]) > MOST_OBJECTS:
        raise RequestError(f"`n_or_d` may have at most {MOST_OBJECTS} names. Ask in several requests.\n")
    kind = next((kind for kind in KINDS if kind.casefold() == query["cutout-kind"].casefold()), None)
    if kind is None:
        raise RequestError(_KINDS_IN_WORDS)
    columns = query["columns"]
    if query["withcutouts"] and columns is not None and not {"i:objectId", "i:candid"} <= set(columns):
        raise RequestError("You need to add 'i:objectId,i:candid' to the columns.\n")
    return tuple(dict.fromkeys([*([kind] if query["withcutouts"] else []), *named_kinds(selection.names)]))


def _identities(query: Query) -> Iterator[Identity]:
    """Give the objects asked for, each once; the historic API takes names as alerts have them."""
    seen: set[tuple[str | None, int | None]] = set()
    for written in query["n_or_d"]:
        name = check_name(written, "n_or_d")
        if query.generation == "historic":
            identity = under_this_name(name.replace(" ", ""))
        else:
            identity = identify(query.archive, query.providers, name)
        if (identity.name, identity.number) not in seen:
            seen.add((identity.name, identity.number))
            yield identity


def _alerts(archive: Archive, identities: dict[int, Identity], most: int) -> Iterator[pa.Table]:
    """Give the latest alerts under each name, no more than so many, and which object each is of."""
    for number, identity in identities.items():
        for name in identity.ssnamenrs:
            # the mark behind the name keeps 91 apart from 915
            found = archive.with_prefix("ssnamenr", f"{part(name)}_".encode(), most, reverse=True)
            if len(found):
                yield found.append_column(_OWNER, pa.array(np.full(len(found), number)))


def _shown(
    query: Query,
    selection: Selection,
    alerts: pa.Table,
    owners: npt.NDArray[np.int64],
    identities: dict[int, Identity],
) -> tuple[pa.Table, list[str]]:
    """Return alerts with what is known of their objects, and the columns that came and are wanted."""
    of_each = [identities[number] for number in owners.tolist()]
    alerts = alerts.append_column(NAME, pa.array([identity.name for identity in of_each], pa.string()))
    alerts = alerts.append_column(NUMBER, pa.array([identity.number for identity in of_each], pa.int64()))
    before, added = set(alerts.column_names), [NAME, NUMBER]
    named = [name for name in (*EPHEMERIS_COLUMNS, REDUCED, RESIDUALS) if selection.has(name)]
    wants_residuals = query["withResiduals"] or RESIDUALS in named
    if query["withEphem"] or wants_residuals or named:
        alerts = with_ephemerides(alerts, owners, identities, query.providers.miriade)
    if wants_residuals:
        alerts = with_residuals(alerts)
    for name in named:
        if name not in alerts.column_names:  # comets have no colours
            alerts = alerts.append_column(name, pa.nulls(len(alerts), pa.float64()))
    if query["withEphem"] or query["withResiduals"]:
        return alerts, [*added, *(name for name in alerts.column_names if name not in before)]
    return alerts, [*added, *named]


ROUTES = (
    Route(
        "sso",
        "Retrieve Solar System object data from the Fink/ZTF datastore",
        answer,
        (
            Argument(
                "n_or_d", "number, name or designation of an object, or several separated by commas", "names",
                required=True, example="8467",
            ),
            Argument("withEphem", "True: also ephemerides by Miriade", "flag", default=False),
            Argument("withResiduals", "True: also residuals of sHG1G2, of one object", "flag", default=False),
            Argument("withcutouts", "True: also one image", "flag", default=False, aliases=("withCutouts",)),
            Argument("cutout-kind", f"which image: {', '.join(KINDS)}", default="Science"),
            COLUMNS,
        ),
        group="Solar System",
        cost=2,
    ),
)  # fmt: skip
