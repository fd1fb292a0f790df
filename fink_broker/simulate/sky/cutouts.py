"""The three stamps of an alert: science, template and difference images, 63 × 63 pixels, gzipped FITS."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SIDE = 63
CENTRE = SIDE // 2
Stamp = npt.NDArray[np.float32]

_CARDS = (
    "SIMPLE  =                    T",
    "BITPIX  =                  -32",
    "NAXIS   =                    2",
    f"NAXIS1  =                   {SIDE}",
    f"NAXIS2  =                   {SIDE}",
    "BUNIT   = 'DN      '",
    "END",
)
_BLOCK = 2880
_HEADER = "".join(card.ljust(80) for card in _CARDS).ljust(_BLOCK).encode("ascii")
_PADDING = bytes(-SIDE * SIDE * 4 % _BLOCK)
_PIXELS = np.arange(SIDE, dtype=np.float32)
#: Light of a star: two round Gaussians, the second with the wings of a Moffat profile (share, relative width)
_CORE, _WING = (0.85, 1.0), (0.15, 2.2)


@dataclass(frozen=True)
class Scene:
    """What the stamps show.

    Parameters
    ----------
    counts : float
        Difference flux of the source (DN), negative where it is fainter than in the template.
    seeing : float
        Full width at half maximum of stars (pixels).
    limit_counts : float
        Five times the noise of a point source (DN).
    dx, dy : float
        Source minus centre of the central pixel (pixels).
    template_counts : float
        Flux of the reference source (DN).
    template_dx, template_dy : float
        Its place relative to the centre (pixels).
    template_size : float
        Its scale length (pixels), 0 for a star.
    axis_ratio, angle : float
        Minor over major axis and direction of the major axis (rad) of a galaxy.
    background : float
        Level of the sky (DN).
    defect : str
        Shape of a bogus detection; empty for a real source.
    """

    counts: float
    seeing: float
    limit_counts: float
    dx: float
    dy: float
    template_counts: float
    template_dx: float
    template_dy: float
    template_size: float
    axis_ratio: float
    angle: float
    background: float
    defect: str = ""


def draw_stamps(rng: np.random.Generator, scene: Scene) -> tuple[Stamp, Stamp, Stamp]:
    """Return science, template and difference stamps (DN).

    The noise of a pixel follows from that of a point source: σ_pixel = σ_source / (√(4π) σ_PSF). The template, a mean
    of many exposures, is three times less noisy; the difference has the noise of both.
    """
    width = scene.seeing / 2.3548
    noise = scene.limit_counts / 5.0 / (math.sqrt(4.0 * math.pi) * width)
    grain = rng.standard_normal((2, SIDE, SIDE), dtype=np.float32)
    own = grain[0] * np.float32(0.95 * noise)
    old = grain[1] * np.float32(0.31 * noise)
    star = _star(scene.counts, scene.dx, scene.dy, width)
    source = _defect(rng, scene, width) if scene.defect else star
    still = _still_light(scene, width)
    level = np.float32(scene.background)
    return still + source + own + level, still + old + level, source + own - old


def _still_light(scene: Scene, width: float) -> Stamp:
    """Return the light of the reference source where it falls into the stamp."""
    reach = CENTRE + 6.0 * max(scene.template_size, 1.0)
    if max(abs(scene.template_dx), abs(scene.template_dy)) > reach:
        return np.zeros((SIDE, SIDE), dtype=np.float32)
    if scene.template_size > 0:
        return _galaxy(scene, width)
    return _star(scene.template_counts, scene.template_dx, scene.template_dy, width)


def _star(counts: float, dx: float, dy: float, width: float) -> Stamp:
    """Return the image of a point source; separable, so two one-dimensional profiles per Gaussian are enough."""
    image = np.zeros((SIDE, SIDE), dtype=np.float32)
    for share, relative in (_CORE, _WING):
        variance = (relative * width) ** 2
        along_x = np.exp(-0.5 * (_PIXELS - (CENTRE + dx)) ** 2 / variance)
        along_y = np.exp(-0.5 * (_PIXELS - (CENTRE + dy)) ** 2 / variance)
        peak = counts * share / (2 * math.pi * variance)
        image += np.outer(along_y, np.float32(peak) * along_x)
    return image


def _galaxy(scene: Scene, width: float) -> Stamp:
    """Return an inclined exponential disc, softened in the centre by the seeing."""
    x = (_PIXELS - np.float32(CENTRE + scene.template_dx))[None, :]
    y = (_PIXELS - np.float32(CENTRE + scene.template_dy))[:, None]
    cosine, sine = np.float32(math.cos(scene.angle)), np.float32(math.sin(scene.angle))
    along = x * cosine + y * sine
    across = (y * cosine - x * sine) / np.float32(scene.axis_ratio)
    size = scene.template_size
    light = np.exp(np.sqrt(along * along + across * across + np.float32(width * width)) / np.float32(-size))
    return light * np.float32(scene.template_counts / (2 * math.pi * size * size * scene.axis_ratio))


def _defect(rng: np.random.Generator, scene: Scene, width: float) -> Stamp:
    """Return the shape of a bogus detection: a pair of opposite stars, a track of few pixels, or a streak."""
    if scene.defect == "dipole":
        angle = 2 * math.pi * float(rng.random())
        dx, dy = width * math.cos(angle), width * math.sin(angle)
        bright = _star(2.0 * scene.counts, scene.dx + 0.3 * dx, scene.dy + 0.3 * dy, width)
        return bright - _star(scene.counts, scene.dx - 1.5 * dx, scene.dy - 1.5 * dy, width)
    image = np.zeros((SIDE, SIDE), dtype=np.float32)
    if scene.defect == "cosmic ray":
        length = int(rng.integers(2, 7))
        slope = float(rng.uniform(-1.0, 1.0))
        for step in range(length):
            image[CENTRE + round(slope * step), CENTRE + step] = scene.counts / length
        return image
    image[:, CENTRE - 1 : CENTRE + 1] = scene.counts / 24.0
    image[CENTRE - 3 : CENTRE + 3, CENTRE - 1 : CENTRE + 1] += scene.counts / 16.0
    return image


def fits_gz(stamp: Stamp) -> bytes:
    """Return a stamp as gzipped FITS of one image.

    The header is fixed and the pixels are noise, so runs and letter frequencies (no string matching) compress as well
    as the slowest setting, several times faster.
    """
    packer = zlib.compressobj(1, zlib.DEFLATED, 31, 9, zlib.Z_RLE)
    return packer.compress(_HEADER + stamp.astype(">f4").tobytes() + _PADDING) + packer.flush()
