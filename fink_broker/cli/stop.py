"""``fink stop``: let services finish what they have begun, and end them."""

from __future__ import annotations

import sys

from rich.console import Console

from fink_broker.cli.configuration import load
from fink_broker.config import Config
from fink_broker.errors import ServiceError
from fink_broker.service import catalogue, control
from fink_broker.service.state import StateStore


def stop(name: str, conf: str | None) -> int:
    """Stop one service, or all; return 0 if all ended by themselves and without a fault.

    Raises
    ------
    UsageError
        If there is no service of that name.
    ServiceError
        If one had to be killed, or its last batch failed.
    """
    if name != "all":
        catalogue.find(name)
    config = load(conf, quiet=True).config
    store = StateStore(config.storage.state)
    states = [state for state in control.known(store) if name in ("all", state.name)]
    running = [state for state in states if state.running]
    for state in states:
        if state.died and not state.running:
            print(f"{state.name} had died: {state.why}", file=sys.stderr)
            control.end_processes(state.children)
            store.forget(state.name)
            _forget_sample(config, state.name)
    if not running:
        print("No fink service to stop" if name == "all" else f"No fink {name} service to stop")
        return 0
    ended: list[control.Stopped] = []
    for group in control.in_stop_order(running):
        for state in group:
            print(f"Stopping {state.name}...", flush=True)
        ended += _drain(store, group, config.stream.stop_grace_seconds)
    if killed := [done.name for done in ended if done.killed]:
        raise ServiceError(
            f"{', '.join(killed)} did not drain within {config.stream.stop_grace_seconds:g} s and had to be killed.",
            "What was unfinished is done again at the next start.",
        )
    if failed := [done.name for done in ended if done.exit_code]:
        raise ServiceError(
            f"{', '.join(failed)} ended with an error.",
            f"See `fink logs {failed[0]}`; what was unfinished is done again at the next start.",
        )
    return 0


def _forget_sample(config: Config, name: str) -> None:
    from fink_broker.metrics.reading import forget_sample  # noqa: PLC0415  (it loads Arrow, which others are spared)

    forget_sample(config, name)


def _drain(store: StateStore, group: list[control.ServiceState], grace_seconds: float) -> list[control.Stopped]:
    console = Console(stderr=True)

    def tell(done: control.Stopped) -> None:
        console.print(f"{done.name} ended after {done.seconds:.1f} s", highlight=False)

    if not console.is_terminal:
        return control.stop_together(store, group, grace_seconds, tell)
    with console.status(f"waiting up to {grace_seconds:g} s for running batches"):
        return control.stop_together(store, group, grace_seconds, tell)
