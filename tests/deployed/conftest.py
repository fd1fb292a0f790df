"""A server that runs already, and what it holds."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from fink_broker.portal.client import Client


@pytest.fixture(scope="session")
def url(pytestconfig: pytest.Config) -> str:
    """Where the server is; nothing is tried where none answers."""
    url: str = pytestconfig.getoption("--url").rstrip("/")
    try:
        httpx.get(f"{url}/api/v1/classes", timeout=60)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        pytest.exit(f"Nothing answers at {url}: {error}. Give an address as http://127.0.0.1:32000.", returncode=1)
    return url


@pytest.fixture(scope="session")
def server(url: str) -> Iterator[Client]:
    """A client of the server."""
    with warnings.catch_warnings(), Client(url) as client:
        warnings.simplefilter("ignore")  # an answer may be cut: the server's limits are its operator's
        yield client


@pytest.fixture(scope="session")
def http(url: str) -> Iterator[httpx.Client]:
    """Its routes without our client."""
    with httpx.Client(base_url=f"{url}/api/v1/", timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def alert(server: Client) -> dict[str, Any]:
    """The latest alert of the first class that has one."""
    lists: dict[str, Any] = dict(server.classes())
    classes = lists.get("classnames", lists)  # the older generation has them one floor down
    for label in ("Unknown", *(name for names in classes.values() for name in names)):
        found = server.rows("latests", **{"class": label}, n=1)
        if not found.empty:
            return {str(name): value for name, value in found.iloc[0].items()}
    pytest.skip("the server holds no alerts: there is nothing to ask for")
