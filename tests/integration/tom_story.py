"""What happens to alert streams of a TOM in its life, in both generations of the toolkit at once.

Kafka is down when readstreams starts. It comes up; readstreams is killed, ended by SIGTERM, ended by SIGINT, each in
the midst of alerts; Kafka goes and comes back; the alerts whose handler failed are handed on again. What was seen on
the way is kept for tests to look at.
"""

from __future__ import annotations

import json
import re
import signal
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tom_odd_alerts
from tom_processes import Running
from tom_project import VERSIONS, TomProject, our_programs
from tom_sent import Sent, distribute

from fink_broker.config.model import Config
from fink_broker.service.kafka import KafkaServer
from fink_broker.service.kafka_users import KafkaUsers, new_password

SETTINGS = """
INSTALLED_APPS += ["tom_alertstreams", "tom_fink"]
TARGET_DEFAULT_PERMISSION = "PRIVATE"
FINK_PORTAL_URL = "https://portal.example.org"


def _stream(topic, url, **login):
    options = {{
        "URL": url,
        "USERNAME": "",
        "GROUP_ID": "{group}",
        "TOPIC": topic,
        "MAX_POLL_NUMBER": "1e10",
        "TIMEOUT": "10",
        "TOPIC_HANDLERS": {{"fink.stream": "{handler}"}},
        **login,
    }}
    return {{"ACTIVE": True, "NAME": "tom_fink.alertstream.FinkAlertStream", "OPTIONS": options}}


ALERT_STREAMS = [
    _stream("{first}", "{login}", USERNAME="{user}", PASSWORD="{password}"),
    _stream("{second}", "{servers}"),
    _stream("{odd}", "{servers}"),
    _stream("{missing}", "{servers}"),
    _stream("{first}", "{login}", USERNAME="{user}", PASSWORD="{wrong}"),
]
"""
#: notes which process handled what; fails for one alert while a file says so; returns when as many are allowed
HANDLER = """
import os
import time
from pathlib import Path

from tom_fink.alertstream import alert_with_photometry

BASE = Path(__file__).resolve().parents[1]
HANDLED, ALLOWED = BASE / "handled", BASE / "allowed"


def watched(alert, topic):
    if alert.get("objectId") == "ZTFfails" and (BASE / "failing").exists():
        raise ValueError("as the test asked")
    alert_with_photometry(alert, topic)
    with HANDLED.open("a") as file:
        file.write(f"{os.getpid()} {topic} {alert['candid']}\\n")
    while len(HANDLED.read_text().splitlines()) >= int(ALLOWED.read_text()):
        time.sleep(0.02)
"""
#: tells what the TOM holds
DUMP = """
import json
import tom_dataproducts.models as data
from django.contrib.auth.models import Group, User
from guardian.shortcuts import get_objects_for_user
from tom_targets.models import Target, TargetList
from tom_targets.permissions import targets_for_user

user = User.objects.create(username="member")
user.groups.add(Group.objects.get(name="Public"))
seen = set(targets_for_user(user, Target.objects.all(), "view_target").values_list("name", flat=True))
seen_lists = set(get_objects_for_user(user, "tom_targets.view_targetlist").values_list("name", flat=True))


def datum(row):
    value = row.value or {}
    told = [getattr(row, name, None) for name in ("bandpass", "brightness", "brightness_error", "limit")]
    if told[0] is None:
        told = [value.get(name) for name in ("filter", "magnitude", "error", "limit")]
    return [round(row.timestamp.timestamp() * 1000), *told]


model = getattr(data, "PhotometryReducedDatum", data.ReducedDatum)
found = {"lists": [], "targets": []}
for each in TargetList.objects.all():
    names = sorted(each.targets.values_list("name", flat=True))
    found["lists"].append({"name": each.name, "targets": names, "is_seen": each.name in seen_lists})
for each in Target.objects.all():
    found["targets"].append({
        "name": each.name, "ra": each.ra, "dec": each.dec, "epoch": each.epoch, "is_seen": each.name in seen,
        "extras": {extra.key: extra.value for extra in each.targetextra_set.all()},
        "data": [datum(row) for row in model.objects.filter(target=each)],
        "sources": sorted(set(model.objects.filter(target=each).values_list("source_name", flat=True))),
    })
json.dump(found, open("found.json", "w"))
"""


#: how many alerts each process handles before something happens to it; more than there are
MORE, ALL = 8, 1_000_000


