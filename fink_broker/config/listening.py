"""Sockets that listen at configured addresses."""

from __future__ import annotations

import socket

from fink_broker.errors import ServiceError


def listening(host: str, port: int, who: str, section: str, backlog: int = 128) -> socket.socket:
    """Return a socket that listens.

    Parameters
    ----------
    host, port : str, int
        Where.
    who : str
        What listens there, as the sentence about an address that is taken begins.
    section : str
        The section of the configuration that names ``host`` and ``port``.
    backlog : int
        Connections that wait to be taken, at most.

    Raises
    ------
    ServiceError
        If the address is taken or cannot be listened at.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise ServiceError(
            f"{who} cannot listen at {host}:{port}: {error.strerror or error}.",
            f"Stop what uses the port, or choose another with {section}.host and {section}.port.",
        ) from None
    return listener
