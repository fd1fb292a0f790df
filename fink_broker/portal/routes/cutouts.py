"""``cutouts``: the images of an alert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fink_broker.errors import DataError
from fink_broker.portal.cutout_files import place_of, stamps
from fink_broker.portal.image_rendering import (
    HIGHEST_PERCENT,
    LOWEST_PERCENT,
    SIGMOID,
    STRETCH_NAMES,
    colormap_of,
    render,
)
from fink_broker.portal.images import KINDS, ImageKind, as_lists, column_of, image_of, unpacked
from fink_broker.portal.route import Answer, Argument, Document, File, Query, RequestError, Route

ALL = "All"
OUTPUT_FORMATS = ("PNG", "FITS", "array")
NOT_FOUND = 404


def answer(query: Query) -> Answer:
    """Return an image of an alert as PNG, as the FITS file of its packet, or as numbers; by default the latest."""
    kinds, output = _kinds(query), _output_format(query)
    if len(kinds) > 1 and output != "array":
        raise RequestError("The option `kind=All` is only compatible with `output-format=array`.\n")
    settings = _settings(query)
    (object_id,) = _one_object(query)
    place = place_of(query.archive, object_id, query["candid"])
    found = stamps(query.config, place, kinds) if place is not None else {}
    if len(found) < len(kinds):
        return _nothing(query, object_id)
    try:
        if output == "array":
            images = {column_of(kind): as_lists(image_of(stamp)) for kind, stamp in found.items()}
            return Document(images if query.generation == "current" else [images])
        name = f"{object_id}_{kinds[0]}"
        if output == "FITS":
            return File(unpacked(found[kinds[0]]), "application/octet-stream", f"{name}.fits")
        return File(render(image_of(found[kinds[0]]), **settings), "image/png", f"{name}.png")
    except DataError as error:  # of the packet: asking again is no use, and another image may be fine
        raise RequestError(f"{error}\n", NOT_FOUND) from error


def _nothing(query: Query, object_id: str) -> Answer:
    if query.generation == "historic":
        return File(b"", "text/html")
    which = "" if query["candid"] is None else f" with candid {query['candid']}"
    raise RequestError(f"There are no images of an alert of {object_id}{which}.\n", NOT_FOUND)


def _kinds(query: Query) -> tuple[ImageKind, ...]:
    return KINDS if query["kind"] == ALL else tuple(kind for kind in KINDS if kind == query["kind"])


def _output_format(query: Query) -> str:
    for output in OUTPUT_FORMATS:
        if query["output-format"].casefold() == output.casefold():
            return output
    raise RequestError("output-format must be one of: PNG, FITS, or array.\n")


def _one_object(query: Query) -> tuple[str, ...]:
    object_ids: tuple[str, ...] = query["objectId"]
    if len(object_ids) != 1:
        raise RequestError("`objectId` must be the name of one object: there is one image in an answer.\n")
    return object_ids


def _settings(query: Query) -> Mapping[str, Any]:
    """Return how the picture is made, as `render` takes it."""
    lowest, highest = query["pmin"], query["pmax"]
    if lowest >= highest:
        raise RequestError("`pmin` must be less than `pmax`.\n")
    colormap = None
    if query["colormap"]:
        colormap = colormap_of(query["colormap"])
        if colormap is None:
            raise RequestError("`colormap` must be the name of a colour map of matplotlib, such as viridis.\n")
    return {
        "stretch": query["stretch"],
        "colormap": colormap,
        "percents": (lowest, highest) if query.given & {"pmin", "pmax"} else None,
        "kernel": query["convolution_kernel"],
    }


ROUTES = (
    Route(
        "cutouts",
        "Retrieve cutout data from the Fink/ZTF datastore",
        answer,
        (
            Argument("objectId", "name of the object", "object_ids", required=True, example="ZTF21aaxtctv"),
            Argument("kind", "which image", "choice", required=True, choices=(*KINDS, ALL), example="Science"),
            Argument("output-format", "PNG, FITS or array (numbers, JSON)", default="PNG", example="PNG"),
            Argument("candid", "identifier of the alert; the latest alert where absent", "integer"),
            Argument(
                "stretch", "from pixels to brightness (PNG)", "choice", default=SIGMOID, choices=STRETCH_NAMES
            ),
            Argument("colormap", "name of a colour map of matplotlib (PNG); grey where absent", longest=40),
            Argument(
                "pmin", "percentile that becomes the darkest, not for the sigmoid", "number", default=LOWEST_PERCENT,
                least=0, most=100,
            ),
            Argument(
                "pmax", "percentile that becomes the brightest, not for the sigmoid", "number",
                default=HIGHEST_PERCENT, least=0, most=100,
            ),
            Argument("convolution_kernel", "what to smooth with (PNG)", "choice", choices=("gauss", "box")),
        ),
        group="Images",
        has_rows=False,
    ),
)  # fmt: skip
