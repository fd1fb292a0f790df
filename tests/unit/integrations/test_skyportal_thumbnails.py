"""Cutouts as thumbnails."""

import base64
import gzip
import math

import numpy as np
import pytest
from fink_skyportal.thumbnails import MAGNIFICATION, BrokenCutout, image_of, thumbnails
from unit.integrations.alerts_by_hand import alert, decoded, decoded_png, stamp


def drawn(image, kind="Science", **how) -> np.ndarray:
    """Return the thumbnail of an image, one pixel for each of the cutout."""
    (made,) = thumbnails(alert(**{f"cutout{kind}": {"stampData": stamp(image, **how)}})).values()
    pixels = decoded_png(base64.b64decode(made))
    small = pixels[::MAGNIFICATION, ::MAGNIFICATION]
    assert (small.repeat(MAGNIFICATION, 0).repeat(MAGNIFICATION, 1) == pixels).all()
    return small


@pytest.fixture
def star() -> np.ndarray:
    """A faint sky with a star in the upper left quarter."""
    image = np.random.default_rng(1).normal(0, 1, (63, 63))
    image[10:13, 20:23] += 100
    return image


def test_the_image_in_a_file():
    image = np.arange(12.0).reshape(3, 4)
    assert (image_of(stamp(image)) == image).all()
    assert (image_of(stamp(image, compress=False)) == image).all()
    assert (image_of(stamp(image, bitpix=16)) == image).all()


def test_the_first_row_of_the_file_is_the_upmost(star):
    pixels = drawn(star)
    assert pixels.shape == (63, 63)
    assert pixels[11, 21] == 255 and np.median(pixels) < 128
    assert pixels[51, 21] < 200 and pixels[11, 41] < 200


def test_no_difference_is_grey_and_a_faded_star_black(star):
    assert drawn(star, "Difference")[11, 21] == 255
    pixels = drawn(-star, "Difference")
    assert pixels[11, 21] == 0 and 115 < np.median(pixels) < 140


def test_each_cutout_has_its_name(star):
    stamps = {f"cutout{kind}": {"stampData": stamp(star)} for kind in ("Science", "Template", "Difference")}
    assert set(thumbnails(alert(**stamps))) == {"new", "ref", "sub"}


@pytest.mark.parametrize("kind", ["Science", "Difference"])
def test_pixels_without_a_value_change_no_other(star, kind):
    full = drawn(star, kind)
    star[40:, :] = math.nan
    star[0, 0] = 3e38
    pixels = drawn(star, kind)
    assert pixels[11, 21] == 255
    assert np.abs(pixels[1:40].astype(int) - full[1:40]).max() < 60
    assert len(np.unique(pixels[40:])) == 1


@pytest.mark.parametrize("kind", ["Science", "Template", "Difference"])
def test_an_image_of_one_value(kind):
    assert len(np.unique(drawn(np.full((63, 63), 7.0), kind))) == 1


def test_a_cutout_from_the_edge_is_filled_up():
    pixels = drawn(np.random.default_rng(1).normal(0, 1, (20, 63)))
    assert pixels.shape == (63, 63)
    assert not pixels[20:].any() and pixels[:20].any()


GOOD = stamp(np.ones((63, 63)))
THREE_AXES = gzip.decompress(GOOD).replace(b"NAXIS   =                    2", b"NAXIS   =                    3")
BROKEN = {
    "no gzip file": b"not an image",
    "cut short": GOOD[:-20],
    "damaged": GOOD[:30] + b"\0" * 10 + GOOD[40:],
    "no FITS file": gzip.compress(b"something else"),
    "no end of the header": gzip.compress(b"SIMPLE  =                    T".ljust(2880)),
    "no pixels": gzip.compress(gzip.decompress(GOOD)[:2880]),
    "without values": stamp(np.full((63, 63), np.nan)),
    "three axes": gzip.compress(THREE_AXES),
    "too large": stamp(np.zeros((200, 200))),
    "far too large": gzip.compress(bytes(9 * 2**20)),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_cutout_is_left_out_and_logged(content, star, caplog):
    made = thumbnails(alert(cutoutScience={"stampData": content}, cutoutTemplate={"stampData": stamp(star)}))
    assert list(made) == ["ref"]
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("cutoutScience of ZTF23abcdefg is left out: ")


@pytest.mark.parametrize("cutout", [None, {}, {"stampData": None}, {"stampData": b""}, {"stampData": "text"}])
def test_a_missing_cutout_is_left_out(cutout, caplog):
    assert thumbnails(alert(cutoutScience=cutout)) == {}
    assert not caplog.records


def test_bytes_that_are_no_image_never_raise_anything_else():
    random = np.random.default_rng(7)
    content = bytearray(gzip.decompress(GOOD))
    for _ in range(300):
        damaged = bytearray(content)
        for place in random.integers(0, 480, 5):
            damaged[place] = random.integers(0, 256)
        try:
            assert image_of(bytes(damaged)).ndim == 2
        except BrokenCutout as error:
            assert str(error)


def test_real_cutouts_have_a_size_skyportal_takes(unpacked):
    for real in decoded(unpacked("ztf_real_packets")[:20]):
        for made in thumbnails(real).values():
            rows, columns = decoded_png(base64.b64decode(made)).shape
            assert 16 <= rows <= 500 and 16 <= columns <= 500
