"""Connections over HTTP/1.1, kept alive, and cut on request."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Callable

MAX_BODY_BYTES = 64 * 2**20
MAX_HEADERS = 100

#: method, target, token, body -> status, headers, body of the answer
Answer = Callable[[str, str, str | None, bytes], tuple[int, dict[str, str], bytes]]


class Cut(Exception):
    """The connection is to be cut."""


class Listening(socketserver.ThreadingTCPServer):
    """A port listened at, and the connections that came in."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Answer, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.answer, self.connections = answer, set[socket.socket]()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        self.shutdown()
        self.socket.close()
        self._thread.join()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Connection(socketserver.StreamRequestHandler):
    """One connection, kept alive as HTTP/1.1 says."""

    disable_nagle_algorithm = True
    server: Listening

    def handle(self) -> None:
        self.server.connections.add(self.connection)
        try:
            while self._serve_one():
                pass
        except Cut:
            # closing with nothing left to wait for sends a reset, as a server that dies does
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        except (OSError, ValueError):
            pass
        finally:
            self.server.connections.discard(self.connection)

    def _serve_one(self) -> bool:
        """Answer one request; return whether another may follow."""
        line = self.rfile.readline(65537)
        if not line:
            return False
        method, target, _ = line.decode("latin-1").split()
        headers = self._headers()
        length = int(headers.get("content-length", 0))
        if length > MAX_BODY_BYTES or "transfer-encoding" in headers:
            raise ValueError
        body = self.rfile.read(length)
        if len(body) < length:
            return False
        kind, _, token = headers.get("authorization", "").partition(" ")
        status, more, content = self.server.answer(method, target, token if kind == "token" else None, body)
        lines = [f"HTTP/1.1 {status} Answer", "Content-Type: application/json", f"Content-Length: {len(content)}"]
        lines += [f"{name}: {value}" for name, value in more.items()]
        self.connection.sendall("\r\n".join([*lines, "", ""]).encode() + content)
        return headers.get("connection", "").lower() != "close"

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for _ in range(MAX_HEADERS):
            line = self.rfile.readline(65537).decode("latin-1").strip()
            if not line:
                return headers
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        raise ValueError
