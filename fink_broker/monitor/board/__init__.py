"""The operations board: commit logs, Kafka, services and machine, summed up in one `Snapshot`."""

from fink_broker.monitor.board.board import Board
from fink_broker.monitor.board.snapshot import Snapshot

__all__ = ["Board", "Snapshot"]
