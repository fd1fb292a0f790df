"""Models and catalogues that ship with the package fink-science: found without importing it, checked by digest.

The package is used as data: none of its code runs, and a file that is not the one these numbers were verified with is
refused.
"""

from __future__ import annotations

import hashlib
import importlib.util
from functools import lru_cache
from pathlib import Path

from fink_broker.errors import DataError

PACKAGE = "fink_science"
VERSION = "7.4.0"

#: Folder of the SuperNNova networks below the data folder.
SNN = "models/snn_models/"

#: sha256 of each file used, as shipped with fink-science 7.4.0.
DIGESTS = {
    "catalogs/gcvs.parquet": "d7ac03d87495261e34c40934cf688c8bcea2d1a2ab9fa497ef0bfb78829a551f",
    "catalogs/vsx.parquet": "5a6db01e7bc2bbadcb82f6c692c2350fdab1b6f3ce4039385efdc98857711b6c",
    "catalogs/3hsp.csv": "e6557f9df75843521c8dc8cab6041446632028a0b68806900a79d98cbe855141",
    "catalogs/table-4LAC-DR3-h.fits": "01ea965408db20baa007894b5710466d66bca6fbc794653710d6840d16381306",
    "catalogs/table-4LAC-DR3-l.fits": "0ba0a50d21f51ceef3adede9d43ab4f7a074aa3d34c5e7e656af1e1ea6931286",
    "catalogs/mangrove_filtered.parquet": "e673dcbfa6ac38a468333094fa36409265c7758502773714eda50c3cc392ae51",
    "catalogs/tns_raw.parquet": "efbc220c7243ee9bfe7eb73714318e2fbe6ceeb6ba60db55c32aadee8f0cf200",
    SNN + "snn_snia_vs_nonia/model.pt": "28daec3d6e9abb825857e625eceef09e1fa20c1767fa1e6aea29b4595f96913b",
    SNN + "snn_snia_vs_nonia/data_norm.json": "4a27700a985c6ff63f0916931bb9036003ce29a0259d96e947f49d20c0b933f7",
    SNN + "snn_sn_vs_all/model.pt": "809d28fa1a0a9267ffe5352bfb944fcbb08223687989a45e3b91067786578daf",
    SNN + "snn_sn_vs_all/data_norm.json": "e8b0d88d810af23df75525c69abbba29e9684d09bff6aedc0d8e13290bfa57cf",
}


@lru_cache(maxsize=1)
def data_folder() -> Path:
    """Return the folder of data inside the installed package.

    Raises
    ------
    DataError
        If the package is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise DataError(
            "The models and catalogues of fink-science are not installed.",
            f"Install them with: pip install --no-deps fink-science=={VERSION}.",
        )
    return Path(found.submodule_search_locations[0]) / "data"


def checked_file(name: str) -> Path:
    """Return the path of a shipped file after checking its content.

    Parameters
    ----------
    name : str
        Path below the package's ``data`` folder; a key of `DIGESTS`.

    Raises
    ------
    DataError
        If the file is missing or its content is not the pinned one.
    """
    path = data_folder() / name
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"The file {path} cannot be read: {error.strerror}.", _REINSTALL) from error
    if digest != DIGESTS[name]:
        raise DataError(f"The file {path} is not the one of fink-science {VERSION}.", _REINSTALL)
    return path


_REINSTALL = f"Install it again: pip install --force-reinstall --no-deps fink-science=={VERSION}."
