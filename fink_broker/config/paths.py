"""Where parts of the installation are found, and how much room their disk has."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def java_parts_folder(set_name: str) -> Path:
    """Return the folder of a set of Java archives: ``spark`` (connectors), ``kafka`` or ``hbase`` (the servers).

    They belong to the Python environment they were fetched for; ``FINK_JAVA_PARTS`` names another place.
    """
    root = os.environ.get("FINK_JAVA_PARTS")
    return (Path(root) if root else Path(sys.prefix) / "java") / set_name


def web_parts_folder() -> Path:
    """Return the folder of what the portal serves to browsers and does not ship: Aladin Lite.

    It belongs to the Python environment it was fetched for; ``FINK_WEB_PARTS`` names another place.
    """
    root = os.environ.get("FINK_WEB_PARTS")
    return Path(root) if root else Path(sys.prefix) / "web"


def free_gib(location: str | Path) -> float | None:
    """Return the free space in GiB of the disk a local folder is, or will be, on; None for a URI."""
    if "://" in str(location):
        return None
    folder = Path(location).absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free / 1024**3


def nearly_full(location: str | Path, warn_gib: float) -> str:
    """Return a sentence if a disk has less free space than it should, empty if it has enough, or for a URI.

    Parameters
    ----------
    location : str or pathlib.Path
        A local folder, there or not yet.
    warn_gib : float
        Free space in GiB below which to warn.
    """
    free = free_gib(location)
    if free is None or free >= warn_gib:
        return ""
    return (
        f"The disk of {location} is nearly full: {free:.1f} GiB are free, less than {warn_gib:g} "
        "(storage.warn_free_gib). `fink merge` and `fink clean` make room."
    )
