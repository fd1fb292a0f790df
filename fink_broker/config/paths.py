"""Where parts of the installation are found, and how much room their disk has."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def java_parts_folder(set_name: str) -> Path:
    """Return the folder of a set of Java archives: ``spark`` (connectors) or ``kafka`` (the server).

    They belong to the Python environment they were fetched for; ``FINK_JAVA_PARTS`` names another place.
    """
    root = os.environ.get("FINK_JAVA_PARTS")
    return (Path(root) if root else Path(sys.prefix) / "java") / set_name


def free_gib(location: str | Path) -> float | None:
    """Return the free space in GiB of the disk a local folder is, or will be, on; None for a URI."""
    if "://" in str(location):
        return None
    folder = Path(location).absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free / 1024**3
