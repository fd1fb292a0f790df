"""The columns that come from SIMBAD, Gaia, VSX and SPICY, whoever is asked."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from fink_broker.config.model import Config, CrossmatchConfig
from fink_broker.errors import ConfigError, DataError
from fink_broker.science.batch import AlertBatch
from fink_broker.science.crossmatch import columns, gaia, simbad, spicy
from fink_broker.science.files import digests_of
from fink_broker.science.module import SKIPPED, Module
from fink_broker.science.pipeline import Pipeline

Build = Callable[[Config], Module]
BUILD: dict[str, Build] = {
    "simbad": simbad.build,
    "gaia": gaia.build,
    "gaia_variability": gaia.build_variability,
    "vsx": columns.build_vsx,
    "spicy": spicy.build,
}
#: Source at right ascension 10°, as the service spells it: text of the columns asked for, by table.
SOURCES = {
    "simbad": "QSO",
    "vizier:I/355/gaiadr3": "Gaia DR3 4472832130942575872,546.9759,0.0401,VARIABLE",
    "vizier:I/358/vclassre": '"RR, ""ab"""',
    "vizier:B/vsx/vsx": "RRAB",
    "vizier:J/ApJS/254/33/table1": "117446,ClassII",
}
NO_MATCH = {
    "cdsxmatch": "Unknown",
    "DR3Name": "nan",
    "Plx": "nan",
    "e_Plx": "nan",
    "gaiaVarFlag": 0,
    "gaiaClass": "nan",
    "vsx": "Unknown",
    "spicy_id": -1,
    "spicy_class": "Unknown",
}
MATCH = {
    "cdsxmatch": "QSO",
    "DR3Name": "Gaia DR3 4472832130942575872",
    "Plx": "546.9759",
    "e_Plx": "0.0401",
    "gaiaVarFlag": 1,
    "gaiaClass": 'RR, "ab"',
    "vsx": "RRAB",
    "spicy_id": 117446,
    "spicy_class": "ClassII",
}


