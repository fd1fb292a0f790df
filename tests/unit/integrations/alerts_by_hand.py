"""A small alert, made by hand, that tests change; and real ones."""

import copy
import gzip
import io

import fastavro
import numpy as np
from PIL import Image

DETECTION = {
    "jd": 2460235.8420486, "fid": 2, "candid": 2480342042015010001, "ra": 150.25, "dec": -12.5, "magpsf": 18.5,
    "sigmapsf": 0.05, "diffmaglim": 20.5, "isdiffpos": "t", "drb": 0.9, "classtar": 0.9, "ndethist": 3,
    "jdstarthist": 2460233.8,
}  # fmt: skip
ALERT = {
    "objectId": "ZTF23abcdefg",
    "candid": 2480342042015010001,
    "candidate": DETECTION,
    "prv_candidates": [
        {**DETECTION, "jd": 2460233.8, "fid": 1, "magpsf": 19.0, "isdiffpos": "f", "candid": 2480342042015010000},
        {"jd": 2460232.8, "fid": 1, "magpsf": None, "sigmapsf": None, "diffmaglim": 20.0, "ra": None, "dec": None},
    ],
    "cdsxmatch": "Unknown",
    "roid": 0,
    "mulens": 0.0,
    "rf_snia_vs_nonia": 0.25,
    "snn_snia_vs_nonia": 0.125,
    "snn_sn_vs_all": 0.5,
    "rf_kn_vs_nonkn": 0.75,
    "nalerthist": 2,
    "mangrove": {"HyperLEDA_name": "None", "2MASS_name": "None", "lum_dist": "None", "ang_dist": "None"},
}


def alert(**changes):
    """Return the alert with other values; those of ``candidate`` are named ``candidate__jd``."""
    made = copy.deepcopy(ALERT)
    for name, value in changes.items():
        place, _, field = name.rpartition("__")
        (made[place] if place else made)[field] = value
    return made


def stamp(image, *, bitpix=-32, compress=True) -> bytes:
    """Return an image as the gzipped FITS file of a packet."""
    image = np.asarray(image)
    cards = {"SIMPLE": "T", "BITPIX": bitpix, "NAXIS": 2, "NAXIS1": image.shape[1], "NAXIS2": image.shape[0]}
    header = "".join(f"{name:8}= {value!s:>20}".ljust(80) for name, value in cards.items()) + "END".ljust(80)
    data = image.astype({-32: ">f4", 16: ">i2"}[bitpix]).tobytes()
    content = header.ljust(2880).encode() + data.ljust(-(-len(data) // 2880) * 2880, b"\0")
    return gzip.compress(content) if compress else content


def decoded_png(content: bytes) -> np.ndarray:
    """Return the pixels of a PNG, read by a library."""
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.mode) == ("PNG", "L")
        return np.asarray(image)


def decoded(packets):
    """Return the alerts in packets, the Avro files of the survey."""
    return [next(fastavro.reader(io.BytesIO(packet))) for packet in packets]
