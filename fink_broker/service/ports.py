"""Ports of the loopback: which are free, and where somebody listens."""

from __future__ import annotations

import errno
import socket

from fink_broker.errors import ServiceError

HOST = "127.0.0.1"


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


def require_free(port: int, purpose: str, where_to_change: str) -> None:
    """Raise ServiceError unless a server of ours can listen at a loopback port.

    Parameters
    ----------
    port : int
        The port.
    purpose : str
        What it is for, as it follows "Port 9092, ".
    where_to_change : str
        How another port is given.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            why = "is taken by another program" if error.errno == errno.EADDRINUSE else f"cannot be used: {error}"
            raise ServiceError(
                f"Port {port}, {purpose}, {why}.", f"End that program, or give another port: {where_to_change}."
            ) from error


def free_port() -> int:
    """Return a loopback port nobody listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
