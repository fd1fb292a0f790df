"""From the configuration to what posts alerts, and to what reads them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from .alerts.reader import AlertReader
from .api import SkyPortal
from .config import ConfigurationError, Settings, load
from .pace import Pace
from .poster import Options, Poster
from .premises import Wanted, prepare, wait_until_ready

_log = logging.getLogger(__name__)


def settings_of(path: Path) -> Settings | None:
    """Read the configuration, and log what its writer should know; None if it has no alerts for SkyPortal.

    Raises
    ------
    ConfigurationError
        If it cannot be used.
    """
    loaded = load(path)
    for notice in loaded.notices:
        _log.warning("%s", notice)
    return loaded.settings


def reader_of(settings: Settings, stop: threading.Event, group: str = "") -> AlertReader:
    """Return what reads the topics, as a member of the configured group or another.

    Raises
    ------
    ReaderError
        If a setting cannot be used.
    """
    password = settings.password.get_secret_value() if settings.password else None
    return AlertReader(
        settings.servers,
        group or settings.group_id,
        settings.topics,
        settings.username,
        password,
        stop=stop,
        say=_log.info,
    )


def api_of(settings: Settings, stop: threading.Event, say: Callable[[str], None] = _log.info) -> SkyPortal:
    """Return the SkyPortal of a configuration."""
    pace = Pace(None if settings.whitelisted else settings.requests_per_second)
    return SkyPortal(settings.skyportal_url, settings.skyportal_token.get_secret_value(), pace, stop, say)


def wanted_of(settings: Settings) -> Wanted:
    """Return what SkyPortal must have before alerts are posted."""
    if settings.generation == "microservice":
        return Wanted.microservice(settings.topics, settings.group)
    return Wanted.stand_alone(settings.topics, settings.group)


class Posting:
    """Opens what posts alerts; again, if SkyPortal refuses the token and the configuration has another by then.

    Parameters
    ----------
    path : Path
        The configuration.
    settings : Settings
        What it says.
    stop : threading.Event
        Ends waiting.
    """

    def __init__(self, path: Path, settings: Settings, stop: threading.Event) -> None:
        self._path, self._settings, self._stop = path, settings, stop

    def opened(self) -> Poster:
        """Return what posts alerts, when SkyPortal is up and has all that posts need.

        Raises
        ------
        SkyPortalError
            If that cannot be, or it is to stop before.
        """
        settings = self._settings
        api = api_of(settings, self._stop)
        if settings.generation == "microservice":
            wait_until_ready(api)
        premises = prepare(api, wanted_of(settings))
        _log.info("Alerts of %s go to SkyPortal at %s", ", ".join(settings.topics), api.shown_url)
        options = Options(settings.save_sources, settings.connections, settings.author)
        return Poster(api, premises, options, self._stop)

    def renewed(self) -> Poster | None:
        """Return what posts alerts with the token the configuration has now; None if it is the same.

        Raises
        ------
        SkyPortalError
            As `opened`.
        """
        try:
            settings = settings_of(self._path)
        except ConfigurationError as error:
            _log.warning("%s", error)
            return None
        if settings is None or settings.skyportal_token == self._settings.skyportal_token:
            return None
        self._settings = self._settings.model_copy(update={"skyportal_token": settings.skyportal_token})
        return self.opened()
