"""How the whole broker stands at one moment: what the pages, ``/api/snapshot.json`` and the metrics show."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from fink_broker.monitor.board.views import (
    DiskView,
    FilterView,
    LagView,
    MachineView,
    ModuleView,
    NightView,
    ServiceView,
    StageView,
    Status,
    TopicView,
    Waiting,
)


@dataclass(frozen=True)
class Snapshot:
    """How the broker stands.

    Parameters
    ----------
    taken : float
        When.
    version, survey : str
        Of the broker.
    status : Status
        All in one line.
    stages : tuple of StageView
        raw, science, topics, archived.
    waiting : tuple of Waiting
        Between the stages.
    alerts_day, alerts_hour : int
        Alerts that came into raw in the last 24 hours, and in the last one.
    lost_offsets : int
        Messages Kafka no longer had when they were asked for.
    reasons, cuts : dict
        Rejected packets by reason, and dropped alerts by cut, since the beginning.
    reasons_hour : dict
        Rejected packets by reason in the last hour.
    topics, filters, modules : tuple
        The busiest first.
    lag : LagView
        What waits in Kafka.
    services, disks, nights : tuple
        Services by host; disks; the latest nights first.
    disks_away : tuple of str
        Which disks cannot be looked at, and why, in sentences.
    machine : MachineView
        This host.
    read, to_read : int
        Commits read since the dashboard's start, and how many there are: less than all only at its start.
    is_complete : bool
        Whether all of the past was read once: until then sums since the beginning are too small.
    trouble : str
        Why the commit logs cannot be read, empty if they can.
    """

    taken: float
    version: str
    survey: str
    status: Status
    stages: tuple[StageView, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    alerts_day: int = 0
    alerts_hour: int = 0
    lost_offsets: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    reasons_hour: dict[str, int] = field(default_factory=dict)
    cuts: dict[str, int] = field(default_factory=dict)
    topics: tuple[TopicView, ...] = ()
    filters: tuple[FilterView, ...] = ()
    modules: tuple[ModuleView, ...] = ()
    lag: LagView = field(default_factory=LagView)
    services: tuple[ServiceView, ...] = ()
    disks: tuple[DiskView, ...] = ()
    disks_away: tuple[str, ...] = ()
    machine: MachineView = field(default_factory=MachineView)
    nights: tuple[NightView, ...] = ()
    read: int = 0
    to_read: int = 0
    is_complete: bool = False
    trouble: str = ""

    def stage(self, name: str) -> StageView:
        """Return a stage by its name.

        Raises
        ------
        KeyError
            If there is none of that name.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(name)

    def to_json(self, *, with_logs: bool = True) -> bytes:
        """Return it as one line of JSON, with or without the lines of the services' logs."""
        content = asdict(self)
        if not with_logs:
            for service in content["services"]:
                del service["log"]
        return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
