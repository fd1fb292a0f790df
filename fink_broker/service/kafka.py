"""The embedded Kafka: real Apache Kafka, one process in KRaft mode, reachable from this machine only.

Its data lie in ``<storage.state>/kafka``; a Kafka that was killed recovers them at its next start. It listens at two
ports: one for everybody on this machine, one for users with a password (see `fink_broker.service.kafka_settings`).
"""

from __future__ import annotations

import errno
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from fink_broker.config.model import Config
from fink_broker.errors import ServiceError
from fink_broker.service import java_parts
from fink_broker.service.child import die_with_parent
from fink_broker.service.java import find_java
from fink_broker.service.kafka_settings import HOST, server_properties
from fink_broker.service.logs import rotate

UP_SECONDS = 120.0
STOP_SECONDS = 30.0
TROUBLE = re.compile(r"ERROR|FATAL|Exception|Error:|OutOfMemory|No space")
STACK_LINE = re.compile(r"\s+at |\s*\.\.\. \d+ more")
#: a cluster of one needs no name of its own; a fixed one makes formatting repeatable
CLUSTER_ID = "ZmluazAwMDAwMDAwMDAwMA"


def run(config: Config, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Run the embedded Kafka until ``stop`` is set (a service entry point).

    Raises
    ------
    JavaMissing
        If there is no Java 17.
    ServiceError
        If a port is taken, or Kafka ends by itself.
    """
    server = KafkaServer(config)
    say("starting Kafka")
    server.start()
    try:
        server.wait_until_up(stop)
        if not stop.is_set():
            say(f"serving at {config.embedded_servers}{_second_address(config)}")
        while not stop.wait(0.5):
            server.check()
    finally:
        if server.running:
            say("closing Kafka")
        server.terminate()


class KafkaServer:
    """One Kafka process.

    Parameters
    ----------
    config : Config
        Ports, heap, retention, and the folder of its data.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._heap_mib = config.kafka.embedded_heap_mib
        self._folder = config.storage.state / "kafka"
        self._data = self._folder / "data"
        self._log = config.storage.state / "logs" / "kafka-server.log"
        self._log_start = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def servers(self) -> str:
        """``host:port`` for clients without a password."""
        return f"{HOST}:{self._config.kafka.embedded_port}"

    @property
    def sasl_servers(self) -> str:
        """``host:port`` for clients with a user and a password; empty if there is none."""
        port = self._config.kafka.embedded_sasl_port
        return f"{HOST}:{port}" if port else ""

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Process id of the Java machine."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Format the storage if it is new, and start the process; it is not up yet when this returns."""
        java = find_java()
        check_ports(self._config)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        rotate(self._log)
        settings = self._folder / "server.properties"
        settings.write_text(server_properties(self._config, controller_port=free_port()))
        with self._log.open("ab") as log:
            self._log_start = log.tell()
            if not (self._data / "meta.properties").is_file():
                self._format(java, settings, log)
            self._process = subprocess.Popen(
                [*self._java(java, self._heap_mib), "kafka.Kafka", str(settings)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the launcher, which then closes Kafka in order
                preexec_fn=die_with_parent,  # noqa: PLW1509 - no other way to tie a child's life to ours
            )

    def check(self) -> None:
        """Raise ServiceError if Kafka has ended by itself."""
        if self._process is not None and (code := self._process.poll()) is not None:
            how = f"was killed by signal {-code}" if code < 0 else f"ended by itself with exit code {code}"
            raise ServiceError(f"Kafka {how}.", self._trouble())

    def wait_until_up(self, stop: threading.Event) -> None:
        """Wait until Kafka answers, or ``stop`` is set."""
        deadline = time.monotonic() + UP_SECONDS
        while not answers(self.servers):
            if stop.wait(0.1):
                return
            self.check()
            if time.monotonic() > deadline:
                raise ServiceError(f"Kafka did not answer within {UP_SECONDS:.0f} s.", f"See its log {self._log}.")

    def terminate(self) -> None:
        """Close Kafka in order; kill it if it takes longer than 30 s."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _format(self, java: Path, settings: Path, log: IO[bytes]) -> None:
        command = ["kafka.tools.StorageTool", "format", "--ignore-formatted"]
        command += ["--cluster-id", CLUSTER_ID, "--config", str(settings)]
        done = subprocess.run(self._java(java, 128) + command, stdout=log, stderr=log, check=False)
        if done.returncode:
            raise ServiceError(f"Kafka could not set up {self._data}.", self._trouble())

    def _trouble(self) -> str:
        """Say where the log is, and the last thing in it that looks like trouble."""
        with self._log.open(errors="replace") as log:
            log.seek(self._log_start)
            told = [line.strip() for line in log if TROUBLE.search(line) and not STACK_LINE.match(line)]
        return f"Its log {self._log} says: {told[-1][:300]}" if told else f"Its log is {self._log}."

    def _java(self, java: Path, heap_mib: int) -> list[str]:
        return [
            str(java),
            f"-Xmx{heap_mib}m",
            "-Xms64m",
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=20",
            "-XX:TieredStopAtLevel=1",  # up sooner, and no second compiler beside the jobs
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.awt.headless=true",
            "-Djava.net.preferIPv4Stack=true",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
            "-cp",
            java_parts.classpath("kafka"),
        ]


def answers(servers: str, seconds: float = 2.0) -> bool:
    """Tell whether a Kafka answers at ``servers`` within some seconds."""
    if not any_port_open(servers, seconds):
        return False  # librdkafka would retry until the time-out where a look at the port suffices
    from confluent_kafka import KafkaException  # noqa: PLC0415 - loads a C library
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415

    client = AdminClient({"bootstrap.servers": servers, "log_level": 0, "error_cb": lambda _error: None})
    try:
        return bool(client.list_topics(timeout=seconds).brokers)
    except KafkaException:
        return False


def any_port_open(servers: str, seconds: float) -> bool:
    """Tell whether anybody listens at one of the ``host:port`` of a comma-separated list within some seconds."""
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=seconds):
                return True
        except (OSError, ValueError):
            continue
    return False


def check_ports(config: Config) -> None:
    """Raise ServiceError unless the embedded Kafka can listen at its ports.

    Parameters
    ----------
    config : Config
        With ``kafka.embedded_port`` and ``kafka.embedded_sasl_port``.
    """
    plain, sasl = config.kafka.embedded_port, config.kafka.embedded_sasl_port
    if plain == sasl:
        raise ServiceError(
            f"kafka.embedded_port and kafka.embedded_sasl_port are both {plain}.",
            "Give two different ports, or set kafka.embedded_sasl_port to 0 if nobody needs a password.",
        )
    _check_port(plain, "which the embedded Kafka needs", "kafka.embedded_port in the configuration, or --port")
    if sasl:
        _check_port(
            sasl,
            "at which the embedded Kafka asks for a password",
            "kafka.embedded_sasl_port in the configuration (0: none), or --sasl-port",
        )


def _check_port(port: int, purpose: str, where_to_change: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            why = "is taken by another program" if error.errno == errno.EADDRINUSE else f"cannot be used: {error}"
            raise ServiceError(
                f"Port {port}, {purpose}, {why}.", f"End that program, or give another port: {where_to_change}."
            ) from error


def _second_address(config: Config) -> str:
    port = config.kafka.embedded_sasl_port
    return f", with a user and a password at localhost:{port}" if port else ""


def free_port() -> int:
    """Return a loopback port nobody listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
