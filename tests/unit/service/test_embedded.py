"""How long an embedded server is waited for; shells stand for Java."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fink_broker.errors import ServiceError
from fink_broker.service import embedded
from fink_broker.service.embedded import EmbeddedServer, serve
from fink_broker.service.java_process import JavaProcess


class Shell(EmbeddedServer):
    """A server that is up once its script has made a file."""

    def __init__(self, folder: Path, script: str) -> None:
        self.process = JavaProcess("Server", folder / "server.log")
        super().__init__("Server", self.process)
        self._script, self._up = f"cd {folder}; {script}", folder / "up"

    def start(self) -> None:
        self.process.begin_log()
        self.process.start(["sh", "-c", self._script])

    def is_up(self) -> bool:
        return self._up.exists()


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Shell]]:
    """Return a function that starts a server; silence of a second is too long, 0.3 s are unusual."""
    monkeypatch.setattr(embedded, "SILENT_SECONDS", 1.0)
    monkeypatch.setattr(embedded, "USUAL_SECONDS", 0.3)
    made: list[Shell] = []

    def make(script: str) -> Shell:
        made.append(Shell(tmp_path, script))
        return made[-1]

    yield make
    for server in made:
        server.terminate()


def test_a_recovery_takes_its_time_as_long_as_the_log_grows(shell: Callable[[str], Shell]) -> None:
    server = shell("for n in $(seq 1 20); do echo replaying $n; sleep 0.1; done; touch up; exec sleep 60")
    stop, said = threading.Event(), []

    def say(text: str) -> None:
        said.append(text)
        if text == "serving":
            stop.set()

    started = time.monotonic()
    serve(server, "serving", stop, say)
    assert time.monotonic() - started > 1.5
    assert list(dict.fromkeys(said)) == [
        "starting Server", "starting: Server is recovering", "serving", "closing Server",
    ]  # fmt: skip
    assert not server.running


def test_a_server_that_says_nothing_more_is_given_up(shell: Callable[[str], Shell]) -> None:
    server = shell("echo hello; exec sleep 60")
    server.start()
    with pytest.raises(ServiceError, match=r"neither answered nor written to its log for 1 s\. See .*server\.log\."):
        server.wait_until_up(threading.Event())


def test_a_server_that_ends_while_it_is_waited_for_says_why(shell: Callable[[str], Shell]) -> None:
    server = shell("echo 'ERROR: no room'; exit 3")
    with pytest.raises(ServiceError, match=r"exit code 3\. .*says: ERROR: no room"):
        serve(server, "serving", threading.Event(), lambda _text: None)
