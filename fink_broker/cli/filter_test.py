"""``fink filter test``: a rule on the alerts of a night, before anybody lives on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from fink_broker.cli.configuration import load
from fink_broker.cli.filter_activate import account, add_topic, check_new
from fink_broker.cli.filter_lookup import rule_meant
from fink_broker.cli.filter_source import FileAlerts, NightAlerts, alerts_of_files, alerts_of_night
from fink_broker.cli.light_curve_plot import draw
from fink_broker.config import Config
from fink_broker.errors import ConfigError, UsageError
from fink_broker.filters.engine import Engine
from fink_broker.filters.filter import Filter
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.users.arguments import raw_column
from fink_broker.filters.users.functions import UserFunction
from fink_broker.filters.verdict import Verdict

#: What the drawing of an alert needs.
DRAWN = ("jd", "fid", "magpsf", "diffmaglim")
CURRENT = [f"candidate.{name}" for name in DRAWN]
HISTORY = [f"prv_candidates.{name}" for name in DRAWN]
#: Fewer alerts than this say little of the share that passes.
FEW_ALERTS = 100
_BAR = 40
_NOTHING = "Nothing was activated."


@dataclass(frozen=True)
class Wanted:
    """What ``fink filter test`` was asked for."""

    rule: str
    night: str = ""
    source: Path | None = None
    examples: int = 2
    limit: int = 0
    activate: str = ""
    owner: str = ""
    description: str = ""
    force: bool = False


@dataclass
class Tally:
    """What a rule said so far."""

    seen: int = 0
    passed: int = 0
    failed: int = 0
    seconds: float = 0.0
    error: str = ""
    hours: Counter[int] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Share of the alerts that pass."""
        return self.passed / self.seen if self.seen else 0.0

    def add(self, alerts: pa.Table, verdict: Verdict, most_examples: int) -> None:
        """Add a batch."""
        self.seen += len(alerts)
        self.passed += int(verdict.passed.sum())
        self.failed += int(verdict.failed.sum())
        self.seconds += verdict.seconds
        self.error = verdict.error or self.error
        rows = np.flatnonzero(verdict.passed)
        jd = raw_column(alerts, "candidate.jd").to_numpy(zero_copy_only=False).astype(float)[rows]
        self.hours.update((((jd[np.isfinite(jd)] + 0.5) % 1) * 24).astype(int).tolist())
        for row in rows[: max(0, most_examples - len(self.examples))]:
            self.examples.append(_alert(alerts.slice(int(row), 1)))


def run_test(conf: str | None, wanted: Wanted) -> int:
    """Run a rule on a night, print what it takes, and make it a topic if asked to; return the exit code.

    Raises
    ------
    UsageError
        If it shall become a topic, and takes more than the largest share or was tried on too few alerts to tell;
        unless that is forced.
    """
    config = load(conf, quiet=True).config
    topics_file = Path(config.filters.file)
    alerts = alerts_of_files(wanted.source, config) if wanted.source else alerts_of_night(config, wanted.night)
    entry = rule_meant(wanted.rule, config, alerts.schema)
    keys: dict[str, str] = {}
    if wanted.activate:
        keys = _keys(entry, wanted, topics_file)
        check_new(topics_file, wanted.activate)
    tally = _run(entry, alerts, config, wanted)
    console = Console()
    _print(tally, alerts.name, console)
    _judge(tally, config.filters.largest_share, console, wanted)
    if keys:
        file = add_topic(topics_file, keys)
        console.print(f"{wanted.activate} is a topic now: it stands in {file}.", highlight=False)
    return 0


