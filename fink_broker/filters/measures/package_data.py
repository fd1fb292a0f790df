"""Catalogues that ship with the package fink-filters: found without importing it, checked by digest.

The package is used as data: none of its code runs, and a file that is not the one the topics were verified with is
refused.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from fink_broker.errors import DataError

PACKAGE = "fink_filters"
VERSION = "7.45"

#: Galaxies within 230 Mpc, of the Mangrove catalogue (Ducoin et al. 2020, MNRAS 492, 4768).
GALAXIES = "mangrove_filtered.csv"
MAGNETIC_CVS = "magnetic_cataclysmic_variables.csv"

#: sha256 of each file used, as shipped with fink-filters 7.45.
DIGESTS = {
    GALAXIES: "fa26c8eaf413fd3629bf9c5a04fe418a2d7d7fd24de25c9e731d06fba762cbdd",
    MAGNETIC_CVS: "87c308351338e6198b033b783a16fa191b99d81f8318392cc400b45d08362486",
}


def checked_file(name: str) -> Path:
    """Return the path of a shipped file after checking its content.

    Parameters
    ----------
    name : str
        A key of `DIGESTS`.

    Raises
    ------
    DataError
        If the package is not installed, the file is missing or its content is not the pinned one.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise DataError(
            "The catalogues of fink-filters are not installed.",
            f"Install them with: pip install --no-deps fink-filters=={VERSION}.",
        )
    path = Path(found.submodule_search_locations[0]) / "data" / name
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"The file {path} cannot be read: {error.strerror}.", _REINSTALL) from error
    if digest != DIGESTS[name]:
        raise DataError(f"The file {path} is not the one of fink-filters {VERSION}.", _REINSTALL)
    return path


_REINSTALL = f"Install it again: pip install --force-reinstall --no-deps fink-filters=={VERSION}."
