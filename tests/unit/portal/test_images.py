"""Images of alerts: read from FITS as astropy reads them, and rendered as PNG files that Pillow reads back."""

from __future__ import annotations

import contextlib
import gzip
import io
import time
import zlib
from collections.abc import Callable

import fastavro
import matplotlib as mpl
import numpy as np
import pytest
from astropy.convolution import Gaussian2DKernel, convolve
from astropy.io import fits
from astropy.visualization import AsinhStretch, LogStretch, PowerStretch, SqrtStretch
from PIL import Image

from fink_broker.errors import DataError
from fink_broker.portal import image_rendering as rendering
from fink_broker.portal.images import MOST_BYTES, as_lists, image_of, unpacked


def fits_of(pixels: np.ndarray, **cards: object) -> bytes:
    file = io.BytesIO()
    hdu = fits.PrimaryHDU(pixels)
    hdu.header.update(cards)
    hdu.writeto(file)
    return gzip.compress(file.getvalue())


@pytest.fixture(scope="module")
def source() -> np.ndarray:
    """A source of 1000 on noise of 10, in the middle, and a pixel without a value."""
    y, x = np.mgrid[:63, :63]
    noise = np.random.default_rng(1).normal(100.0, 10.0, (63, 63))
    pixels = noise + 1000.0 * np.exp(-((x - 31) ** 2 + (y - 31) ** 2) / 8.0)
    pixels[3, 4] = np.nan
    return pixels.astype(np.float32)


def opened(png: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(png))
    picture.load()
    return picture


def test_images_of_real_alerts_are_read_as_by_astropy(unpacked: Callable[..., list[bytes]]) -> None:
    stamps = []
    for packet in unpacked("ztf_real_packets", "ztf_public_20231018")[:40]:
        for record in fastavro.reader(io.BytesIO(packet)):
            stamps += [record[f"cutout{kind}"]["stampData"] for kind in ("Science", "Template", "Difference")]
    assert len(stamps) > 60
    for stamp in stamps:
        expected = fits.getdata(io.BytesIO(gzip.decompress(stamp)), ignore_missing_simple=True)
        np.testing.assert_array_equal(image_of(stamp), expected.astype(np.float32))


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.int64, np.uint16, np.float32, np.float64])
def test_all_types_of_pixels_are_read(kind: type) -> None:
    pixels = np.arange(12).reshape(3, 4).astype(kind)
    np.testing.assert_array_equal(image_of(fits_of(pixels)), pixels.astype(np.float32))


def test_scales_and_blanks_count() -> None:
    file = bytearray(gzip.decompress(fits_of(np.array([[1, 2], [3, -9]], np.int16))))
    end = file.index(b"END" + b" " * 77)
    cards = b"".join(card.ljust(80).encode() for card in ("BSCALE  =  2.5", "BZERO   =  1.0", "BLANK   =  -9", "END"))
    file[end : end + len(cards)] = cards
    np.testing.assert_array_equal(image_of(bytes(file)), [[3.5, 6.0], [8.5, np.nan]])


