"""The services there are. Entry points are named, not imported: `fink show` needs no Spark."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

from fink_broker.config.model import Config
from fink_broker.errors import UsageError

#: ``run(config, stop, say)``: block until done or until ``stop`` is set, tell by ``say`` what is going on.
#: A text that begins with "starting" means that the service is not up yet; any other means that it is.
EntryPoint = Callable[[Config, threading.Event, Callable[[str], None]], None]


@dataclass(frozen=True)
class Argument:
    """An option of ``fink start <service>``: it stands for one configuration key.

    Parameters
    ----------
    flags : tuple of str
        How it may be written; the first is the one the help shows.
    key : str
        The key, as ``section.name``.
    """

    flags: tuple[str, ...]
    key: str


@dataclass(frozen=True)
class Service:
    """A service of the catalogue.

    Parameters
    ----------
    name : str
        What the user types.
    entry : str
        Where its entry point is, as ``module:function``.
    purpose : str
        One line of help.
    arguments : tuple of Argument
        Options of its own, beside those every service has.
    java : tuple of str
        Sets of Java parts it needs; any means that it needs Java.
    kafka : tuple of str
        Names of the `Config` properties that hold the Kafka servers it talks to.
    hbase : bool
        Whether it talks to HBase.
    """

    name: str
    entry: str
    purpose: str
    arguments: tuple[Argument, ...] = ()
    java: tuple[str, ...] = ()
    kafka: tuple[Literal["input_servers", "output_servers", "simulator_servers"], ...] = ()
    hbase: bool = False

    def load(self) -> EntryPoint:
        """Import the entry point."""
        module, function = self.entry.split(":")
        entry: EntryPoint = getattr(import_module(module), function)
        return entry


EXIT_AFTER = Argument(("--exit_after", "-exit_after"), "stream.exit_after")
SURVEY = Argument(("-s", "--survey"), "survey")
COMMON = (EXIT_AFTER, SURVEY)
TOPIC = Argument(("--topic", "-topic"), "kafka.topic")
SPARK = (
    Argument(("--driver-memory", "-driver-memory"), "spark.driver_memory"),
    Argument(("--executor-memory", "-executor-memory"), "spark.executor_memory"),
    Argument(("--trigger", "-trigger"), "stream.trigger_seconds"),
)

SERVICES: dict[str, Service] = {
    service.name: service
    for service in (
        Service(
            "kafka",
            "fink_broker.service.kafka:run",
            "the embedded Kafka, used unless the configuration names other servers",
            (
                Argument(("--port",), "kafka.embedded_port"),
                Argument(("--sasl-port",), "kafka.embedded_sasl_port"),
                Argument(("--heap",), "kafka.embedded_heap_mib"),
            ),
            java=("kafka",),
        ),
        Service(
            "hbase",
            "fink_broker.service.hbase:run",
            "the embedded HBase, used unless the configuration names other servers",
            (
                Argument(("--port",), "hbase.embedded_port"),
                Argument(("--heap",), "hbase.embedded_heap_mib"),
            ),
            java=("hbase",),
        ),
        Service(
            "simulator",
            "fink_broker.simulate:run",
            "send stored alerts, or a synthetic sky, to Kafka",
            (
                Argument(("--topic", "-topic"), "simulator.topic"),
                Argument(("--source",), "simulator.source"),
                Argument(("--rate",), "simulator.rate"),
                Argument(("--pace",), "simulator.pace"),
                Argument(("--speedup",), "simulator.speedup"),
                Argument(("--repeat",), "simulator.repeat"),
                Argument(("--limit",), "simulator.limit"),
                Argument(("--seed",), "simulator.seed"),
            ),
            kafka=("simulator_servers",),
        ),
        Service(
            "checkstream",
            "fink_broker.monitor.checkstream:run",
            "print what flows in a topic; it writes nothing",
            (TOPIC,),
            kafka=("input_servers",),
        ),
        Service(
            "stream2raw",
            "fink_broker.stream.stream2raw:run",
            "decode the alerts of Kafka and keep each once in the raw table",
            (TOPIC, *SPARK),
            java=("spark",),
            kafka=("input_servers",),
        ),
        Service(
            "raw2science",
            "fink_broker.stream.raw2science:run",
            "apply the quality cuts and add the science columns",
            SPARK,
            java=("spark",),
        ),
        Service(
            "distribution",
            "fink_broker.stream.distribution:run",
            "evaluate the filters and send alerts to their topics (options of Spark are accepted and ignored)",
            SPARK,  # scripts pass them to all jobs alike
            kafka=("output_servers",),
        ),
        Service(
            "archive",
            "fink_broker.stream.archive:run",
            "write classified alerts to HBase, where the API finds them",
            (Argument(("--partitions",), "archive.partitions"),),
            hbase=True,
        ),
        Service(
            "notifier",
            "fink_broker.notify:run",
            "post alerts of topics to webhooks (Slack, Telegram, JSON)",
            kafka=("output_servers",),
        ),
        Service(
            "api",
            "fink_broker.portal.service:run",
            "the REST API: alerts by name, position, class, night",
            (
                Argument(("--host",), "api.host"),
                Argument(("--port",), "api.port"),
                Argument(("--generation",), "api.generation"),
            ),
            hbase=True,
        ),
        Service(
            "portal",
            "fink_broker.service.portal:run",
            "the science portal: pages over the REST API for a browser",
            (
                Argument(("--host",), "portal.host"),
                Argument(("--port",), "portal.port"),
                Argument(("--api",), "portal.api_url"),
                Argument(("--processes",), "portal.processes"),
            ),
        ),
        Service(
            "dashboard",
            "fink_broker.service.dashboard:run",
            "the operations dashboard: rates, lag, counts, services, rejected alerts; Prometheus metrics",
            (
                Argument(("--host",), "dashboard.host"),
                Argument(("--port",), "dashboard.port"),
            ),
        ),
        Service(
            "tom",
            "fink_broker.service.tom.service:run",
            "a TOM (TOM Toolkit) that makes targets with light curves of the alerts of some topics",
            (
                Argument(("--host",), "tom.host"),
                Argument(("--port",), "tom.port"),
            ),
            kafka=("output_servers",),
        ),
    )
}

#: names by which scripts know what is done by a service, or a command, of another name
DONE_BY = {
    "distribute": "`fink start distribution`",
    "science_archival": "`fink start archive`",
    "archive_science": "`fink start archive`",
    "index_archival": "`fink start archive`",
    "archive_index": "`fink start archive`",
    "merge": "`fink merge`",
    "merge_and_clean": "`fink merge` and `fink clean`",
    "clean": "`fink clean`",
    "reprocess_night": "`fink reprocess`",
}


def find(name: str) -> Service:
    """Return a service by its name.

    Raises
    ------
    UsageError
        If there is none of that name.
    """
    if name in SERVICES:
        return SERVICES[name]
    if name in DONE_BY:
        raise UsageError(f"There is no service named {name}: its work is done by {DONE_BY[name]}.")
    raise UsageError(f"There is no service named {name}.", f"Available services are: {', '.join(SERVICES)}.")