class Service:
    """A service that knows one place, and may be told to fail."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                table, names = (re.search(rf'name="{key}"\s+([^\r\n]+)', form)[1] for key in ("cat2", "cols2"))
                outer.asked.append(table)
                lines = [f"angDist,ra_in,dec_in,objectId,{names}"]
                sent = re.findall(r"^([0-9.]+),([0-9.-]+),(\d+)$", form, re.MULTILINE)
                lines += [f"0.1,{','.join(line)},{SOURCES[table]}" for line in sent if round(float(line[0])) == 10]
                content = "\n".join([*lines, ""]).encode()
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.server.shutdown()
    service.server.server_close()


def everybody(kind: str, **settings: object) -> Config:
    providers = {name: [kind] for name in BUILD}
    return Config(crossmatch=CrossmatchConfig(**{**providers, "retries": 0, **settings}))


def positions(ra: list[float | None], dec: list[float | None]) -> pa.StructArray:
    names = ["candid", "ra", "dec"]
    return pa.StructArray.from_arrays(
        [pa.array(range(len(ra))), *(pa.array(v, pa.float64()) for v in (ra, dec))], names
    )


def rows(config: Config, ra: list[float | None], dec: list[float | None], failed: Sequence[str] = ()) -> list[dict]:
    """Return the columns of each position; 32-bit floats as text."""
    result = Pipeline([build(config) for build in BUILD.values()]).run(positions(ra, dec))
    assert all(names == list(failed) for names in result.field("science_failed").to_pylist())
    assert not any(set(failed) & set(names) for names in result.field("science_found_nothing").to_pylist())
    table = pa.table({name: result.field(name) for name in NO_MATCH})
    parallaxes = {name: [f"{value:.7g}" for value in table[name].to_pylist()] for name in ("Plx", "e_Plx")}
    return [{**row, **{k: v[i] for k, v in parallaxes.items()}} for i, row in enumerate(table.to_pylist())]


def skipped(config: Config, ra: list[float | None], dec: list[float | None]) -> dict[str, list[bool]]:
    batch = AlertBatch.from_struct(positions(ra, dec))
    return {name: list(build(config).compute(batch)[SKIPPED]) for name, build in BUILD.items()}


def test_types_are_those_of_production() -> None:
    outputs = {column.name: column for build in BUILD.values() for column in build(Config()).outputs}
    assert {name: str(column.type) for name, column in outputs.items()} == {
        "cdsxmatch": "string", "DR3Name": "string", "Plx": "float", "e_Plx": "float", "gaiaVarFlag": "int32",
        "gaiaClass": "string", "vsx": "string", "spicy_id": "int32", "spicy_class": "string",
    }  # fmt: skip
    absent = {name: column.absent for name, column in outputs.items()}
    assert absent == {**NO_MATCH, "Plx": None, "e_Plx": None}


def test_the_service_answers_with_one_request_a_table(service: Service) -> None:
    config = everybody("service", service_url=service.url)
    # the last two are no places on the sky
    found = rows(config, [10.0, 20.0, 10.0, 10.0, None], [1.0, 1.0, 1.0, 95.0, 1.0])
    assert found == [MATCH, NO_MATCH, MATCH, NO_MATCH, NO_MATCH]
    assert sorted(service.asked) == sorted(SOURCES)
    assert rows(config, [10.0], [1.0]) == [MATCH]
    assert len(service.asked) == len(SOURCES)
    assert skipped(config, [10.0, None], [1.0, 1.0]) == {name: [False, True] for name in BUILD}


def test_a_failed_question_is_told_by_the_simbad_label_and_counts_as_a_failure(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.status = 504
    config = everybody("service", service_url=service.url)
    assert rows(config, [10.0], [1.0], failed=["cdsxmatch", *list(BUILD)[1:]]) == [
        {**NO_MATCH, "cdsxmatch": "Fail 504"}
    ]
    assert skipped(config, [10.0], [1.0]) == {name: [False] for name in BUILD}
    assert len(caplog.messages) == len(service.asked) == len(SOURCES)
    assert all("status 504" in message for message in caplog.messages)


def test_nobody_is_asked() -> None:
    assert rows(everybody("none"), [10.0], [1.0]) == [NO_MATCH]
    assert skipped(everybody("none"), [10.0], [1.0]) == {name: [True] for name in BUILD}
    assert all(build(everybody("none")).digests() == () for build in BUILD.values())


def test_vsx_has_one_value_for_no_match_whoever_is_asked(service: Service) -> None:
    ra, dec = [0.0], [-85.0]
    for kind in ("service", "none", "local"):
        config = Config(crossmatch=CrossmatchConfig(vsx=[kind], service_url=service.url))
        assert (
            pa.array(columns.build_vsx(config).compute(AlertBatch.from_struct(positions(ra, dec)))["vsx"])[0].as_py()
            == "Unknown"
        )


def operator_files(folder: Path, ending: str) -> dict[str, str]:
    tables = {
        "gaia": {
            "ra": [10.0, 30.0], "dec": [1.0, 1.0], "DR3Name": ["Gaia DR3 4472832130942575872", "Gaia DR3 2"],
            "Plx": [546.9759, None], "e_Plx": [0.0401, None], "VarFlag": ["VARIABLE", "NOT_AVAILABLE"],
        },
        "gaia_variability": {"RA_ICRS": [10.0, 30.0], "DE_ICRS": [1.0, 1.0], "Class": ['RR, "ab" ', "  "]},
        "spicy": {"RAJ2000": [10.0, 30.0], "DEJ2000": [1.0, 1.0], "SPICY": [117446, 0], "class": ["ClassII", "FS"]},
    }  # fmt: skip
    for name, content in tables.items():
        write = pq.write_table if ending == "parquet" else pacsv.write_csv
        write(pa.table({**content, "other": ["x", "y"]}), folder / f"{name}.{ending}")
    return {f"{name}_file": str(folder / f"{name}.{ending}") for name in tables}


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_files_of_the_operator_answer_like_the_service(tmp_path: Path, ending: str) -> None:
    files = operator_files(tmp_path, ending)
    config = everybody("local", **files)
    # 0.9″ and 1.1″ north of the first source
    found = rows(config, [10.0, 10.0, 30.0], [1.0 + 0.9 / 3600, 1.0 + 1.1 / 3600, 1.0])
    within_spicy_alone = NO_MATCH | {"spicy_id": MATCH["spicy_id"], "spicy_class": MATCH["spicy_class"]}
    second = NO_MATCH | {"DR3Name": "Gaia DR3 2", "spicy_id": 0, "spicy_class": "FS"}
    own = NO_MATCH.keys() - {"cdsxmatch", "vsx"}
    for row, expected in zip(found, [MATCH, within_spicy_alone, second], strict=True):
        assert {name: row[name] for name in own} == {name: expected[name] for name in own}
    for name in ("gaia", "gaia_variability", "spicy"):
        digest = hashlib.sha256(Path(files[f"{name}_file"]).read_bytes()).hexdigest()
        assert BUILD[name](config).digests() == (digest,)
    assert BUILD["vsx"](config).digests() == digests_of("catalogs/vsx.parquet")
    assert len(BUILD["simbad"](config).digests()) == 5


def test_a_file_answers_where_the_service_cannot(service: Service, tmp_path: Path) -> None:
    service.status = 500
    files = operator_files(tmp_path, "parquet")
    settings = CrossmatchConfig(gaia=["service", "local"], service_url=service.url, retries=0, **files)
    outputs = gaia.build(Config(crossmatch=settings)).compute(
        AlertBatch.from_struct(positions([10.0, 9.0], [1.0, 1.0]))
    )
    assert pa.array(outputs["DR3Name"]).to_pylist() == [MATCH["DR3Name"], "nan"]
    service.status = 200
    # the service said that there is nothing at 30°: the file is not asked
    settings = settings.model_copy(update={"retries": 1})
    outputs = gaia.build(Config(crossmatch=settings)).compute(AlertBatch.from_struct(positions([30.0], [1.0])))
    assert pa.array(outputs["DR3Name"]).to_pylist() == ["nan"]


def test_a_renewed_file_is_taken_up(tmp_path: Path) -> None:
    config = everybody("local", **operator_files(tmp_path, "csv"))
    module, batch = spicy.build(config), AlertBatch.from_struct(positions([10.0], [1.0]))
    module.prepare()
    before = module.digests()
    path = tmp_path / "spicy.csv"
    path.write_text("ra,dec,SPICY,class\n10,1,5,ClassI\n")
    os.utime(path, ns=(1, 1))
    assert pa.array(module.compute(batch)["spicy_id"]).to_pylist() == [5]
    assert module.digests() != before


@pytest.mark.parametrize("name", ["gaia", "gaia_variability", "spicy"])
def test_local_without_a_file_is_an_error(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^crossmatch\.{name} names 'local', but crossmatch\.{name}_file names no"):
        BUILD[name](Config(crossmatch=CrossmatchConfig(**{name: ["service", "local"]})))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no columns ra and dec"),
        (b"ra,dec,SPICY\n1,2,3\n", "no column class"),
        (b"ra,dec,SPICY,class\n1,2,many,FS\n", "many"),
        (b"ra,dec,SPICY,class\n1,north,3,FS\n", "north"),
        (b"PAR1 and no more", "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_no_catalogue_is_an_error(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "spicy.csv"
    if content is not None:
        path.write_bytes(content)
    module = spicy.build(Config(crossmatch=CrossmatchConfig(spicy=["local"], spicy_file=str(path))))
    with pytest.raises(DataError, match=rf"(?s)catalogue of spicy .*{reason}.*crossmatch\.spicy_file"):
        module.prepare()


def test_an_alert_has_the_same_columns_alone_and_among_others(tmp_path: Path) -> None:
    config = everybody("local", **operator_files(tmp_path, "parquet"))
    random = np.random.default_rng(5)
    ra = list(random.choice([10.0, 30.0, 10.0002, 50.0, np.nan], size=60))
    dec = list(1.0 + random.choice([0.0, 0.0001, 0.0003], size=60))
    together = rows(config, ra, dec)
    assert [rows(config, ra[k : k + 1], dec[k : k + 1])[0] for k in range(60)] == together
    order = random.permutation(60)
    assert rows(config, [ra[k] for k in order], [dec[k] for k in order]) == [together[k] for k in order]


def test_no_position_has_a_gaia_name_in_the_numbers_of_production(shared_data: Path) -> None:
    """The labels production's filters were tested with are those written here where there is no match."""
    labels = pd.read_parquet(shared_data / "expected" / "filters_20231018_labels.parquet")
    for name in ("DR3Name", "spicy_class", "spicy_id"):
        assert NO_MATCH[name] in set(labels[name])
