"""What a transfer selects, and in which schema and with which columns it travels."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from transfer_rows import NIGHT, rows

from fink_broker.alert.wire import encode
from fink_broker.errors import ConfigError, DataError, UsageError
from fink_broker.stream.transfer.content import Content
from fink_broker.stream.transfer.schemas import JoinedSchema, conform
from fink_broker.stream.transfer.selection import Condition, Selection


class TestSelection:
    def test_what_is_asked_for(self) -> None:
        chosen = Selection.asked(
            "2023-10-01", "2023-10-31", classes=["SN  candidate", "", "A"], columns=["a", " b ", "a"]
        )
        assert chosen.start == "20231001"
        assert chosen.holds("20231031")
        assert not chosen.holds("20231101")
        assert chosen.classes == ("A", "SN candidate")
        assert chosen.columns == ("a", "b")
        assert Selection.from_dict(json.loads(json.dumps(dataclasses.asdict(chosen)))) == chosen

    @pytest.mark.parametrize(
        ("asked", "says"),
        [
            (("2023-10-32", "2023-10-31"), "is no date"),
            (("20231018", "2023-10-31"), "is no date"),
            (("2023-10-18", "2023-10-17"), "is before the first"),
        ],
    )
    def test_bad_nights(self, asked: tuple[str, str], says: str) -> None:
        with pytest.raises(UsageError, match=says):
            Selection.asked(*asked)

    def test_output_or_columns(self) -> None:
        with pytest.raises(UsageError, match="no kind of output"):
            Selection.asked("2023-10-18", "2023-10-18", output="fat")
        with pytest.raises(UsageError, match="exclude each other"):
            Selection.asked("2023-10-18", "2023-10-18", output="thin", columns=["a"])

    def test_any_of_the_classes_and_the_condition(self) -> None:
        table = rows(60)
        asked = Selection.asked(
            "2023-10-18",
            "2023-10-18",
            classes=["SN candidate", "(TNS) SN Ia", "(SIMBAD) QSO"],
            where="candidate.magpsf > 18 AND drb > 0.5",
        )
        condition = Condition(asked)
        condition.check(table.schema)
        wanted = [
            (row["finkclass"] == "SN candidate" or row["tns"] == "SN Ia" or row["cdsxmatch"] == "QSO")
            and row["candidate"]["magpsf"] > 18
            and row["candidate"]["drb"] is not None
            for row in table.to_pylist()
        ]
        assert condition.decide(table).tolist() == wanted
        assert 5 < sum(wanted) < 60
        assert set(condition.reads) == {"finkclass", "tns", "cdsxmatch", "candidate.magpsf", "candidate.drb"}


class TestSchemas:
    def test_columns_join_and_widen(self) -> None:
        one = rows(3, roid=pa.array([1, 2, 3], pa.int32()), score=pa.array([1, 2, 3], pa.float32()))
        two = rows(2, roid=pa.array([2**40, None]), score=pa.array([0.1, 0.2]), more=pa.array(["a", "b"]))
        two = two.drop_columns(["tns"])
        joined = JoinedSchema([one.schema, two.schema])
        assert joined.schema.field("roid").type == pa.int64()
        assert joined.schema.field("score").type == pa.float64()
        assert joined.schema.names[-1] == "more"
        for table in (one, two):
            found = conform(table, joined.schema)
            assert found.schema == joined.schema
            for name in joined.schema.names:
                wanted = table[name].to_pylist() if name in table.column_names else [None] * len(table)
                assert found[name].to_pylist() == wanted, name

    def test_fields_within_lists_of_structs(self) -> None:
        old = pa.table({"p": pa.array([[{"a": 1}], None, []], pa.list_(pa.struct([("a", pa.int32())])))})
        kind = pa.list_(pa.struct([("b", pa.string()), ("a", pa.int64())]))
        new = pa.table({"p": pa.array([[{"a": 2**40, "b": "x"}, None]], kind)})
        joined = JoinedSchema([old.schema, new.schema])
        assert conform(old, joined.schema)["p"].to_pylist() == [[{"a": 1, "b": None}], None, []]
        assert conform(old[1:], joined.schema)["p"].to_pylist() == [None, []]
        assert conform(new, joined.schema)["p"].to_pylist() == [[{"a": 2**40, "b": "x"}, None]]

    def test_null_structs_stay_null(self) -> None:
        old = pa.table({"s": pa.array([{"a": 1}, None], pa.struct([("a", pa.int32())]))})
        joined = JoinedSchema([old.schema, pa.schema([("s", pa.struct([("a", pa.int64())]))])])
        assert conform(old, joined.schema)["s"].to_pylist() == [{"a": 1}, None]

    def test_times_and_dictionaries_travel_as_text(self) -> None:
        times = pa.array([1, None], pa.timestamp("us", "UTC"))
        table = pa.table({"t": times, "d": pa.array(["a", None]).dictionary_encode(), "m": pa.array([1, 2], pa.int8())})
        found = conform(table, JoinedSchema([table.schema]).schema)
        assert found["t"].to_pylist() == ["1970-01-01 00:00:00.000001", None]
        assert found["d"].to_pylist() == ["a", None]
        assert found.schema.field("m").type == pa.int32()

    @pytest.mark.parametrize(("one", "other"), [(pa.int64(), pa.float64()), (pa.string(), pa.int32())])
    def test_what_cannot_be_joined_is_refused_where_it_is_wanted(self, one: pa.DataType, other: pa.DataType) -> None:
        schemas = [rows(1).schema.append(pa.field("x", kind)) for kind in (one, other)]
        joined = JoinedSchema(schemas)
        with pytest.raises(DataError, match=f"'x' is {one} in some files of these nights and {other}"):
            Content(NIGHT, joined)
        chosen = dataclasses.replace(NIGHT, columns=("tns",))
        assert "x" not in Content(chosen, joined).schema.names


class TestContent:
    @pytest.mark.parametrize(
        ("output", "absent"),
        [("full", set()), ("light_curve", {"cutoutScience"}), ("thin", {"cutoutScience", "prv_candidates"})],
    )
    def test_outputs(self, output: str, absent: set[str]) -> None:
        schema = rows(1).schema
        content = Content(Selection.asked("2023-10-18", "2023-10-18", output=output), JoinedSchema([schema]))
        kept = [name for name in schema.names if name not in {"origin", *absent}]
        assert content.schema.names == [*kept, "tracklet", "timestamp", "year", "month", "day", "tnsclass"]

    def test_chosen_columns_with_what_always_goes_along(self) -> None:
        table = rows(5)
        chosen = dataclasses.replace(NIGHT, columns=("prv_candidates.magpsf", "cdsxmatch", "cutoutScience.stampData"))
        content = Content(chosen, JoinedSchema([table.schema]))
        packed = content.pack(table, {10**18 + 3: "TRCK_1"})
        (row,) = packed[4:].to_pylist()
        assert row == {
            "objectId": "ZTF0004",
            "candid": 10**18 + 4,
            "candidate": table["candidate"][4].as_py(),
            "prv_candidates": [{"magpsf": 18.0}],
            "cutoutScience": {"stampData": b"image"},
            "cdsxmatch": "Unknown",
            "finkclass": "Unknown",
            "tracklet": "",
            "timestamp": row["timestamp"],
            "year": 2023,
            "month": 10,
            "day": 18,
            "tnsclass": "SN Ia",
        }
        moment = datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC).timestamp()
        assert moment == pytest.approx(1697608804, abs=1e-4)  # 2023-10-18 06:00:04; a jd has no more digits
        assert packed["tnsclass"].to_pylist() == ["Unknown", "SN Ia", "Unknown", "Unknown", "SN Ia"]
        assert packed["tracklet"].to_pylist() == ["", "", "", "TRCK_1", ""]
        assert len(encode(packed)) == 5

    @pytest.mark.parametrize(
        ("column", "hint"),
        [("candidate.magps", "candidate.magpsf"), ("magpsf", "candidate.magpsf"), ("cdsmatch", "cds")],
    )
    def test_unknown_columns(self, column: str, hint: str) -> None:
        with pytest.raises(ConfigError, match=f"no column '{column}'.*{hint}"):
            Content(dataclasses.replace(NIGHT, columns=(column,)), JoinedSchema([rows(1).schema]))

    def test_private_columns_stay_in_the_house(self) -> None:
        with pytest.raises(ConfigError, match="no column 'origin'"):
            Content(dataclasses.replace(NIGHT, columns=("origin",)), JoinedSchema([rows(1).schema]))

    def test_jd_beyond_the_calendar_or_missing(self) -> None:
        table = rows(3)
        jd = pa.array([{"jd": value} for value in (None, 1e300, float("nan"))], pa.struct([("jd", pa.float64())]))
        table = table.set_column(2, "candidate", jd)
        packed = Content(NIGHT, JoinedSchema([table.schema])).pack(table, {})
        assert packed["timestamp"].to_pylist() == packed["year"].to_pylist() == [None] * 3
