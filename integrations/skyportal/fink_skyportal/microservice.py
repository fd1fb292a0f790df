"""The service beside SkyPortal: inactive without a ``fink:`` block, and patient while SkyPortal starts."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from .config import Settings, TokenMissing
from .connecting import settings_of

RETRY_SECONDS = 10.0

_log = logging.getLogger(__name__)


def awaited_settings(path: Path, stop: threading.Event) -> Settings | None:
    """Return the settings as soon as SkyPortal has written its token.

    Parameters
    ----------
    path : Path
        SkyPortal's config.yaml.
    stop : threading.Event
        Ends waiting.

    Returns
    -------
    Settings or None
        None if there is no ``fink:`` block, or it is to stop.

    Raises
    ------
    ConfigurationError
        If the configuration cannot be used.
    """
    is_said = False
    while not stop.is_set():
        try:
            settings = settings_of(path)
        except TokenMissing as error:
            if not is_said:
                _log.info("Waiting for a token: %s", error)
                is_said = True
            stop.wait(RETRY_SECONDS)
            continue
        if settings is None:
            _log.info("Inactive: %s has no block fink, or an empty one.", path)
        return settings
    return None
