"""The embedded HBase: real Apache HBase in standalone mode and its Thrift server, reachable from this machine only.

Its data lie in ``<storage.state>/hbase``; an HBase that was killed recovers them at its next start. It consists of two
Java processes, which live and end together.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable

from fink_broker.config.model import Config
from fink_broker.errors import ServiceError
from fink_broker.service.embedded import EmbeddedServer, serve
from fink_broker.service.hbase_settings import JAVA_OPTIONS, write_settings
from fink_broker.service.java import find_java
from fink_broker.service.java_process import JavaProcess, java_command
from fink_broker.service.ports import HOST, any_port_open, require_free

ANSWER_SECONDS = 5.0
MASTER = "org.apache.hadoop.hbase.master.HMaster"
THRIFT = "org.apache.hadoop.hbase.thrift.ThriftServer"
#: what the log says when a part of HBase gives up, for example where the disk is full; its process may stay
GIVING_UP = "***** ABORTING"
#: what it says once all regions of its own tables are open and tables can be made
READY = "Master has completed initialization"


def run(config: Config, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Run the embedded HBase until ``stop`` is set (a service entry point)."""
    server = HBaseServer(config)
    serve(server, f"serving at {server.address}", stop, say)


class HBaseServer(EmbeddedServer):
    """HBase and its Thrift server.

    Parameters
    ----------
    config : Config
        Ports, heaps, and the folder of its data.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._folder = config.storage.state / "hbase"
        self._ready = False
        logs = config.storage.state / "logs"
        self.master = JavaProcess("HBase", logs / "hbase-server.log")
        self.thrift = JavaProcess("The Thrift server of HBase", logs / "hbase-thrift.log")
        super().__init__("HBase", self.master, self.thrift)

    @property
    def address(self) -> str:
        """``host:port`` of the Thrift server."""
        return embedded_address(self._config)

    def start(self) -> None:
        """Start both processes; HBase is not up yet when this returns."""
        java = find_java()
        check_ports(self._config)
        settings = write_settings(self._config, self._folder)
        # ZooKeeper holds only who is alive, and what it tells of processes that were killed would be waited for
        shutil.rmtree(self._folder / "zookeeper", ignore_errors=True)
        heaps = self._config.hbase
        for process, heap_mib, main in (
            (self.master, heaps.embedded_heap_mib, MASTER),
            (self.thrift, heaps.embedded_thrift_heap_mib, THRIFT),
        ):
            process.begin_log()
            process.start([*java_command(java, "hbase", heap_mib, JAVA_OPTIONS, settings), main, "start"])

    def check(self) -> None:
        """Raise ServiceError if a part of HBase has ended by itself, or given up."""
        super().check()
        for line in self.master.new_lines():
            if GIVING_UP in line:
                raise ServiceError("HBase has given up.", f"Its log {self.master.log} says: {line[:300]}")
            self._ready = self._ready or READY in line

    def is_up(self) -> bool:
        """Tell whether HBase answers, and its tables can be used."""
        # the Thrift server keeps what it learns of a master that is not ready, and is slow for a while
        return self._ready and answers(self.address, ANSWER_SECONDS)


def embedded_address(config: Config) -> str:
    """Return ``host:port`` of the Thrift server of the embedded HBase."""
    return f"{HOST}:{config.hbase.embedded_port}"


def answers(servers: str, seconds: float = 2.0) -> bool:
    """Tell whether one of the Thrift servers answers within some seconds, and the HBase behind it is set up.

    Parameters
    ----------
    servers : str
        ``host:port`` list.
    seconds : float
        How long each may take.
    """
    return any(_reads(server.strip(), seconds) for server in servers.split(",") if any_port_open(server, seconds))


def _reads(server: str, seconds: float) -> bool:
    """Read something that is there only once the master has set up its tables, and their regions are open."""
    from happybase import Connection  # noqa: PLC0415 - a third of a second
    from thriftpy2.thrift import TException  # noqa: PLC0415

    host, _, port = server.rpartition(":")
    connection = Connection(host, int(port), timeout=round(1000 * seconds), autoconnect=False)
    try:
        connection.open()
        return bool(connection.table("hbase:namespace").row(b"default"))
    except (TException, OSError):
        return False
    finally:
        connection.close()


def check_ports(config: Config) -> None:
    """Raise ServiceError unless the embedded HBase can listen at its ports.

    Parameters
    ----------
    config : Config
        With ``hbase.embedded_port`` and ``hbase.embedded_zookeeper_port``.
    """
    thrift, zookeeper = config.hbase.embedded_port, config.hbase.embedded_zookeeper_port
    if thrift == zookeeper:
        raise ServiceError(
            f"hbase.embedded_port and hbase.embedded_zookeeper_port are both {thrift}.", "Give two different ports."
        )
    require_free(thrift, "at which the embedded HBase answers", "hbase.embedded_port in the configuration, or --port")
    require_free(
        zookeeper,
        "at which parts of the embedded HBase find one another",
        "hbase.embedded_zookeeper_port in the configuration",
    )
