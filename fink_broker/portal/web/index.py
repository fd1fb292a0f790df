"""What ``index:server`` is made of."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa

from fink_broker.portal.web.app import create_portal
from fink_broker.portal.web.settings import portal_config

pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own pool keeps what the largest answers took
_config = portal_config(Path.cwd(), os.environ)
_app = create_portal(_config)
server = _app.server


def main() -> None:
    """Serve for development."""
    _app.run(host=_config.portal.host, port=_config.portal.port)
