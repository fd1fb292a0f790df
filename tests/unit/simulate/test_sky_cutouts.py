"""Cutouts of synthetic alerts: real FITS, the source in the centre, the flux the packet says."""

from __future__ import annotations

import gzip
import io
import warnings

import numpy as np
import pytest
from astropy.io import fits

from fink_broker.simulate.sky import synthetic_packets
from fink_broker.simulate.sky.cutouts import SIDE, Scene, draw_stamps, fits_gz


def opened(packet: dict, kind: str) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(io.BytesIO(gzip.decompress(packet[f"cutout{kind}"]["stampData"]))) as hdus:
            hdus.verify("exception")
            assert hdus[0].header["BITPIX"] == -32
            return np.array(hdus[0].data, dtype=float)


def test_stamps_open_and_hold_the_flux_in_the_centre() -> None:
    ratios = []
    for packet in synthetic_packets(60, 3, weights={"asteroid": 1, "RR Lyrae": 1, "SN Ia": 1}):
        c = packet["candidate"]
        science, template, difference = (opened(packet, k) for k in ("Science", "Template", "Difference"))
        assert science.shape == template.shape == difference.shape == (63, 63)
        assert all(np.isfinite(image).all() for image in (science, template, difference))
        sign = 1.0 if c["isdiffpos"] == "t" else -1.0
        if c["sigmapsf"] < 0.08:
            y, x = np.unravel_index(np.argmax(sign * difference), difference.shape)
            assert max(abs(x - 31), abs(y - 31)) <= 1
            counts = 10 ** (0.4 * (c["magzpsci"] - c["magpsf"]))
            ratios.append(sign * difference[22:41, 22:41].sum() / counts)
    assert len(ratios) > 15
    assert np.median(ratios) == pytest.approx(1.0, abs=0.1)


def test_difference_is_science_minus_template() -> None:
    for packet in synthetic_packets(12, 8):
        science, template, difference = (opened(packet, k) for k in ("Science", "Template", "Difference"))
        scale = np.abs(science).max()
        assert np.abs(science - template - difference).max() < 1e-4 * scale


def test_sizes_are_those_of_real_packets() -> None:
    packets = list(synthetic_packets(40, 2))
    science = [len(p["cutoutScience"]["stampData"]) for p in packets]
    difference = [len(p["cutoutDifference"]["stampData"]) for p in packets]
    assert 12000 < np.median(science) < 14000
    assert 14000 < np.median(difference) < 15500
    assert len(gzip.decompress(packets[0]["cutoutScience"]["stampData"])) == 20160


def test_noise_gives_the_limiting_magnitude() -> None:
    scene = Scene(0.0, 2.2, 200.0, 0.0, 0.0, 0.0, 90.0, 90.0, 0.0, 1.0, 0.0, 100.0)
    rng = np.random.default_rng(0)
    difference = draw_stamps(rng, scene)[2]
    width = 2.2 / 2.3548
    assert np.std(difference) * np.sqrt(4 * np.pi) * width * 5 == pytest.approx(200.0, rel=0.05)


def test_stamp_survives_compression() -> None:
    image = np.random.default_rng(0).standard_normal((SIDE, SIDE)).astype(np.float32)
    with fits.open(io.BytesIO(gzip.decompress(fits_gz(image)))) as hdus:
        assert np.array_equal(hdus[0].data, image)
