"""The filters in force: the broker's own and those of users, as their file and their switches are now."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from types import TracebackType

import pyarrow as pa

from fink_broker.config import Config
from fink_broker.filters.engine import Engine
from fink_broker.filters.filter import Filter
from fink_broker.filters.judgement import Judgement
from fink_broker.filters.registry import find_filters
from fink_broker.filters.topics_file import TopicsFile
from fink_broker.filters.users.runner import IMPORT_SECONDS
from fink_broker.filters.users.switches import Switches

log = logging.getLogger(__name__)

#: between two looks at the topics file
LOOK_SECONDS = 1.0
#: that imports of users' functions may take together when the topics file has changed: the filters of before go on
RELOAD_SECONDS = 30.0


class FilterSet:
    """Judges alerts by the filters in force.

    A context: users' functions run in a process that ends with it.

    Parameters
    ----------
    config : Config
        The configuration in force.

    Raises
    ------
    ConfigError
        If ``distribution.topics`` names a filter that does not exist.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._own = find_filters(config.distribution.topics, config)
        self._file = TopicsFile(Path(config.filters.file))
        self._switches = Switches.of(config)
        self._engine: Engine | None = None
        self._coming: Engine | None = None
        self._looked = time.monotonic()

    @property
    def all(self) -> list[Filter]:
        """All filters in force, also those that are switched off."""
        return list(self._ready.filters)

    def __enter__(self) -> FilterSet:
        self._engine = self._new_engine(IMPORT_SECONDS)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        for engine in (self._engine, self._coming):
            if engine is not None:
                engine.close()
        self._engine = self._coming = None

    def refresh(self) -> bool:
        """Look, at most once a second, whether the topics file has changed; return whether other filters are in force.

        Those of before stay in force until users' functions are loaded: an import may take its time.
        """
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return False
        self._looked = now
        if self._file.changed() or (self._coming is None and self._ready.outdated):
            if self._coming is not None:
                self._coming.close()
            self._coming = self._new_engine(RELOAD_SECONDS)
        if self._coming is None or not self._coming.ready:
            return False
        self._ready.close()
        self._engine, self._coming = self._coming, None
        log.info("filters read again: %s of users", len(self._file.filters))
        return True

    def begin(self, alerts: pa.Table) -> Judgement:
        """Hold alerts against all filters that are on; verdicts of users' functions come later."""
        return self._ready.begin(alerts)

    @property
    def _ready(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("filters are in force only within their context")
        return self._engine

    def _new_engine(self, import_seconds: float) -> Engine:
        settings = self._config.filters
        filters = [*self._own, *self._file.filters]
        return Engine(
            filters, self._switches, settings.function_seconds, settings.failures, import_seconds=import_seconds
        )
