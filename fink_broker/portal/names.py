"""Names of objects in requests."""

from __future__ import annotations

from collections.abc import Iterable

from fink_broker.archive.hbase.keys import WHOLE_NAME
from fink_broker.portal.route import Argument

OBJECT_IDS = Argument(
    "objectId",
    "name of an object, or several separated by commas; one of fewer than 12 characters stands for all that begin so",
    "object_ids",
    required=True,
    example="ZTF21abfmbix",
    longest=200_000,
)


def distinct(names: Iterable[str]) -> list[str]:
    """Return names without those that another one of them stands for, in their order."""
    wanted = list(dict.fromkeys(names))
    beginnings = {name for name in wanted if len(name) < WHOLE_NAME}
    lengths = sorted({len(name) for name in beginnings})
    return [name for name in wanted if not any(name[:length] in beginnings for length in lengths if length < len(name))]
