"""The portal over an archive of memory that holds something to look at; run directly, it serves it to look around.

    python tests/web_portal.py [--port 24000] [--api URL]

serves the portal at that port, and the API at the next one unless one is named, until it is interrupted.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
from web_sky import web_archive
from werkzeug.serving import make_server

from fink_broker.archive.hbase.reader import Archive
from fink_broker.config import Config
from fink_broker.portal.app import create_app
from fink_broker.portal.providers.none import no_providers
from fink_broker.portal.web.app import create_portal
from fink_broker.service.ports import free_port

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_UP_SECONDS = 30.0


@dataclass(frozen=True)
class ServedPortal:
    """A portal that is up, and the API it asks."""

    config: Config
    url: str
    api_url: str


@contextmanager
def served_portal(archive: Archive | None, folder: Path, port: int = 0, api_url: str = "") -> Iterator[ServedPortal]:
    """Serve the portal and the API in threads of this process.

    Parameters
    ----------
    archive : Archive, optional
        What is shown; without it no API is served.
    folder : Path
        Storage of its images, and states of fits.
    port : int
        Of the portal; the API has the next one. 0: any.
    api_url : str
        The API that is asked where it is not this one.
    """
    portal_port, api_port = (port, port + 1) if port else (free_port(), free_port())
    config = Config.model_validate(
        {
            "storage": {"online": str(folder / "online"), "state": str(folder / "state")},
            "api": {"port": api_port, "resolvers": ["none"], "ssoft_folder": str(folder / "ssoft")},
            "portal": {
                "port": portal_port,
                "photometry_url": "",
                "transfer": "none",
                "aladin": False,
                "api_url": api_url,
            },
        }
    )
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line a request would hide what failed
    portal = make_server("127.0.0.1", portal_port, create_portal(config).server, threaded=True)
    threads = [threading.Thread(target=portal.serve_forever, daemon=True)]
    if archive is not None:
        app = create_app(config, archive, no_providers())
        api = uvicorn.Server(uvicorn.Config(app, port=api_port, log_level="warning", ws="none"))
        threads.append(threading.Thread(target=api.run, daemon=True))
    for thread in threads:
        thread.start()
    served = ServedPortal(config, f"http://127.0.0.1:{portal_port}", api_url or f"http://127.0.0.1:{api_port}")
    try:
        if archive is not None:
            _wait(f"{served.api_url}/health/live")
        _wait(f"{served.url}/health/live")
        yield served
    finally:
        portal.shutdown()
        if archive is not None:
            api.should_exit = True
        for thread in threads:
            thread.join(10)


def _wait(url: str) -> None:
    deadline = time.monotonic() + _UP_SECONDS
    while True:
        try:
            if httpx.get(url, timeout=5).is_success:
                return
        except httpx.HTTPError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(f"{url} does not answer.")
        time.sleep(0.1)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=24000)
    parser.add_argument("--api", default="", help="an API that is up, instead of one of its own")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        archive = None if arguments.api else web_archive(SHARED_DATA, Path(folder) / "online" / "science")
        with served_portal(archive, Path(folder), arguments.port, arguments.api) as served:
            print(f"The portal is at {served.url}, the API at {served.api_url}/api", flush=True)
            try:
                threading.Event().wait()
            except KeyboardInterrupt:
                sys.exit(0)


if __name__ == "__main__":
    main()
