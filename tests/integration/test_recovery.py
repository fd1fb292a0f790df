"""A batch of the distribution that is cut short, and other rules when it goes on."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from distributing import commit_by_hand, distributing, read_topic
from expected_topics import science_table
from pipeline import total, until

from fink_broker.archive import AlertTable, Layout
from fink_broker.config.model import Config, DistributionConfig, FiltersConfig, StorageConfig
from fink_broker.stream import distribution

pytestmark = pytest.mark.integration

TOPICS = """
[[topic]]
name = "faint"
owner = "x"
description = "A test."
version = "{version}"
rule = "magpsf > {limit}"
output = "thin"
"""


@pytest.fixture
def science_alerts(shared_data, unpacked) -> pa.Table:
    """Return the alerts of 2023-10-18 as rows of a science table."""
    rows = science_table(shared_data, unpacked, "20231018")
    origin = {"topic": "t", "partition": 0, "offset": 0, "timestamp": datetime.now(UTC)}
    return rows.append_column("origin", pa.array([origin] * len(rows)))


class Killed(BaseException):
    """Ends a job where a kill would."""


def test_what_was_sent_by_other_rules_is_neither_denied_nor_sent_again(
    kafka, science_alerts, tmp_path, monkeypatch
) -> None:
    file = tmp_path / "topics.toml"
    config = Config(
        storage=StorageConfig(online=str(tmp_path / "online"), state=tmp_path / "state"),
        distribution=DistributionConfig(
            servers=kafka, prefix=f"r{uuid.uuid4().hex[:6]}_", partitions=3, topics=["sso_ztf_candidates"]
        ),
        filters=FiltersConfig(sdss="none", file=str(file)),
    )
    rows = science_alerts
    magnitudes = [candidate["magpsf"] for candidate in rows["candidate"].to_pylist()]
    science = AlertTable(Layout(config.storage.online).table("science"))
    file.write_text(TOPICS.format(version=1, limit=19))
    commit_by_hand(science, "cut-short", rows)

    killed = []

    def kill(*_: object) -> None:
        killed.append(True)
        raise Killed

    with monkeypatch.context() as patch:  # all is sent, nothing is committed
        patch.setattr(distribution, "Commit", kill)
        with pytest.raises(Killed), distributing(config) as (job, _):
            until(lambda: bool(killed), "it is killed")
    sent = read_topic(kafka, job.topic("faint"))
    assert len(sent) == sum(magnitude > 19 for magnitude in magnitudes) > 50

    file.write_text(TOPICS.format(version=2, limit=20))
    with distributing(config) as (job, _):
        until(lambda: total(job.topics, "in") == len(rows), "the batch is done")
    after = read_topic(kafka, job.topic("faint"))
    assert Counter(identity(message) for message in after) == Counter(identity(message) for message in sent)
    (commit,) = job.topics.log.read_all()
    assert commit.details["topics"][job.topic("faint")] == len(sent)
    told = pq.read_table(job.topics.storage.root, partitioning=None).to_pylist()
    assert {row["candid"] for row in told if "faint" in row["topics"]} == {identity(message)[0] for message in sent}
    assert all(set(row["topics"]) <= set(row["judged"]) for row in told)
    assert json.loads((Path(config.storage.online) / "checkpoints" / "distribution" / "plan.json").read_text())


def identity(message) -> tuple[int, bytes, int]:
    headers = dict(message.headers())
    return int(headers["candid"]), headers["version"], message.partition()
