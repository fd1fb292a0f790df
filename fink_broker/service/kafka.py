"""The embedded Kafka: real Apache Kafka, one process in KRaft mode, reachable from this machine only.

Its data lie in ``<storage.state>/kafka``; a Kafka that was killed recovers them at its next start. It listens at two
ports: one for everybody on this machine, one for users with a password (see `fink_broker.service.kafka_settings`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from fink_broker.config.model import Config
from fink_broker.errors import ServiceError
from fink_broker.service.embedded import EmbeddedServer, serve
from fink_broker.service.java import find_java
from fink_broker.service.java_process import JavaProcess, java_command
from fink_broker.service.kafka_settings import server_properties
from fink_broker.service.ports import HOST, any_port_open, free_port, require_free

JAVA_OPTIONS = (
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.log.LogManager=info",  # what it recovers
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
)
#: a cluster of one needs no name of its own; a fixed one makes formatting repeatable
CLUSTER_ID = "ZmluazAwMDAwMDAwMDAwMA"


def run(config: Config, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Run the embedded Kafka until ``stop`` is set (a service entry point)."""
    serve(KafkaServer(config), f"serving at {config.embedded_servers}{_second_address(config)}", stop, say)


class KafkaServer(EmbeddedServer):
    """One Kafka process.

    Parameters
    ----------
    config : Config
        Ports, heap, retention, and the folder of its data.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._folder = config.storage.state / "kafka"
        self._data = self._folder / "data"
        self._process = JavaProcess("Kafka", config.storage.state / "logs" / "kafka-server.log")
        super().__init__("Kafka", self._process)

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
    def pid(self) -> int | None:
        """Process id of the Java machine."""
        return self._process.pid

    def start(self) -> None:
        """Format the storage if it is new, and start the process; it is not up yet when this returns."""
        java = find_java()
        check_ports(self._config)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process.begin_log()
        settings = self._folder / "server.properties"
        settings.write_text(server_properties(self._config, controller_port=free_port()))
        if not (self._data / "meta.properties").is_file():
            self._format(java, settings)
        heap_mib = self._config.kafka.embedded_heap_mib
        self._process.start([*java_command(java, "kafka", heap_mib, JAVA_OPTIONS), "kafka.Kafka", str(settings)])

    def is_up(self) -> bool:
        """Tell whether Kafka answers."""
        return answers(self.servers)

    def _format(self, java: Path, settings: Path) -> None:
        command = ["kafka.tools.StorageTool", "format", "--ignore-formatted"]
        command += ["--cluster-id", CLUSTER_ID, "--config", str(settings)]
        if not self._process.run_once(java_command(java, "kafka", 128, JAVA_OPTIONS) + command):
            raise ServiceError(f"Kafka could not set up {self._data}.", self._process.trouble())


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
    require_free(plain, "which the embedded Kafka needs", "kafka.embedded_port in the configuration, or --port")
    if sasl:
        require_free(
            sasl,
            "at which the embedded Kafka asks for a password",
            "kafka.embedded_sasl_port in the configuration (0: none), or --sasl-port",
        )


def _second_address(config: Config) -> str:
    port = config.kafka.embedded_sasl_port
    return f", with a user and a password at localhost:{port}" if port else ""
