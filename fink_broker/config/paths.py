"""Where parts that belong to the installation are found."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def java_parts_folder(set_name: str) -> Path:
    """Return the folder of a set of Java archives: ``spark`` (connectors) or ``kafka`` (the server).

    They belong to the Python environment they were fetched for; ``FINK_JAVA_PARTS`` names another place.
    """
    root = os.environ.get("FINK_JAVA_PARTS")
    return (Path(root) if root else Path(sys.prefix) / "java") / set_name
