"""``fink start``: run a service here, or in the background."""

from __future__ import annotations

import os
import sys

from rich.console import Console

from fink_broker.cli import arguments
from fink_broker.cli.configuration import load
from fink_broker.config.model import Config
from fink_broker.errors import UsageError
from fink_broker.service import catalogue, control, hbase, kafka
from fink_broker.service.catalogue import Service
from fink_broker.service.runner import check_ready, run_service
from fink_broker.service.state import StateStore


def start(words: list[str]) -> int:
    """Carry out ``fink start <words>`` and return the exit code."""
    if not words or words[0] in ("-h", "--help"):
        names = ", ".join(catalogue.SERVICES)
        if not words:
            raise UsageError("fink start needs the name of a service.", f"Available services are: {names}.")
        print("fink start <service> [-h] [-c CONF] [--simulator] [--detach] [--exit_after N] ...\n")
        for service in catalogue.SERVICES.values():
            print(f"  {service.name:<14}{service.purpose}")
        print("\nArguments of a service: fink start <service> -h")
        return 0
    service = catalogue.find(words[0])
    given = arguments.parse(service, words[1:])
    if given.help:
        print(arguments.help_of(service))
        return 0
    loaded = load(given.conf, simulator=given.simulator)
    config = arguments.apply(loaded.config, given.overrides)
    hint_at_servers(service, config)
    console = Console(stderr=True)
    if given.detach:
        return start_in_background(service, config, [word for word in words[1:] if word != "--detach"], console)
    return run_service(
        service,
        config,
        config_path=str(loaded.path),
        command=["fink", "start", *words],
        detached=control.DETACHED in os.environ,
        console=console,
    )


def start_in_background(service: Service, config: Config, words: list[str], console: Console) -> int:
    """Start a service in the background and wait until it has come up or died."""
    store = StateStore(config.storage.state)
    check_ready(service, config, console)  # what is missing is said here, with its progress, not in a log
    process = control.spawn(store, service.name, words)
    with console.status(f"starting {service.name}") as status:
        state = control.wait_until_up(store, service.name, process, on_change=status.update)
    if state is None:
        print(f"{service.name} is still starting (pid {process.pid}); its log is {store.log_path(service.name)}")
    else:
        print(f"{service.name} runs in the background (pid {process.pid}): {state.doing}; its log is {state.log}")
    return 0


def hint_at_servers(service: Service, config: Config) -> None:
    """Say how to start the embedded Kafka or HBase where the service needs it and it does not run."""
    for which in service.kafka:
        servers = getattr(config, which)
        if servers == config.embedded_servers and not kafka.answers(servers, seconds=1.0):
            _hint(service, "Kafka", servers)
            break
    if service.hbase:
        servers = config.hbase_servers
        if servers == hbase.embedded_address(config) and not hbase.answers(servers, seconds=1.0):
            _hint(service, "HBase", servers)


def _hint(service: Service, server: str, address: str) -> None:
    print(
        f"The embedded {server} does not run at {address}: start it with `fink start {server.lower()} --detach`. "
        f"{service.name} waits for it.",
        file=sys.stderr,
    )
