"""Images of alerts as PNG files: smoothed, stretched between two levels, coloured, written."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

import numpy as np
import numpy.typing as npt

from fink_broker.portal.images import Image

Kernel = Literal["gauss", "box"]
Floats = npt.NDArray[np.float64]

#: pixels on a side of an image of a packet; those at the edge of a detector have fewer
SIDE = 63
#: width of the kernels in pixels: standard deviation of the Gaussian, side of the box
KERNEL_WIDTH = 1
#: levels between which an image is stretched, if only one is given, in percent of the pixels
LOWEST_PERCENT, HIGHEST_PERCENT = 0.5, 99.5
#: share of the scatter by which the lower level lies above the faintest pixel
LIFT = 0.2

#: From [0, 1] to [0, 1], defined as astropy's stretches of these names with their default parameters.
STRETCHES: Mapping[str, Callable[[Floats], Floats]] = {
    "linear": lambda x: x,
    "sqrt": np.sqrt,
    "power": np.square,
    "log": lambda x: np.log1p(1000.0 * x) / np.log(1001.0),
    "asinh": lambda x: np.arcsinh(x / 0.1) / np.arcsinh(10.0),
}
SIGMOID = "sigmoid"
STRETCH_NAMES = (SIGMOID, *STRETCHES)


def render(
    image: Image,
    stretch: str = SIGMOID,
    colormap: str | None = None,
    percents: tuple[float, float] | None = None,
    kernel: Kernel | None = None,
) -> bytes:
    """Return an image as a PNG file of at least 63 × 63 pixels.

    Parameters
    ----------
    image : numpy.ndarray
        Pixels, shape (rows, columns); those without a value count as 0.
    stretch : str
        One of `STRETCH_NAMES`.
    colormap : str, optional
        One of `colormap_names`; without, it is grey.
    percents : tuple of float, optional
        Percentiles of the pixels that become the darkest and the brightest; without, the brightest is the central
        pixel. The sigmoid has no use for them.
    kernel : {"gauss", "box"}, optional
        What to smooth with.
    """
    pixels = _squared(np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0))
    if kernel is not None:
        pixels = smoothed(pixels, kernel)
    shades = sigmoid(pixels) if stretch == SIGMOID else _stretched(pixels, stretch, percents)
    levels = np.rint(shades * 255.0).astype(np.uint8)
    return png(levels if colormap is None else colormaps()[colormap][levels])


def smoothed(pixels: Floats, kernel: Kernel) -> Floats:
    """Return an image smoothed by a kernel of `KERNEL_WIDTH`; beyond its edges there is nothing (0)."""
    if kernel == "box":  # of a width of one pixel: the mean of a pixel is the pixel
        return pixels
    reach = 4 * KERNEL_WIDTH
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / KERNEL_WIDTH) ** 2)
    weights /= weights.sum()
    padded = np.pad(pixels, reach)
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(weights), axis=0)
    along = windows @ weights
    across: Floats = np.lib.stride_tricks.sliding_window_view(along, len(weights), axis=1) @ weights
    return across


def sigmoid(pixels: Floats) -> Floats:
    """Return the logistic function of pixels whose mean and standard deviation were made 0 and 1."""
    spread = pixels.std()
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-(pixels - pixels.mean()) / (spread if spread > 0 else 1.0)))


def levels_of(pixels: Floats, percents: tuple[float, float] | None) -> tuple[float, float]:
    """Return the values that become the darkest and the brightest.

    With percentiles these are they. Else the brightest is the central pixel, where the source is, and the darkest lies
    0.2 median absolute deviations above the faintest.
    """
    if percents is not None:
        darkest, brightest = np.percentile(pixels, percents)
    else:
        rows, columns = pixels.shape
        brightest = pixels[rows // 2, columns // 2]
        darkest = pixels.min() + LIFT * np.median(np.abs(pixels - np.median(pixels)))
    if brightest > darkest:
        return float(darkest), float(brightest)
    # a source that faded is a hole in the difference image: then all there is is shown
    return float(pixels.min()), float(pixels.max())


def _stretched(pixels: Floats, stretch: str, percents: tuple[float, float] | None) -> Floats:
    darkest, brightest = levels_of(pixels, percents)
    if brightest <= darkest:
        return np.zeros_like(pixels)
    return STRETCHES[stretch](np.clip((pixels - darkest) / (brightest - darkest), 0.0, 1.0))


def _squared(pixels: Floats) -> Floats:
    """Return an image with both sides of 63 pixels or more, filled up with 0 at its ends."""
    rows, columns = pixels.shape
    return np.pad(pixels, ((0, max(0, SIDE - rows)), (0, max(0, SIDE - columns))))


@cache
def colormaps() -> Mapping[str, npt.NDArray[np.uint8]]:
    """Return colour maps by name: red, green and blue of 256 shades, those of matplotlib and their reverses."""
    with files("fink_broker.portal").joinpath("colormaps.npz").open("rb") as file, np.load(file) as stored:
        maps = {str(name): table for name, table in zip(stored["names"], stored["tables"], strict=True)}
    return {**maps, **{f"{name}_r": table[::-1] for name, table in maps.items()}}


def colormap_of(name: str) -> str | None:
    """Return the name of a colour map as matplotlib spells it, None if there is none."""
    if name in colormaps():
        return name
    return next((known for known in sorted(colormaps()) if known.casefold() == name.casefold()), None)


def png(levels: npt.NDArray[np.uint8]) -> bytes:
    """Return a PNG file (RFC 2083).

    Parameters
    ----------
    levels : numpy.ndarray of uint8
        Shape (rows, columns): grey. Shape (rows, columns, 3): red, green, blue.
    """
    rows, columns = levels.shape[:2]
    colour_type = 0 if levels.ndim == 2 else 2
    head = struct.pack(">IIBBBBB", columns, rows, 8, colour_type, 0, 0, 0)
    lines = np.hstack([np.zeros((rows, 1), np.uint8), levels.reshape(rows, -1)])  # each line says: not filtered
    body = zlib.compress(lines.tobytes(), 6)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
