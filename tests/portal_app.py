"""An API of some routes of a test's own over an archive of memory."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # starlette would like to have its test client carried by a successor of httpx
    from fastapi.testclient import TestClient

from fink_broker.archive.hbase.memory_store import MemoryStore
from fink_broker.archive.hbase.reader import Archive
from fink_broker.config.model import ApiConfig, Config
from fink_broker.portal.app import create_app
from fink_broker.portal.providers.none import no_providers
from fink_broker.portal.route import Route


def client_of(routes: Sequence[Route] | None = None, archive: Archive | None = None, **api: Any) -> TestClient:
    """Return a client of an API; faults of the program are its 500, not exceptions."""
    config = Config(api=ApiConfig(**api))
    app = create_app(config, archive or Archive(MemoryStore(), "ztf"), no_providers(), routes)
    return TestClient(app, raise_server_exceptions=False)
