"""The argument ``columns``: which columns a client wants."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

from fink_broker.portal.route import RequestError


def check_columns(
    columns: Sequence[str] | None, known: Collection[str], computed: Collection[str] = ()
) -> tuple[str, ...] | None:
    """Return the columns asked for, each once, or say which are not known.

    Parameters
    ----------
    columns : sequence of str, optional
        Published names; None for all.
    known : collection of str
        Columns that are stored.
    computed : collection of str
        Columns the route computes beside them.

    Raises
    ------
    RequestError
        If a column is not known; names that are spelled like it are offered.
    """
    if columns is None:
        return None
    allowed = {*known, *computed}
    for name in columns:
        if name not in allowed:
            near = difflib.get_close_matches(name[:100], sorted(allowed), n=3, cutoff=0.6)
            hint = f" Did you mean {' or '.join(f'`{each}`' for each in near)}?" if near else ""
            raise RequestError(f"There is no column `{name[:100]}` here.{hint} The route `schema` lists all columns.\n")
    return tuple(dict.fromkeys(columns))
