"""``sso``: alerts of known asteroids and comets, under all the names they were sent."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fink_broker.archive.hbase.keys import part
from fink_broker.archive.hbase.reader import Archive
from fink_broker.portal.alert_rows import COLUMNS, Limit, Selection, pieces, united
from fink_broker.portal.cutout_columns import with_cutouts
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
_KINDS_IN_WORDS = "`cutout-kind` must be `Science`, `Difference`, or `Template`.\n"


def answer(query: Query) -> Rows:
    """Return the alerts of objects, the latest first, with ephemerides, residuals and images where asked for."""
    kind = _check(query)
    identities = dict(enumerate(_identities(query)))
    selection, limit = (
        Selection.of(query, also=(NAME, NUMBER, REDUCED, RESIDUALS, *EPHEMERIS_COLUMNS)),
        Limit.of(query, None),
    )
    alerts, owners = _alerts(query.archive, identities, limit.rows + 1)
    if not len(alerts):
        return Rows([pa.table({})])
    has_more = len(alerts) > limit.rows
    latest_first = np.argsort(-alerts["i:jd"].to_numpy(), kind="stable")[: limit.rows]
    alerts, owners = alerts.take(pa.array(latest_first)), owners[latest_first]
    wanted = selection.fetched(SSNAMENR, *IDENTITY, *NEEDED)
    shown, added = _shown(query, completed(query.archive, alerts, wanted), owners, identities)
    rows = selection.show(shown, [SSNAMENR, *added])
    tables = with_cutouts(query, rows, shown.select(list(IDENTITY)), (kind,)) if query["withcutouts"] else pieces(rows)
    return Rows(tables, is_cut=has_more)


def _check(query: Query) -> ImageKind:
    """Return which image is asked for, or say what cannot be asked together."""
    if query["withResiduals"] and len(query["n_or_d"]) > 1:
        raise RequestError("You cannot request residuals for a list object names.\n")
    if len(query["n_or_d"]) > MOST_OBJECTS:
        raise RequestError(f"`n_or_d` may have at most {MOST_OBJECTS} names. Ask in several requests.\n")
    kind = next((kind for kind in KINDS if kind.casefold() == query["cutout-kind"].casefold()), None)
    if kind is None:
        raise RequestError(_KINDS_IN_WORDS)
    columns = query["columns"]
    if query["withcutouts"] and columns is not None and not {"i:objectId", "i:candid"} <= set(columns):
        raise RequestError("You need to add 'i:objectId,i:candid' to the columns.\n")
    return kind


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


def _alerts(archive: Archive, identities: dict[int, Identity], most: int) -> tuple[pa.Table, npt.NDArray[np.int64]]:
    """Return no more than so many alerts of objects, and which object each is of."""
    tables: list[pa.Table] = []
    owners: list[npt.NDArray[np.int64]] = []
    count = 0
    for number, identity in identities.items():
        for name in identity.ssnamenrs:
            # the mark behind the name keeps 91 apart from 915
            found = archive.with_prefix("ssnamenr", f"{part(name)}_".encode(), most - count)
            tables.append(found)
            owners.append(np.full(len(found), number))
            count += len(found)
            if count >= most:
                break
    return united(tables), np.concatenate([owner for owner in owners if len(owner)] or [np.zeros(0, np.int64)])


def _shown(
    query: Query, alerts: pa.Table, owners: npt.NDArray[np.int64], identities: dict[int, Identity]
) -> tuple[pa.Table, list[str]]:
    """Return alerts with what is known of their objects, and the columns that came."""
    before = set(alerts.column_names)
    of_each = [identities[number] for number in owners.tolist()]
    alerts = alerts.append_column(NAME, pa.array([identity.name for identity in of_each], pa.string()))
    alerts = alerts.append_column(NUMBER, pa.array([identity.number for identity in of_each], pa.int64()))
    if query["withEphem"] or query["withResiduals"]:
        alerts = with_ephemerides(alerts, owners, identities, query.providers.miriade)
    if query["withResiduals"]:
        alerts = with_residuals(alerts)
    return alerts, [name for name in alerts.column_names if name not in before]


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
