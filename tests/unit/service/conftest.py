"""Services run in the process of the tests; what other tests have started in it stays alive."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import psutil
import pytest

from fink_broker.service import runner
from fink_broker.service.state import Process, children_of


@pytest.fixture(autouse=True)
def only_own_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a service that ends in this process end only the processes started since the test began."""
    others = {child.pid for child in psutil.Process().children(recursive=True)}

    def own_children(process: psutil.Process) -> list[Process]:
        return [child for child in children_of(process) if child.pid not in others]

    monkeypatch.setattr(runner, "children_of", own_children)


@pytest.fixture
def taken() -> Iterator[int]:
    """Return a loopback port somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]