@dataclass
class Life:
    """What was seen of one TOM.

    Parameters
    ----------
    project : TomProject
        The TOM.
    runs : list of Running
        The processes of readstreams, one after the other.
    replays : list of Running
        Those of fink_replay.
    found : dict
        What the TOM holds in the end.
    """

    project: TomProject
    runs: list[Running] = field(default_factory=list)
    replays: list[Running] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)

    def handled(self, run: int | None = None) -> list[tuple[str, int]]:
        """Return topic and candid of the alerts that were handled, by one of the runs or by all processes."""
        file = self.project.folder / "handled"
        lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
        return [(topic, int(candid)) for pid, topic, candid in lines if run is None or int(pid) == self.runs[run].pid]

    def allow(self, number: int) -> None:
        """Let so many alerts be handled, and those in hand then."""
        file = self.project.folder / "allowed"
        file.with_suffix(".new").write_text(str(number))
        file.with_suffix(".new").replace(file)

    def kept_files(self) -> list[Path]:
        """Return the files of alerts that could not be handled."""
        return sorted((self.project.folder / "fink_kept_alerts").rglob("*.json"))


@dataclass
class Story:
    """What was sent, and the lives of the TOMs by version."""

    sent: Sent
    odd: tom_odd_alerts.OddAlerts
    missing: str
    password: str = field(repr=False)
    wrong: str = field(repr=False)
    lives: dict[str, Life] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many alerts can be handled without a failure."""
        return sum(map(len, self.sent.topics.values())) + len(self.odd.readable)


def tell(server: KafkaServer, config: Config, folder: Path, shared_data: Path, unpacked: Callable) -> Story:
    """Let it all happen; the server is not started yet, and is up in the end."""
    server.start()
    server.wait_until_up(threading.Event())
    sent = distribute(server.servers, folder, shared_data, unpacked)
    odd = tom_odd_alerts.send(server.servers)
    user, prefix = f"astro-{uuid.uuid4().hex[:6]}", "fink_"
    story = Story(sent, odd, f"fink_missing_{uuid.uuid4().hex[:6]}_ztf", new_password(), new_password())
    assert KafkaUsers(config, {}).add(user, [prefix], story.password)
    server.terminate()

    for version in VERSIONS:
        settings = SETTINGS.format(
            group=uuid.uuid4().hex, handler="mytom.watched.watched", servers=server.servers, login=server.sasl_servers,
            user=user, password=story.password, wrong=story.wrong, odd=odd.topic, missing=story.missing,
            **dict(zip(("first", "second"), sent.topics, strict=True)),
        )  # fmt: skip
        files = {"mytom/watched.py": HANDLER, "failing": "", "allowed": str(MORE)}
        life = Life(TomProject(version, our_programs(version), folder, settings, files))
        story.lives[version] = life
        life.runs.append(life.project.manage("readstreams"))
        life.project.warm_up()
    try:
        _live(story, server)
    finally:
        for life in story.lives.values():
            for running in (*life.runs, *life.replays):
                running.end()
            life.project.close()
    return story


def _live(story: Story, server: KafkaServer) -> None:
    lives = list(story.lives.values())
    for life in lives:
        life.runs[-1].wait_for(_said(life, r"Waiting for Kafka at", 4), "all streams wait for Kafka", 180)
    server.start()
    server.wait_until_up(threading.Event())
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        for life in lives:
            _wait_for_more(life)
            life.runs[-1].send(number)
        for life in lives:
            if number != signal.SIGKILL:
                life.runs[-1].says("Stopping after the alert in hand")
                life.allow(ALL)
        for life in lives:
            life.runs[-1].wait()
            life.allow(len(life.handled()) + MORE)
            life.runs.append(life.project.manage_quickly("readstreams"))
    for life in lives:
        _wait_for_more(life)
    server.terminate()
    server.start()
    server.wait_until_up(threading.Event())
    for life in lives:
        life.allow(ALL)
    for life in lives:
        life.runs[-1].wait_for(_has_all(life, story), "all alerts are handled or kept", 120)
        life.runs[-1].wait_for(_said(life, "FinkAlertStream.listen ends", 2), "two streams ended", 60)
        life.runs[-1].send(signal.SIGTERM)
        life.runs[-1].wait()
        life.kept = [json.loads(file.read_text()) for file in life.kept_files()]
        life.replays.append(life.project.manage_quickly("fink_replay"))
    for life in lives:
        life.replays[-1].wait()
        (life.project.folder / "failing").unlink()
        life.replays.append(life.project.manage_quickly("fink_replay"))
    for life in lives:
        life.replays[-1].wait()
        dump = life.project.manage_quickly("shell", "-c", DUMP)
        assert dump.wait() == 0, dump.said
        life.found = json.loads((life.project.folder / "found.json").read_text())


def _said(life: Life, pattern: str, times: int) -> Callable[[], bool]:
    return lambda: len(re.findall(pattern, life.runs[-1].said)) >= times


def _wait_for_more(life: Life) -> None:
    """Wait until as many alerts as are allowed were handled: at least one more is in hand, and others are left."""
    allowed = int((life.project.folder / "allowed").read_text())
    life.runs[-1].wait_for(lambda: len(life.handled()) >= allowed, f"{allowed} alerts are handled", 120)


def _has_all(life: Life, story: Story) -> Callable[[], bool]:
    return lambda: len(set(life.handled())) >= story.total and len(life.kept_files()) >= story.odd.kept
