"""Load the configuration for a command, and tell the user which."""

from __future__ import annotations

import sys
from pathlib import Path

from fink_broker.config import LoadedConfig, load_config


def load(conf: str | None, *, simulator: bool = False, quiet: bool = False) -> LoadedConfig:
    """Load the configuration file a command was given, or the default one.

    Parameters
    ----------
    conf : str or None
        What ``-c`` named.
    simulator : bool
        Whether to read what the simulator writes.
    quiet : bool
        Whether to keep silent about where it comes from.
    """
    loaded = load_config(Path(conf) if conf else None, simulator=simulator)
    if not quiet:
        kind = "custom Fink configuration file" if conf else "default Fink conf"
        print(f"Reading {kind} from {loaded.path}", flush=True)
        for notice in loaded.notices:
            print(notice, file=sys.stderr)
    return loaded
