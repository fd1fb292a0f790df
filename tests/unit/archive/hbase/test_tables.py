"""Which alerts are in which table, under which keys."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from archived import science_rows

from fink_broker.archive.columns import publish
from fink_broker.archive.hbase import tables
from fink_broker.archive.hbase.tables import INDEX, STRANGE, Table, main_keys, needed, versions

BY_SUFFIX = {table.suffix: table for table in INDEX}


@pytest.fixture(scope="module")
def published(shared_data: Path) -> pa.Table:
    return publish(science_rows(shared_data))


def taken(table: str, alerts: pa.Table) -> list[bool]:
    return BY_SUFFIX[table].takes(alerts).tolist()


def replaced(alerts: pa.Table, **columns: list) -> pa.Table:
    """Return alerts of which some columns are others, ``d_roid`` standing for ``d:roid``."""
    for name, values in columns.items():
        place = alerts.column_names.index(name.replace("_", ":", 1))
        field = alerts.schema.field(place)
        alerts = alerts.set_column(place, field, pa.array(values, field.type))
    return alerts


@pytest.mark.parametrize("table", INDEX, ids=lambda table: table.suffix)
def test_each_alert_of_a_table_has_a_key_of_its_own_that_depends_on_it_alone(table: Table, published: pa.Table) -> None:
    chosen = replaced(published, d_tracklet=["TRCK_1"] * len(published), d_tns=["SN Ia"] * len(published))
    keys = table.keys(chosen)
    if table.newest_wins:
        assert len(set(keys)) >= len(set(chosen["i:objectId"].to_pylist()))
    elif table.suffix == "tracklet":
        assert len(set(keys)) == len(set(chosen["i:objectId"].to_pylist()))
    else:
        assert len(set(keys)) == len(chosen)
    assert table.keys(chosen.slice(7, 1)) == keys[7:8]


def test_two_alerts_of_an_object_in_one_exposure_are_two_rows(published: pa.Table) -> None:
    pairs = set(zip(published["i:objectId"].to_pylist(), published["i:jd"].to_pylist(), strict=True))
    assert len(pairs) < len(published)  # the public night has such
    assert len(set(main_keys(published))) == len(published)


def test_tables_of_every_alert(published: pa.Table) -> None:
    assert all(taken("class", published))
    assert all(taken("jd", published))


def test_solar_system_objects_need_a_name(published: pa.Table) -> None:
    some = replaced(published.slice(0, 4), d_roid=[3, 3, 2, None], i_ssnamenr=["433", "null", "433", "433"])
    assert taken("ssnamenr", some) == [True, False, False, False]
    (key,) = BY_SUFFIX["ssnamenr"].keys(some.slice(0, 1))
    assert key.startswith(b"433_24")


def test_labels_that_say_nothing_make_no_row(published: pa.Table) -> None:
    some = replaced(
        published.slice(0, 3), d_tns=["", "SN Ia", None], d_tracklet=["", "null", "TRCK_20240101_010101_00"]
    )
    assert taken("tns", some) == [False, True, False]
    assert taken("tracklet", some) == [False, False, True]


def test_scores(published: pa.Table) -> None:
    some = replaced(
        published.slice(0, 4),
        d_anomaly_score=[STRANGE - 1e-6, STRANGE, None, np.nan],
        d_slsn_score=[0.51, 0.5, None, -1.0],
    )
    assert taken("anomaly", some) == [True, False, False, False]
    assert taken("slsn", some) == [True, False, False, False]


def test_a_few_of_a_hundred_real_alerts_are_strange(shared_data: Path) -> None:
    share = np.mean(BY_SUFFIX["anomaly"].takes(publish(science_rows(shared_data, retimed=True))))
    assert 0.01 < share < 0.12


def test_states_of_blazars(published: pa.Table) -> None:
    some = replaced(
        published.slice(0, 5),
        d_blazar_stats_instantness_low=[0.5, 0.5, -1.0, 1.2, None],
        d_blazar_stats_robustness_low=[0.9, 1.1, -1.0, 0.5, 0.5],
        d_blazar_stats_instantness_high=[1.0, 2.0, -1.0, 0.9, None],
        d_blazar_stats_robustness_high=[1.5, 0.9, -1.0, 3.0, 1.5],
    )
    assert taken("low_state_blazars", some) == [True, False, False, False, False]
    assert taken("high_state_blazars", some) == [True, False, False, False, False]


def test_an_alert_without_a_place_on_the_sky_is_not_searched_by_position(published: pa.Table) -> None:
    some = replaced(published.slice(0, 4), i_ra=[10.0, None, 10.0, 361.0], i_dec=[-5.0, 0.0, np.nan, 0.0])
    assert taken("position", some) == [True, False, False, False]


def test_versions_follow_exposures_and_tell_alerts_of_one_time_apart() -> None:
    image = 2481114533 * 10**9
    jd = [2440587.5, 2460236.1042900463, 2460236.1042900463, 2460236.1042900463, 2460236.1042900463 + 2 / 86400]
    candids = [0, image + 215015001, image + 215015002, image + 215010003, image]
    first, *together, later = versions(pa.table({"i:jd": jd, "i:candid": candids})).tolist()
    assert len(set(together)) == 3
    assert first < min(together) < max(together) < later


def test_versions_of_all_times_keys_can_hold_are_numbers_a_database_takes() -> None:
    jd, candids = [0.0, 9_999_999.9999999], [0, 28]
    first, last = versions(pa.table({"i:jd": jd, "i:candid": candids})).tolist()
    assert first == 0
    assert 2**62 < last < 2**63 - 1


def test_alerts_of_an_object_at_one_time_have_versions_of_their_own(shared_data: Path) -> None:
    alerts = publish(science_rows(shared_data))  # the times of this night were edited
    every = Counter(zip(alerts["i:objectId"].to_pylist(), alerts["i:jd"].to_pylist(), strict=True))
    assert max(every.values()) > 1
    found = set(zip(alerts["i:objectId"].to_pylist(), versions(alerts).tolist(), strict=True))
    assert len(found) == len(alerts)


def test_the_tables_that_are_needed_are_named_after_the_main_one() -> None:
    names = needed("ztf")
    assert {"ztf", "ztf.position", "ztf.class", "ztf.statistics", "ztf.schema"} <= set(names)
    assert len(names) == len(INDEX) + 3
    assert names["ztf"] == ("alert", "history", "cutout")
    assert tables.STATISTICS == "statistics"