def damaged_files() -> dict[str, bytes]:
    good = fits_of(np.zeros((63, 63), np.float32))
    plain = gzip.decompress(good)
    cube = fits_of(np.zeros((2, 3, 4), np.float32))
    return {
        "empty": b"",
        "no FITS": gzip.compress(b"hello" * 1000),
        "cut off": good[: len(good) // 2],
        "packed wrongly": good[:12] + b"\x00" * 40 + good[52:],
        "data missing": gzip.compress(plain[:5760]),
        "header without end": gzip.compress(plain[:2800].replace(b"END", b"XXX")),
        "header alone without end": gzip.compress(plain[:2880].replace(b"END", b"XXX")),
        "cube": cube,
        "no BITPIX": gzip.compress(plain.replace(b"BITPIX", b"BITPOX")),
        "odd BITPIX": gzip.compress(plain.replace(b"-32 /", b"-33 /", 1)),
        "huge sides": gzip.compress(plain.replace(b"63", b"63000000", 1).replace(b"63 ", b"63000000", 1)),
        "negative sides": gzip.compress(plain.replace(b"  63", b" -63")),
        "bomb": gzip.compress(b"SIMPLE" + b" " * (MOST_BYTES + 5000)),
        "bomb unpacked": b"SIMPLE" + b" " * (MOST_BYTES + 5000),
        "no scale": gzip.compress(plain.replace(b"EXTEND  =                    T", b"BSCALE  =                    x")),
    }


@pytest.mark.parametrize("name", damaged_files())
def test_damaged_files_are_refused_with_a_sentence(name: str) -> None:
    start = time.monotonic()
    with pytest.raises(DataError, match=r"An image of the alert cannot be read: .*\."):
        image_of(damaged_files()[name])
    assert time.monotonic() - start < 1.0


@pytest.mark.parametrize("seed", range(30))
def test_no_bytes_raise_anything_else(seed: int) -> None:
    random = np.random.default_rng(seed)
    plain = bytearray(gzip.decompress(fits_of(np.ones((63, 63), np.float32))))
    for place in random.integers(0, 400, 20):
        plain[place] = random.integers(0, 256)
    with contextlib.suppress(DataError):
        assert image_of(bytes(plain)).ndim == 2


def test_unpacked_is_the_file() -> None:
    packed = fits_of(np.zeros((4, 4), np.float32))
    assert unpacked(packed) == gzip.decompress(packed) == unpacked(gzip.decompress(packed))


def test_lists_have_null_where_there_is_no_value_and_no_spurious_digits(source: np.ndarray) -> None:
    rows = as_lists(source)
    assert rows[3][4] is None
    assert np.float32(rows[0][0]) == source[0, 0]
    assert len(repr(rows[0][0])) <= 10
    assert as_lists(np.ones((2, 2), np.float32)) == [[1.0, 1.0], [1.0, 1.0]]


def test_default_is_a_grey_sigmoid(source: np.ndarray) -> None:
    picture = opened(rendering.render(source))
    assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (63, 63))
    filled = np.nan_to_num(source.astype(np.float64))
    expected = 1 / (1 + np.exp(-(filled - filled.mean()) / filled.std()))
    np.testing.assert_array_equal(np.asarray(picture), np.rint(expected * 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("stretch", "curve"),
    [
        ("linear", lambda x: x),
        ("sqrt", SqrtStretch()),
        ("power", PowerStretch(2)),
        ("log", LogStretch(1000)),
        ("asinh", AsinhStretch(0.1)),
    ],
)
def test_stretches_are_astropys_between_the_levels(
    source: np.ndarray, stretch: str, curve: Callable[[np.ndarray], np.ndarray]
) -> None:
    filled = np.nan_to_num(source.astype(np.float64))
    low = filled.min() + 0.2 * np.median(np.abs(filled - np.median(filled)))
    expected = curve(np.clip((filled - low) / (filled[31, 31] - low), 0, 1))
    shown = np.asarray(opened(rendering.render(source, stretch))).astype(int)
    assert np.abs(shown - expected * 255).max() <= 0.51
    assert shown[31, 31] == 255


def test_percentiles_count_where_they_are_given_but_not_for_the_sigmoid(source: np.ndarray) -> None:
    assert rendering.render(source, percents=(10.0, 60.0)) == rendering.render(source)
    narrow = np.asarray(opened(rendering.render(source, "linear", percents=(10.0, 60.0))))
    assert narrow.tobytes() != np.asarray(opened(rendering.render(source, "linear"))).tobytes()
    assert np.mean(narrow == 255) == pytest.approx(0.4, abs=0.01)
    assert np.mean(narrow == 0) == pytest.approx(0.1, abs=0.01)


def test_gaussian_kernel_is_astropys(source: np.ndarray) -> None:
    filled = np.nan_to_num(source.astype(np.float64))
    expected = convolve(filled, Gaussian2DKernel(1), boundary="fill")
    np.testing.assert_allclose(rendering.smoothed(filled, "gauss"), expected, atol=1e-9)
    assert rendering.render(source, kernel="gauss") != rendering.render(source)
    assert rendering.render(source, kernel="box") == rendering.render(source)  # a box of one pixel changes nothing


@pytest.mark.parametrize("name", ["viridis", "Greys", "tab10", "twilight", "jet"])
def test_colour_maps_are_matplotlibs(source: np.ndarray, name: str) -> None:
    picture = opened(rendering.render(source, colormap=name))
    assert (picture.mode, picture.size) == ("RGB", (63, 63))
    levels = np.asarray(opened(rendering.render(source)))
    expected = mpl.colormaps[name](levels / 255)[..., :3] * 255
    assert np.abs(np.asarray(picture).astype(int) - expected).max() <= 0.51


def test_all_colour_maps_of_matplotlib_are_there_and_their_reverses() -> None:
    assert set(rendering.colormaps()) >= set(mpl.colormaps)
    np.testing.assert_array_equal(rendering.colormaps()["magma_r"][0], rendering.colormaps()["magma"][255])
    assert rendering.colormap_of("greys") == "Greys"
    assert rendering.colormap_of("__class__") is None


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((63, 63), np.float32),
        np.full((63, 63), np.nan, np.float32),
        np.full((63, 63), np.inf, np.float32),
        -np.eye(63, dtype=np.float32) * 1e30,
        np.ones((57, 63), np.float32),
        np.ones((1, 1), np.float32),
    ],
    ids=["flat", "no value", "infinite", "hole", "edge of the detector", "one pixel"],
)
@pytest.mark.parametrize("stretch", rendering.STRETCH_NAMES)
@pytest.mark.filterwarnings("error")
def test_odd_images_become_pictures_too(pixels: np.ndarray, stretch: str) -> None:
    picture = opened(rendering.render(pixels, stretch, "viridis", (0.5, 99.5) if stretch == "log" else None, "gauss"))
    assert picture.size == (63, 63)


def test_a_picture_is_made_in_milliseconds(source: np.ndarray) -> None:
    packed = fits_of(source)
    rendering.render(image_of(packed), "log", "viridis", (1.0, 99.0), "gauss")
    start = time.perf_counter()
    for _ in range(20):
        rendering.render(image_of(packed), "log", "viridis", (1.0, 99.0), "gauss")
    assert (time.perf_counter() - start) / 20 < 0.015


def test_png_is_what_the_standard_says() -> None:
    file = rendering.png(np.array([[0, 255], [7, 8]], np.uint8))
    assert file[:8] == b"\x89PNG\r\n\x1a\n"
    start = file.index(b"IDAT") + 4
    assert zlib.decompress(file[start : start + int.from_bytes(file[start - 8 : start - 4])]) == bytes(
        [0, 0, 255, 0, 7, 8]
    )
