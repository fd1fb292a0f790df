"""Images of alerts as columns of lists of numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import structlog

from fink_broker.errors import DataError
from fink_broker.portal.cutout_files import Place, places_of, stamps
from fink_broker.portal.images import KINDS, ImageKind, as_lists, column_of, image_of
from fink_broker.portal.route import Argument, Query, RequestError

CUTOUTS = {
    column_of("Science"): "image of the exposure around the alert, rows of pixels",
    column_of("Template"): "image of the reference around the alert, rows of pixels",
    column_of("Difference"): "difference of both around the alert, rows of pixels",
}
CUTOUT_KIND = Argument(
    "cutout-kind",
    "which images: Science, Template, Difference, or several separated by commas; all where absent",
    "names",
)
_log = structlog.get_logger()
#: Alerts whose images are read before they are sent.
_TOGETHER = 16
_PIXELS = pa.list_(pa.list_(pa.float64()))


def cutout_kinds(query: Query) -> tuple[ImageKind, ...]:
    """Return the images a request asks for.

    Raises
    ------
    RequestError
        If one is none of the three.
    """
    asked = query["cutout-kind"]
    if not asked or [name.casefold() for name in asked] == ["all"]:
        return KINDS
    by_name = {kind.casefold(): kind for kind in KINDS}
    if not all(name.casefold() in by_name for name in asked):
        raise RequestError("`cutout-kind` must be `Science`, `Difference`, or `Template`.\n")
    return tuple(dict.fromkeys(by_name[name.casefold()] for name in asked))


def named_kinds(columns: Sequence[str] | None) -> tuple[ImageKind, ...]:
    """Return the images whose columns are asked for by name."""
    return tuple(kind for kind in KINDS if column_of(kind) in (columns or ()))


def with_cutouts(query: Query, alerts: pa.Table, identity: pa.Table, kinds: Sequence[ImageKind]) -> Iterator[pa.Table]:
    """Give alerts with their images, some at a time; null where an alert has none that can be read.

    Parameters
    ----------
    query : Query
        The request.
    alerts : pyarrow.Table
        Rows of the answer.
    identity : pyarrow.Table
        ``i:objectId``, ``i:jd`` and ``i:candid`` of these rows.
    kinds : sequence of str
        Which images; without any the alerts are given as they are.
    """
    if not kinds:
        yield alerts
        return
    for start in range(0, max(len(identity), 1), _TOGETHER):
        part = {name: alerts[name].slice(start, _TOGETHER) for name in alerts.column_names}
        images: dict[ImageKind, list[object]] = {kind: [] for kind in kinds}
        for place in places_of(query.archive, identity.slice(start, _TOGETHER)):
            found = _images(query, place, kinds)
            for kind in kinds:
                images[kind].append(found.get(kind))
        for kind in kinds:
            part[column_of(kind)] = pa.chunked_array([pa.array(images[kind], _PIXELS)])
        yield pa.table(part)


def _images(query: Query, place: Place | None, kinds: Sequence[ImageKind]) -> dict[ImageKind, object]:
    """Return the images of an alert as lists; those that are damaged, or whose file is, are left out and logged."""
    if place is None:
        return {}
    try:
        found = stamps(query.config, place, kinds)
    except DataError as error:  # the answer is of many alerts: one without images does not take the others away
        _log.warning("images cannot be read", candid=place.candid, reason=str(error))
        return {}
    return {kind: _pixels(stamp, place) for kind, stamp in found.items()}


def _pixels(stamp: bytes, place: Place) -> object:
    try:
        return as_lists(image_of(stamp))
    except DataError as error:
        _log.warning("an image cannot be read", candid=place.candid, reason=str(error))
        return None
