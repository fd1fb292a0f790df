"""The public tom-fink 0.7.6, unmodified: it searches in our API, and makes targets of alerts on our topics."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
import tom_sent
from tom_project import PUBLIC_TOOLKIT, TomProject, public_programs
from tom_searches import ServedApi, searches

pytestmark = pytest.mark.integration

SETTINGS = """
INSTALLED_APPS += ["tom_alertstreams", "tom_fink"]
TOM_ALERT_CLASSES = ["tom_fink.fink.FinkBroker"]
ALERT_STREAMS = [
    {{
        "ACTIVE": True,
        "NAME": "tom_fink.alertstream.FinkAlertStream",
        "OPTIONS": {{
            "URL": "{servers}",
            "USERNAME": "tester",
            "GROUP_ID": "{group}",
            "TOPIC": topic,
            "MAX_POLL_NUMBER": str(polls),
            "TIMEOUT": "5",
            "TOPIC_HANDLERS": {{"fink.stream": "tom_fink.alertstream.alert_logger"}},
        }},
    }}
    for topic, polls in {polls}.items()
]
"""
#: told the API's address and the searches; tells what came of them, then reads the streams
SCRIPT = """
import json, sys, threading
from django.core.management import call_command
from tom_fink import fink

told = json.load(open("told.json"))
fink.FINK_API_URL = told["api"]
fields = ("objectId", "conesearch", "classsearch", "classsearchdate", "ssosearch")
broker, found = fink.FinkBroker(), []
for field, text in told["searches"]:
    rows = list(broker.fetch_alerts({name: "" for name in fields} | {field: text}))
    alerts = [broker.to_generic_alert(row) for row in rows]
    found.append({"names": [alert.name for alert in alerts], "fields": [str(vars(alert)) for alert in alerts[:1]]})
target = broker.to_target(broker.to_generic_alert(broker.fetch_alert(told["object"])[0]))
found.append([target.name, target.ra, target.dec])
json.dump(found, open("found.json", "w"))
call_command("readstreams")
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join()
from tom_targets.models import Target, TargetList
lists = sorted(TargetList.objects.values_list("name", flat=True))
targets = {target.name: target.targetextra_set.count() for target in Target.objects.all()}
json.dump({"lists": lists, "targets": targets}, open("read.json", "w"))
"""


def test_it_searches_and_reads_streams(kafka: str, tmp_path: Path, shared_data: Path, unpacked) -> None:
    sent = tom_sent.distribute(kafka, tmp_path, shared_data, unpacked)
    polls = {topic: len(alerts) + 1 for topic, alerts in sent.topics.items()}
    settings = SETTINGS.format(servers=kafka, group=uuid.uuid4().hex, polls=polls)
    project = TomProject(PUBLIC_TOOLKIT, public_programs(), tmp_path, settings)
    wanted = searches(shared_data)
    with ServedApi(shared_data, tmp_path).up() as url:
        told = {"api": url, "object": wanted[0].text, "searches": [[each.field, each.text] for each in wanted]}
        (project.folder / "told.json").write_text(json.dumps(told))
        running = project.manage("shell", "-c", SCRIPT)
        assert running.wait(180) == 0, running.said

    *found, target = json.loads((project.folder / "found.json").read_text())
    for search, result in zip(wanted, found, strict=True):
        assert set(result["names"]) == search.objects, search.field
        assert len(result["names"]) == search.rows, search.field
    assert target[0] == wanted[0].text

    read = json.loads((project.folder / "read.json").read_text())
    assert read["lists"] == sorted(sent.topics)
    assert set(read["targets"]) == set(sent.alerts) | {wanted[0].text}
    assert all(number == 1 for name, number in read["targets"].items() if name in sent.alerts)
    assert "Traceback" not in running.said
