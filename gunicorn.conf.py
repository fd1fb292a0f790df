"""Read by gunicorn where it is started in this folder: ``gunicorn index:server -b :24000 --workers=4``."""

from fink_broker.portal.web.gunicorn_settings import (
    control_socket_disable,
    graceful_timeout,
    limit_request_line,
    threads,
    timeout,
    worker_class,
)

__all__ = [
    "control_socket_disable",
    "graceful_timeout",
    "limit_request_line",
    "threads",
    "timeout",
    "worker_class",
]
