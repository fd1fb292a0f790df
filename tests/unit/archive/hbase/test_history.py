"""Upper limits and bad-quality points of histories."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
from archived import archived_alerts, science_rows

from fink_broker.archive.hbase.history import KEPT, has_points, history

POINT = {"jd": 2460000.5, "fid": 1, "diffmaglim": 20.5, "magpsf": 18.0, "rb": 0.9, "nbad": 0}


def alerts(*histories: list[dict] | None) -> pa.Table:
    kind = pa.struct([*KEPT.items(), ("rb", pa.float32()), ("nbad", pa.int32())])
    return pa.table({"candid": list(range(len(histories))), "prv_candidates": pa.array(histories, pa.list_(kind))})


def test_what_is_kept_and_why() -> None:
    points = [
        POINT | {"jd": 1.0, "magpsf": None},
        POINT | {"jd": 2.0},
        POINT | {"jd": 3.0, "rb": 0.5499},
        POINT | {"jd": 4.0, "nbad": 1},
        POINT | {"jd": 5.0, "rb": None},
        POINT | {"jd": 6.0, "magpsf": math.nan},
        POINT | {"jd": None, "magpsf": None},
    ]
    found = history(alerts(points, None, [], [POINT]))
    assert found["i:jd"].to_pylist() == [[1.0, 3.0, 4.0, 5.0, 6.0], [], [], []]
    assert found["d:tag"][0].as_py() == ["upperlim", "badquality", "badquality", "badquality", "upperlim"]
    assert math.isnan(found["i:magpsf"][0].as_py()[0])
    assert found["i:magpsf"][0].as_py()[1] == 18.0
    assert found["i:isdiffpos"][0].as_py() == [""] * 5
    assert has_points(found).tolist() == [True, False, False, False]


def test_slices_and_missing_columns() -> None:
    both = alerts([POINT | {"jd": 1.0, "magpsf": None}], [POINT | {"jd": 2.0, "magpsf": None}])
    assert history(both.slice(1))["i:jd"].to_pylist() == [[2.0]]
    assert history(both.select(["candid"]))["i:jd"].to_pylist() == [[], []]
    bare = pa.table({"prv_candidates": pa.array([[{"jd": 7.0}]], pa.list_(pa.struct([("jd", pa.float64())])))})
    (row,) = history(bare).to_pylist()
    assert (row["i:jd"], row["i:fid"], row["d:tag"]) == ([7.0], [0], ["upperlim"])


def test_the_archive_gives_the_points_of_real_alerts_each_once(shared_data: Path) -> None:
    rows = science_rows(shared_data, retimed=True)
    archive = archived_alerts(shared_data, retimed=True)
    ids = sorted(set(rows["objectId"].to_pylist()))[:150]
    wanted = {
        (name, point["jd"], point["fid"], "upperlim" if point["magpsf"] is None else "badquality")
        for name, points in zip(rows["objectId"].to_pylist(), rows["prv_candidates"].to_pylist(), strict=True)
        for point in points or []
        if name in ids
        if point["magpsf"] is None or not (point["rb"] is not None and point["rb"] >= 0.55 and point["nbad"] == 0)
    }
    found = archive.histories(ids).select(["i:objectId", "i:jd", "i:fid", "d:tag"]).to_pylist()
    assert len(found) == len({(row["i:objectId"], row["i:jd"], row["i:fid"]) for row in found})
    assert {tuple(row.values()) for row in found} <= wanted
    assert {tuple(row.values())[:3] for row in found} == {row[:3] for row in wanted}
    assert {row["d:tag"] for row in found} == {"upperlim", "badquality"}