def _run(entry: Filter, alerts: NightAlerts | FileAlerts, config: Config, wanted: Wanted) -> Tally:
    tally = Tally()
    total = min(alerts.total, wanted.limit or alerts.total)
    bar = (TextColumn("filtering"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    settings = config.filters
    with Engine([entry], None, settings.function_seconds, settings.failures, schema=alerts.schema) as engine:
        paths = list(dict.fromkeys(["objectId", "candid", *CURRENT, *HISTORY, *engine.reads]))
        with Progress(*bar, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("", total=total)
            for batch in alerts.batches(paths):
                some = batch.slice(0, total - tally.seen)
                verdicts = engine.judge(some)
                for verdict in verdicts:
                    tally.add(some, verdict, wanted.examples)
                progress.advance(task, len(some))
                if tally.seen >= total or entry.name in engine.off:
                    break
        off = engine.off.get(entry.name)
    if off is not None:
        raise ConfigError(f"The rule cannot be used: {off.rstrip('.?')}.", "The broker would switch it off.")
    if tally.failed == tally.seen:
        raise ConfigError(f"The rule failed on every alert: {tally.error.rstrip('.')}.", "Mend it, and test it again.")
    return tally


def _print(tally: Tally, name: str, console: Console) -> None:
    for alert in tally.examples:
        console.print(Text.assemble((str(alert["objectId"]), "bold"), f"  candid {alert['candid']}  jd {alert['jd']}"))
        console.print(Text.from_ansi(draw(alert, width=min(console.width, 100), height=14)))
    if tally.passed:
        hours = Table("UTC hour", "pass", "", title="when they came", title_justify="left", box=None)
        most = max(tally.hours.values())
        for hour in sorted(tally.hours):
            number = tally.hours[hour]
            hours.add_row(f"{hour:02d}", f"{number:,}", "█" * max(1, round(_BAR * number / most)))
        console.print(hours)
    passes = "passes" if tally.passed == 1 else "pass"
    told = f"{tally.passed:,} of {_counted(tally.seen, 'alert')} of {name} {passes}: {tally.share:.2%}."
    console.print(Text(f"{told} {1e3 * tally.seconds / tally.seen:.3f} ms an alert."))
    if tally.failed:
        console.print(
            Text(f"The rule failed on {_counted(tally.failed, 'alert')}, the last time because {tally.error}.")
        )


def _judge(tally: Tally, largest: float, console: Console, wanted: Wanted) -> None:
    """Refuse a rule that takes too much, or one to be activated of which that cannot be told."""
    much = tally.share > largest
    if tally.seen < FEW_ALERTS:
        told = f"{'That was' if tally.seen == 1 else 'Those were'} only {_counted(tally.seen, 'alert')}"
        told += ": the share says little."
        if wanted.activate and not much and not wanted.force:
            raise UsageError(told, f"Test it on {FEW_ALERTS} or more; --force takes it as it is. {_NOTHING}")
        console.print(told, highlight=False)
    if much:
        told = f"The rule takes {tally.share:.2%} of the alerts, more than {largest:.2%} (filters.largest_share)."
        if not wanted.force:
            raise UsageError(told, f"Narrow it down; --force takes it as it is. {_NOTHING}")
        console.print(Text(f"{told} It was forced."))


def _counted(number: int, thing: str) -> str:
    """Return a number of things, such as ``1 alert`` or ``2 alerts``."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def _keys(entry: Filter, wanted: Wanted, topics_file: Path) -> dict[str, str]:
    """Return the keys of the topic that a rule becomes."""
    folder = topics_file if topics_file.is_dir() else topics_file.parent
    keys = {"name": wanted.activate, "owner": wanted.owner or account()}
    keys["description"] = wanted.description or f"Alerts that pass: {' '.join(wanted.rule.split())}"
    if isinstance(entry.rule, UserFunction):
        if entry.rule.source != UserFunction(entry.rule.place, str(folder)).source:
            raise UsageError(
                f"The broker would not find {entry.rule.source}.", f"Put it into {folder}, or install it as a package."
            )
        return keys | {"version": "1", "function": entry.rule.place}
    if isinstance(entry.rule, SqlRule):
        return keys | {"version": "1", "rule": entry.rule.text}
    raise UsageError("Only an SQL rule or a function can be activated.", "Add other topics to the file with an editor.")


def _alert(row: pa.Table) -> dict[str, Any]:
    """Return what is drawn of an alert: its values, and the history of each."""
    values = {name: raw_column(row, name)[0].as_py() for name in ("objectId", "candid")}
    values |= {name: raw_column(row, f"candidate.{name}")[0].as_py() for name in DRAWN}
    return values | {f"prv_{name}": raw_column(row, f"prv_candidates.{name}")[0].as_py() for name in DRAWN}
