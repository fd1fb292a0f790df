"""``fink demo``: a night from Kafka to Kafka and onto the portal, here, until every alert is accounted for."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from fink_broker.config.model import Config
from fink_broker.errors import ServiceError, UsageError
from fink_broker.monitor import report
from fink_broker.monitor.counts import Counts, read_counts
from fink_broker.monitor.waiting import messages_waiting
from fink_broker.service import catalogue, control, demo_pages, example_requests
from fink_broker.service.demo_source import choose_topic, find_source
from fink_broker.service.first_alert import FirstAlert, wait_for_first_alert
from fink_broker.service.state import StateStore
from fink_broker.service.tom import demo as demo_tom

PIPELINE = ("kafka", "hbase", "stream2raw", "raw2science", "distribution", "archive", "api", "portal", "dashboard")
FINISH_SECONDS = 180.0  # from the last alert sent to the last one accounted for


@dataclass(frozen=True)
class DemoPlan:
    """What the demo replays.

    Parameters
    ----------
    source : str
        Folder or file of alerts, ``synthetic``, or empty: real alerts if there are any.
    limit : int
        Most alerts.
    rate : float
        Alerts per second; 0: as fast as it goes.
    datasim : Path
        Folder in which real alerts are looked for, with the script that fetches some.
    conf : str or None
        Configuration file for the services.
    opens_pages : bool
        Whether the portal and the dashboard are opened in a browser at the end, where there is a screen.
    with_tom : bool
        Whether a TOM takes in alerts of its topics; its environment is built at first use.
    """

    source: str
    limit: int
    rate: float
    datasim: Path
    conf: str | None
    opens_pages: bool = True
    with_tom: bool = False

    @property
    def services(self) -> tuple[str, ...]:
        """The services it starts, beside the simulator."""
        return (*PIPELINE, "tom") if self.with_tom else PIPELINE

    @property
    def conf_arguments(self) -> list[str]:
        """How the services are told of the configuration file."""
        return ["--conf", self.conf] if self.conf else []


def run_demo(config: Config, plan: DemoPlan, console: Console) -> None:
    """Start the pipeline and the simulator; print the first alert, the final counts, requests to the API, and pages.

    The services go on afterwards.

    Raises
    ------
    ServiceError
        If a service does not come up, whereupon those that were started are ended; if one dies later, or alerts are
        not accounted for in time.
    """
    Demo(config, plan, console).run()


class Demo:
    """One run of the demo.

    Parameters
    ----------
    config : Config
        The configuration in force.
    plan : DemoPlan
        What to replay.
    console : Console
        Where to tell of it.
    """

    def __init__(self, config: Config, plan: DemoPlan, console: Console) -> None:
        self._began = time.monotonic()
        self._config, self._plan, self._console = config, plan, console
        self._store = StateStore(config.storage.state)
        self._before = read_counts(config)
        self._first = FirstAlert()
        self._first_told = False
        self._topic = choose_topic(config)

    def run(self) -> None:
        """Carry out the demo."""
        if (running := self._store.read("simulator")) is not None and running.running:
            raise UsageError("The simulator is already running.", "Stop it with `fink stop simulator`.")
        started = self._start_pipeline()
        source = self._plan.source or find_source(self._plan.datasim, self._console)
        self._tell(f"Replaying {source} at {self._plan.rate:g} alerts/s to {self._topic}")
        stop = threading.Event()
        with self._live():
            # nothing is sent before all are up: the latency shown at the end is the stream's, not Spark's start
            self._wait_until_all_are_up(started)
            watcher = threading.Thread(target=wait_for_first_alert, args=(self._config, stop, self._first), daemon=True)
            watcher.start()
            self._start_simulator(source)
            self._wait_until_all_is_sent()
            self._wait_until_all_is_accounted_for()
            if self._plan.with_tom:
                demo_tom.wait_until_all_is_taken_in(self._config, self._store, self._look)
        stop.set()
        watcher.join()
        self._tell_first()
        report.table(read_counts(self._config), self._console)
        if known := self._before.raw.count("in"):
            self._tell(f"{known:,} of these alerts were here before this demo.")
        self._tell_requests_and_pages()
        self._tell("The services go on: `fink show` lists them, `fink stop` ends them all.")

    def _tell(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def _start_pipeline(self) -> dict[str, subprocess.Popen[bytes]]:
        """Start all that does not run yet, at once: each job waits for Kafka by itself."""
        started = {}
        for name in self._plan.services:
            state = self._store.read(name)
            if state is not None and state.running:
                continue
            if name == "kafka" and self._config.simulator_servers != self._config.embedded_servers:
                continue
            if name == "hbase" and self._config.hbase.servers:
                continue
            arguments = ["--simulator"] if "input_servers" in catalogue.SERVICES[name].kafka else []
            started[name] = control.spawn(self._store, name, self._plan.conf_arguments + arguments)
        return started

    def _wait_until_all_are_up(self, started: dict[str, subprocess.Popen[bytes]]) -> None:
        """Wait for all but the TOM, whose environment may take minutes to build: alerts wait for it in Kafka."""
        tom = started.pop("tom", None)
        try:
            control.wait_until_all_up(self._store, started, self._config.stream.stop_grace_seconds)
        except ServiceError:
            if tom is not None:
                control.end_in_order({"tom": tom}, self._config.stream.stop_grace_seconds)
            raise

    def _start_simulator(self, source: str) -> None:
        plan = self._plan
        # a second demo draws another sky, else all its alerts would be known already
        seed = self._before.raw.count("in")
        arguments = ["--source", source, "--limit", f"{plan.limit}", "--rate", f"{plan.rate}", "--seed", f"{seed}"]
        arguments += ["--topic", self._topic]
        process = control.spawn(self._store, "simulator", plan.conf_arguments + arguments)
        control.wait_until_up(self._store, "simulator", process)

    def _wait_until_all_is_sent(self) -> None:
        while True:
            self._look()
            simulator = self._store.read("simulator")
            if simulator is None or not simulator.running:
                return
            time.sleep(0.2)

    def _wait_until_all_is_accounted_for(self) -> None:
        # the simulator is done, so what Kafka holds now is all that can come
        deadline, reading = time.monotonic() + FINISH_SECONDS, self._config.for_simulator()
        while time.monotonic() < deadline:
            self._look()
            nothing_waits = messages_waiting(reading, os.environ) == 0
            counts = read_counts(self._config)
            if nothing_waits and is_closed(counts) and counts.raw.count("in") > self._before.raw.count("in"):
                return
            time.sleep(0.3)
        raise ServiceError(
            f"{FINISH_SECONDS:.0f} s after the last alert was sent, not all are accounted for: "
            f"{messages_waiting(reading, os.environ)} wait in Kafka. {' '.join(read_counts(self._config).open_ends())}",
            "The services go on: look at `fink show` and `fink logs`.",
        )

    def _look(self) -> None:
        """Tell of the first alert once it is there; raise ServiceError if a service has died."""
        self._tell_first()
        for state in self._store.read_all((*self._plan.services, "simulator")):
            if state.died:
                raise ServiceError(
                    f"{state.name} died: {state.why}", f"See `fink logs {state.name}`; `fink stop` ends all."
                )

    def _tell_first(self) -> None:
        if self._first.text and not self._first_told:
            self._first_told = True
            self._tell(f"First distributed alert after {self._first.at - self._began:.1f} s: {self._first.text}")

    def _tell_requests_and_pages(self) -> None:
        """Print requests to the API, and pages, for alerts of this demo, each tried."""
        night = example_requests.night_of(self._config, len(self._before.science.commits))
        if night is None:
            return
        self._tell(f"The API answers at {example_requests.address(self._config)}/api, for example:")
        for request in example_requests.examples(self._config, night):
            # where keys are asked for, it is the user who knows one
            rows = "" if self._config.api.keys_file else f": {request.count_rows()} rows"
            self._tell(f"# {request.purpose}{rows}\n{request.curl}")
        self._tell("To look at it in a browser:")
        opens = self._plan.opens_pages and demo_pages.has_screen()
        pages = demo_pages.pages(self._config, night)
        if self._plan.with_tom:
            pages += demo_tom.pages(self._config)
        for page in pages:
            shown = page.check()
            opened = opens and page.is_opened and demo_pages.open_in_browser(page.url)
            self._tell(f"# {page.purpose}: {shown}{' (opened)' if opened else ''}\n{page.url}")

    @contextmanager
    def _live(self) -> Iterator[None]:
        """Show what each service does, and the counts, while the demo runs; nothing where no one looks."""
        if not self._console.is_terminal:
            yield
            return
        done = threading.Event()
        with Live(console=self._console, refresh_per_second=4, transient=True) as live:

            def refresh() -> None:
                while not done.wait(0.5):
                    live.update(self._picture())

            thread = threading.Thread(target=refresh, daemon=True)
            thread.start()
            try:
                yield
            finally:
                done.set()
                thread.join()

    def _picture(self) -> Group:
        lines = [
            Text.assemble((f"{state.name:<14}", "bold"), state.doing or "starting", overflow="ellipsis", no_wrap=True)
            for state in self._store.read_all((*self._plan.services, "simulator"))
        ]
        now, before = read_counts(self._config), self._before
        sums = {
            "in": now.raw.count("in") - before.raw.count("in"),
            "raw": now.raw.count("out") - before.raw.count("out"),
            "science": now.science.count("out") - before.science.count("out"),
            "filtered": now.topics.count("in") - before.topics.count("in"),
            "archived": now.archived.count("in") - before.archived.count("in"),
        }
        lines.append(Text("alerts        " + "   ".join(f"{name} {number:,}" for name, number in sums.items())))
        return Group(*lines)


def is_closed(counts: Counts) -> bool:
    """Tell whether each stage has taken in all that the one before put out."""
    science = counts.science.count("out")
    return (
        counts.science.count("in") == counts.raw.count("out")
        and counts.topics.count("in") == science
        and counts.archived.count("in") == science
    )
