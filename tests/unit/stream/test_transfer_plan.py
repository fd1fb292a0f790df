"""What a transfer is planned to send: files, numbers, sizes, tracklets; its manifest; and what is refused."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from transfer_rows import JD, NIGHT, commit, rows

from fink_broker.alert.wire import encode
from fink_broker.archive import AlertTable
from fink_broker.errors import ConfigError, DataError, UsageError
from fink_broker.science import tracklets
from fink_broker.stream.transfer.archived import Archived, tracklets_of
from fink_broker.stream.transfer.content import Content
from fink_broker.stream.transfer.manifest import Manifest
from fink_broker.stream.transfer.planning import check_size, estimate_of, plan
from fink_broker.stream.transfer.schemas import JoinedSchema
from fink_broker.stream.transfer.selection import Selection
from fink_broker.stream.transfer.stopping import Stopped


@pytest.fixture
def science(tmp_path: Path) -> AlertTable:
    return AlertTable(str(tmp_path / "online" / "science"))


def planned(science: AlertTable, selection: Selection = NIGHT) -> Manifest:
    return plan(science, selection, "ftransfer_x", threading.Event())


class TestPlan:
    def test_every_file_with_its_number_of_selected_alerts(self, science: AlertTable) -> None:
        commit(science, "a", "20231019", rows(20))
        commit(science, "b", "20231018", rows(30, 20))
        commit(science, "c", "20231020", rows(9, 50))
        commit(science, "d", "20231018", rows(5, 60))
        asked = Selection.asked("2023-10-18", "2023-10-19", classes=["SN candidate"])
        manifest = planned(science, asked)
        assert [(part.night, part.rows, part.sent) for part in manifest.parts] == [
            ("20231018", 30, 15),
            ("20231018", 5, 2),
            ("20231019", 20, 10),
        ]
        estimate = estimate_of(manifest)
        assert (estimate.alerts, estimate.archived, estimate.nights) == (27, 55, 2)
        assert str(estimate).startswith("27 of 55 alerts (49.1 %) of 2 nights, about 0.0 MB (0.")
        assert Manifest.from_json(manifest.to_json()) == manifest

    def test_the_size_is_that_of_messages(self, science: AlertTable) -> None:
        commit(science, "a", "20231018", rows(20))
        manifest = planned(science)
        sizes = [len(datum) for datum in encode(Content(NIGHT, JoinedSchema([rows(1).schema])).pack(rows(20), {}))]
        assert manifest.alert_bytes == pytest.approx(np.mean(sizes), abs=0.1)

    def test_nothing_there(self, science: AlertTable) -> None:
        with pytest.raises(UsageError, match=r"no alerts of the night 20231018. It is empty"):
            planned(science)
        commit(science, "a", "20231019", rows(20))
        with pytest.raises(UsageError, match="It has those of 20231019 to 20231019"):
            planned(science)

    def test_nothing_selected_says_why(self, science: AlertTable) -> None:
        commit(science, "a", "20231018", rows(20))
        with pytest.raises(UsageError, match=r"None of the 20 .* No finkclass is 'SN candidates'.*'SN candidate'"):
            planned(science, dataclasses.replace(NIGHT, classes=("SN candidates",)))
        with pytest.raises(UsageError, match="Widen"):
            planned(science, dataclasses.replace(NIGHT, where="candidate.magpsf > 99"))

    @pytest.mark.parametrize("where", ["candidate.magps > 1", "magpsf +", "candidate.magpsf"])
    def test_a_bad_condition_is_refused_before_anything_is_read(self, science: AlertTable, where: str) -> None:
        commit(science, "a", "20231018", rows(20))
        with pytest.raises(ConfigError):
            planned(science, dataclasses.replace(NIGHT, where=where))

    def test_a_file_that_is_gone_is_told(self, science: AlertTable) -> None:
        commit(science, "a", "20231018", rows(20))
        (file,) = science.log.read_all()[0].files
        Path(science.storage.root, file.path).unlink()
        with pytest.raises(DataError, match=r"is gone.* Begin the transfer anew"):
            planned(science)

    def test_limits(self, science: AlertTable) -> None:
        commit(science, "a", "20231018", rows(20))
        manifest = planned(science)
        check_size(manifest, 20, None)
        with pytest.raises(UsageError, match="20 alerts, more than 19"):
            check_size(manifest, 19, None)
        with pytest.raises(UsageError, match="Kafka's disk has"):
            check_size(manifest, 20, 100.0)

    def test_told_to_stop(self, science: AlertTable) -> None:
        commit(science, "a", "20231018", rows(20))
        stop = threading.Event()
        stop.set()
        with pytest.raises(Stopped):
            plan(science, NIGHT, "ftransfer_x", stop)


def test_tracklets_of_a_night(science: AlertTable) -> None:
    """Alerts of one exposure along a great circle, in two files: the tracklet takes those of both."""
    count = np.arange(8)
    fields = {name: np.zeros(8) for name in tracklets.COLUMNS if name != "candid"}
    fields |= {"jd": np.full(8, JD), "ra": 30 + 0.05 * count, "dec": np.zeros(8), "ndethist": np.ones(8)}
    fields |= {"xpos": 10.0 * count, "distnr": np.full(8, 10.0), "magpsf": np.full(8, 18.0), "magnr": np.full(8, 18.0)}
    columns = {name: pa.array(values) for name, values in fields.items()}
    columns |= {"ssnamenr": pa.array(["null"] * 8), "isdiffpos": pa.array(["t"] * 8)}
    candidate = pa.StructArray.from_arrays(list(columns.values()), names=list(columns))
    table = pa.table(
        {"objectId": pa.array(["o"] * 8), "candid": pa.array(range(8), pa.int64()), "candidate": candidate}
    )
    commit(science, "a", "20231018", table[:5])
    commit(science, "b", "20231018", table[5:])
    flat = pa.table({"candid": table["candid"], **columns})
    wanted = tracklets.find_tracklets(flat).to_pylist()
    assert all(wanted)
    found = tracklets_of(science, Archived(science, NIGHT).files)
    assert found == dict(zip(range(8), wanted, strict=True))
    assert tracklets_of(science, []) == {}


def test_alerts_without_what_tracklets_need_have_none(science: AlertTable) -> None:
    commit(science, "a", "20231018", rows(10))
    assert tracklets_of(science, Archived(science, NIGHT).files) == {}
