"""``fink filter on`` and ``fink filter off``."""

from __future__ import annotations

from fink_broker.cli.configuration import load
from fink_broker.cli.filter_lookup import topic_named
from fink_broker.filters.users.switches import Switches


def switch(conf: str | None, name: str, *, on: bool, reason: str = "") -> int:
    """Switch a topic on or off; return the exit code."""
    config = load(conf, quiet=True).config
    switches = Switches.of(config)
    if on:
        if switches.switch_on(name):
            print(f"{name} is switched on.")
            return 0
        topic_named(name, config)
        print(f"{name} was on already.")
        return 0
    switches.switch_off(topic_named(name, config), "hand", reason or "switched off by hand")
    print(f"{name} is switched off. `fink filter on {name}` switches it on again.")
    return 0
