"""Photometry: rows as scalars and lists, in magnitudes or fluxes; what is there already is updated in place."""

from __future__ import annotations

from typing import Any

from .checks import Refusal, is_integer, is_number, known_ids, require, required
from .state import Row, State, User

MAX_ROWS = 10_000
FILTERS = frozenset({"ztfg", "ztfr", "ztfi", "lsstu", "lsstg", "lsstr", "lssti", "lsstz", "lssty"})
FLUX, MAGNITUDE = ("flux", "fluxerr", "zp"), ("mag", "magerr", "limiting_mag")
COLUMNS = ("obj_id", "mjd", "instrument_id", "filter", "magsys", "ra", "dec", *FLUX, *MAGNITUDE)


def put_photometry(state: State, user: User, body: Row) -> Any:
    rows = _rows(state, user, body)
    ids = []
    for row in rows:
        number = state.photometry_ids.get(_identity(row))
        if number is None:
            number = state.photometry_ids[_identity(row)] = state.add(state.photometry, row)
        else:
            state.photometry[number].update(row)
        ids.append(number)
    return {"ids": ids, "upload_id": f"upload-{next(state.next_id)}"}


def post_photometry(state: State, user: User, body: Row) -> Any:
    rows = _rows(state, user, body)
    identities = [_identity(row) for row in rows]
    is_new = len(set(identities)) == len(identities) and state.photometry_ids.keys().isdisjoint(identities)
    require(is_new, "The following photometry already exists in the database.")
    return put_photometry(state, user, body)


def _identity(row: Row) -> tuple:
    value = (row["mag"], row["magerr"]) if "limiting_mag" in row else (row["flux"], row["fluxerr"])
    return (row["obj_id"], row["instrument_id"], row["filter"], row["mjd"], *value)


def _rows(state: State, user: User, body: Row) -> list[Row]:
    """Return the rows of a body, all of which must be right."""
    known_ids(body, "stream_ids", state.streams_of(user.id))
    if body.get("group_ids") != "all":
        known_ids(body, "group_ids", state.groups)
    required(body, "obj_id", "mjd", "instrument_id", "filter", "magsys")
    in_flux, in_magnitudes = (any(name in body for name in form) for form in (FLUX, MAGNITUDE))
    require(in_flux != in_magnitudes, "Give either flux, fluxerr, zp or mag, magerr, limiting_mag.")
    form = FLUX if in_flux else MAGNITUDE
    absent = [name for name in form if name not in body]
    require(not absent, f"Missing required field: {', '.join(absent)}")
    columns = {name: body[name] for name in COLUMNS if name in body}
    lengths = {len(column) for column in columns.values() if isinstance(column, list)}
    require(len(lengths) <= 1, f"All lists must have the same length, found {sorted(lengths)}.")
    count = lengths.pop() if lengths else 1
    require(0 < count <= MAX_ROWS, f"{count} rows: at least 1, at most {MAX_ROWS} can be posted at once.")
    spread = {name: column if isinstance(column, list) else [column] * count for name, column in columns.items()}
    rows = [dict(zip(spread, values, strict=True)) for values in zip(*spread.values(), strict=True)]
    for number, row in enumerate(rows):
        try:
            (_check_flux if in_flux else _check_magnitude)(row)
            _check_common(state, row)
        except Refusal as refusal:
            raise Refusal(f"Row {number}: {refusal.message}") from None
    return rows


def _check_common(state: State, row: Row) -> None:
    obj_id, instrument = row["obj_id"], row["instrument_id"]
    require(isinstance(obj_id, str) and obj_id in state.objects, f"obj_id: no object {obj_id!r:.60}")
    require(is_integer(instrument) and instrument in state.instruments, f"instrument_id: unknown: {instrument!r:.60}")
    require(is_number(row["mjd"]), f"mjd: not a number: {row['mjd']!r:.60}")
    require(row["filter"] in FILTERS, f"filter: unknown: {row['filter']!r:.60}")
    require(row["magsys"] in ("ab", "vega"), f"magsys: unknown: {row['magsys']!r:.60}")
    for name in ("ra", "dec"):
        value = row.get(name)
        require(value is None or is_number(value), f"{name}: not a number: {value!r:.60}")


def _check_flux(row: Row) -> None:
    require(row["flux"] is None or is_number(row["flux"]), f"flux: not a number: {row['flux']!r:.60}")
    require(is_number(row["fluxerr"]), f"fluxerr: not a number: {row['fluxerr']!r:.60}")
    require(is_number(row["zp"]), f"zp: not a number: {row['zp']!r:.60}")


def _check_magnitude(row: Row) -> None:
    for name in MAGNITUDE:
        require(row[name] is None or is_number(row[name]), f"{name}: not a number: {row[name]!r:.60}")
    require((row["mag"] is None) == (row["magerr"] is None), "mag and magerr: give both, or null for both")
    require(row["mag"] is not None or row["limiting_mag"] is not None, "limiting_mag: needed where mag is null")
