"""How far the jobs that take in a table have got: what they have not taken must stay as it is."""

from __future__ import annotations

from fink_broker.archive.commits import COMMITS
from fink_broker.archive.layout import Layout
from fink_broker.archive.table import AlertTable

#: Tables in whose commits it stands what was taken in of another one; the optional ones count once they are there.
FOLLOWERS = {"raw": ("science",), "science": ("topics",), "topics": ()}
OPTIONAL_FOLLOWERS = {"science": ("archived",)}


def taken(source: AlertTable, follower: AlertTable) -> int:
    """Return the number below which commits of a table have been taken in by the job that fills another."""
    for commit in follower.log.newest_first():
        if commit.inputs:
            numbers = (source.log.number_of(name) for name in commit.inputs)
            return max((number + 1 for number in numbers if number is not None), default=0)
    return 0


def settled(layout: Layout, name: str) -> tuple[int, str]:
    """Return the number below which all later jobs have taken in the commits of a table, and which is the last to.

    Parameters
    ----------
    layout : Layout
        Where the tables are.
    name : str
        ``raw``, ``science`` or ``topics``.

    Returns
    -------
    tuple of int and str
        The number, and the table of the job that has got least far; empty if nobody takes in that table.
    """
    source = AlertTable(layout.table(name))
    followers = {follower: AlertTable(layout.table(follower)) for follower in FOLLOWERS[name]}
    for follower in OPTIONAL_FOLLOWERS.get(name, ()):
        table = AlertTable(layout.table(follower))
        if table.storage.exists(COMMITS):
            followers[follower] = table
    if not followers:
        return source.log.end(), ""
    places = {follower: taken(source, table) for follower, table in followers.items()}
    last = min(places, key=places.__getitem__)
    return places[last], last
