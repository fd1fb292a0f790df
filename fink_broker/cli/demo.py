"""``fink demo``: choose what to replay, and hand over."""

from __future__ import annotations

from rich.console import Console

from fink_broker.cli.configuration import load
from fink_broker.cli.init import init
from fink_broker.config.loader import fink_home
from fink_broker.service.demo import DemoPlan, run_demo
from fink_broker.service.runner import check_free_space
from fink_broker.service.tom.environment import module_folder


def demo(
    source: str, limit: int, rate: float, conf: str | None, *, opens_pages: bool = True, with_tom: bool = False
) -> int:
    """Carry out ``fink demo`` and return the exit code."""
    init(conf)
    config = load(conf, quiet=True).config
    check_free_space(config)
    if with_tom:
        module_folder()  # said before anything is started
    run_demo(config, DemoPlan(source, limit, rate, fink_home() / "datasim", conf, opens_pages, with_tom), Console())
    return 0
