"""Names of solar system objects: from what a user writes to the names under which alerts of the object are filed.

Alerts carry the name or number that the Minor Planet Center gave the object when they were sent (``i:ssnamenr``), so
that one object has alerts under several: ``8467`` and ``Benoitcarry``. The table of names in HBase is asked first, then
SsODNet, and where that is away alerts are looked for under the very name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fink_broker.archive.hbase.keys import part
from fink_broker.archive.hbase.reader import Archive
from fink_broker.portal import records
from fink_broker.portal.providers.away import ServiceAway
from fink_broker.portal.providers.providers import Providers, SmallBody
from fink_broker.portal.providers.quaero import is_comet_name, plain
from fink_broker.portal.route import RequestError

#: Letters of any alphabet, digits, and what stands between them in names and designations.
NAME = re.compile(r"['’]?[^\W_](?:[^\W_]|['’./() -]){0,59}")
#: most names of one object that are looked up
MOST_NAMES = 60

_MARK = "@"


@dataclass(frozen=True)
class Identity:
    """A solar system object that a user asks for.

    Parameters
    ----------
    name : str or None
        Official name or designation.
    number : int or None
        IAU number.
    is_comet : bool
        Whether it is a comet.
    ssnamenrs : tuple of str
        Names its alerts may be filed under.
    """

    name: str | None
    number: int | None
    is_comet: bool
    ssnamenrs: tuple[str, ...]


@dataclass(frozen=True)
class KnownName:
    """A row of the table of names.

    Parameters
    ----------
    ssnamenr : str
        Name in alerts.
    name : str
        Official name.
    number : str
        IAU number, empty if it has none.
    """

    ssnamenr: str
    name: str
    number: str

    @property
    def whole_number(self) -> int | None:
        """The number as such."""
        return _number(self.number)


def check_name(name: str, argument: str) -> str:
    """Return a name without blanks around it if it could be that of a solar system object.

    Raises
    ------
    RequestError
        If it has characters that no such name has.
    """
    name = name.strip()
    if NAME.fullmatch(name) is None:
        raise RequestError(
            f"`{argument}` must be names or numbers of solar system objects: letters, digits, blanks and ' . / ( ) -.\n"
        )
    return name


def key_of(name: str) -> str:
    """Return the beginning of the keys of a name: whatever its case and blanks."""
    return part(plain(name))


def rows_for(known: Iterable[KnownName]) -> Iterator[records.Record]:
    """Give the rows of the table of names: each under its official name, its number, and the name in alerts.

    Keys are ``<name>@<rank>``; several names in alerts of one object have the same name, and ranks from 0.
    """
    ranks: dict[str, int] = {}
    for row in known:
        for key in dict.fromkeys(key_of(name) for name in (row.name, row.number, row.ssnamenr) if name):
            rank = ranks[key] = ranks.get(key, -1) + 1
            fields = {"i:ssnamenr": row.ssnamenr, "i:name": row.name, "i:number": row.number}
            yield f"{key}{_MARK}{rank}", fields


def known_names(archive: Archive, name: str, is_exact: bool) -> Iterator[KnownName]:
    """Give rows of the table of names, each once: of exactly this name, or of all that begin with it."""
    seen: set[KnownName] = set()
    prefix = key_of(name) + (_MARK if is_exact else "")
    for _, fields in records.read(archive, records.SSO, records.starting_with(prefix)):
        row = _known(fields)
        if row not in seen:
            seen.add(row)
            yield row


def identify(archive: Archive, providers: Providers, name: str) -> Identity:
    """Return the object that goes by a name, a number or a designation.

    Raises
    ------
    RequestError
        If there is none, in the words clients compare; or if the table does not know it and SsODNet is away.
    """
    local = list(known_names(archive, name, is_exact=True))
    if local:
        return _from_table(archive, name, local)
    try:
        body = providers.quaero.identify(name)
    except ServiceAway:
        as_it_is = _as_it_is(archive, name)
        if as_it_is is None:
            raise
        return as_it_is
    if body is None:
        raise RequestError(f"{name} is not a valid name or number according to quaero.\n")
    return _from_service(archive, body)


def under_this_name(name: str) -> Identity:
    """Return the object whose alerts carry exactly this name."""
    return Identity(name, _number(name), is_comet_name(name), (name,))


def _from_table(archive: Archive, name: str, local: list[KnownName]) -> Identity:
    wanted = plain(name)
    # a name can be the alert's name of one object and the official one of another; the official one counts more
    first = min(local, key=lambda row: (plain(row.name) != wanted, row.number != name))
    rows = [*local, *known_names(archive, first.name, is_exact=True)]
    names = dict.fromkeys(row.ssnamenr for row in rows if (row.name, row.number) == (first.name, first.number))
    return Identity(first.name, first.whole_number, is_comet_name(first.name), tuple(names)[:MOST_NAMES])


def _from_service(archive: Archive, body: SmallBody) -> Identity:
    rows = known_names(archive, body.name, is_exact=True)
    spoken = [body.name, *([] if body.number is None else [str(body.number)]), *body.aliases]
    names = [*(row.ssnamenr for row in rows), *(re.sub(r"\s", "", name) for name in spoken)]
    return Identity(body.name, body.number, body.is_comet, tuple(dict.fromkeys(names))[:MOST_NAMES])


def _as_it_is(archive: Archive, name: str) -> Identity | None:
    """Return the object under a name that nobody can explain, None if there are no alerts under it."""
    name = re.sub(r"\s", "", name)
    for spelled in dict.fromkeys((name, name.capitalize(), name.upper())):
        if archive.with_prefix("ssnamenr", f"{part(spelled)}_".encode(), 1).num_rows:
            return under_this_name(spelled)
    return None


def _known(fields: dict[str, Any]) -> KnownName:
    return KnownName(*(str(fields.get(name) or "") for name in ("i:ssnamenr", "i:name", "i:number")))


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
