"""Files of positions: those that are read, in all their forms, and those refused with a reason."""

from __future__ import annotations

import gzip
import os
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table
from sky_positions import view_of

from fink_broker.errors import ConfigError
from fink_broker.filters.places import columns_of_file, positions_file
from fink_broker.filters.places.angles import degrees
from fink_broker.filters.places.limited_file import open_limited, open_regular
from fink_broker.filters.places.watchlist import Watchlist

HEADER = "name,ra,dec,radius\n"


def write(folder: Path, text: str, name: str = "list.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "ra,dec\n150.25,-2.5\n",
        "\ufeffRA;DEC\r\n150.25;-2.5\r\n",
        "# a list\nid\traj2000\tDEJ2000\n\na\t150.25\t-2.5\n\n",
        "  RA_ICRS   DE_ICRS \n +150.25   -2.5  \n",
        "# _RAJ2000 _DEJ2000\n150.25 -2.5\n",
        '"ra","dec","note"\n"150.25","-2.5","a, b"\n',
        "ra|dec\n10:01:00|-02:30:00\n",
        "ra,dec\n10 01 00.000,-02 30.0\n",
        "ra,dec\n10h01m00s,-02d30m00s\n",
        "mag,dec,RAJ2000,ra\n3,-2.5,1,150.25\n",
    ],
)
def test_text_in_all_its_forms(tmp_path: Path, text: str) -> None:
    positions = Watchlist(write(tmp_path, text)).positions
    np.testing.assert_allclose((positions.ra[0], positions.dec[0]), (150.25, -2.5), atol=1e-12)
    assert len(positions) == 1


def tables(ra_unit: str = "deg") -> Table:
    return Table(
        {
            "main_id": ["first", "second"],
            "RAJ2000": [150.25, 10.0] * units.Unit(ra_unit),
            "DEJ2000": [-2.5, 3.0] * units.deg,
            "radius": [0.5, 1.0] * units.arcmin,
        }
    )


WRITERS: dict[str, Callable[[Table, Path], None]] = {
    "votable": lambda table, path: table.write(path, format="votable"),
    "votable, binary": lambda table, path: table.write(path, format="votable", tabledata_format="binary"),
    "votable, binary2": lambda table, path: table.write(path, format="votable", tabledata_format="binary2"),
    "ecsv": lambda table, path: table.write(path, format="ascii.ecsv"),
    "fits": lambda table, path: table.write(path, format="fits"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("form", WRITERS)
def test_tables_of_astronomers_with_their_units(tmp_path: Path, form: str, packed: bool) -> None:
    path = tmp_path / "list"
    WRITERS[form](tables(), path)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        watch = Watchlist(path)
        positions = watch.positions
    np.testing.assert_allclose(positions.ra, [150.25, 10])
    np.testing.assert_allclose(positions.dec, [-2.5, 3])
    np.testing.assert_allclose(positions.radius, [30, 60])
    assert positions.names == ["first", "second"]


def test_a_missing_position_of_a_table_is_told_by_its_row(tmp_path: Path) -> None:
    table = Table({"ra": [1.0, 2.0], "dec": [1.0, 2.0]}, masked=True)
    table["dec"].mask[1] = True
    table.write(tmp_path / "list.vot", format="votable")
    with pytest.raises(ConfigError, match=r"Row 2 of 'list.vot' has an empty cell as 'dec'"):
        Watchlist(tmp_path / "list.vot").check(view_of([], []).table.schema)


def test_radii_of_their_own_or_the_default(tmp_path: Path) -> None:
    positions = Watchlist(write(tmp_path, HEADER + "a,1,1,\nb,2,2,180\n"), radius_arcsec=4).positions
    assert list(positions.radius) == [4, 180]
    positions = Watchlist(write(tmp_path, "ra,dec,radius_arcmin\n1,1,\n2,2,3\n"), radius_arcsec=4).positions
    np.testing.assert_allclose(positions.radius, [4, 180])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'list.csv' is empty"),
        ("\n\n", "has no rows"),
        ("# only a comment\n", "has no rows"),
        ("ra,dec\n", "has no rows"),
        ("alpha,beta\n1,2\n", "no columns of positions; its columns are 'alpha', 'beta'"),
        ("1.5,2.5\n3.5,4.5\n", "no columns of positions"),
        (HEADER + "a,1,1,1\n\nb,x,2,1\n", "Line 4 of 'list.csv' has 'x' as 'ra', no angle"),
        (HEADER + "a,1,,1\n", "Line 2 of 'list.csv' has '' as 'dec', no angle"),
        (HEADER + "a,nan,1,1\n", "Line 2 of 'list.csv' has 'nan' as 'ra'"),
        (HEADER + "a,1_0,1,1\n", "Line 2 of 'list.csv' has '1_0' as 'ra'"),
        (HEADER + "a,inf,1,1\nb,inf,1,1\n", "has 'inf' as 'ra', no angle .1 more"),
        (HEADER + "a,361,1,1\n", "Line 2 of 'list.csv' is off the sky"),
        (HEADER + "a,1,90.001,1\n", "Line 2 of 'list.csv' is off the sky"),
        (HEADER + "a,10:61:00,1,1\n", "Line 2 of 'list.csv' has '10:61:00' as 'ra'"),
        (HEADER + "a,1,1,0\n", "Line 2 of 'list.csv' has no radius"),
        (HEADER + "a,1,1,-3\n", "Line 2 of 'list.csv' has no radius"),
        (HEADER + "a,1,1,36001\n", "Line 2 of 'list.csv' has no radius"),
        (HEADER + "a,1,1,wide\n", "Line 2 of 'list.csv' has no radius"),
        (HEADER + "a,1,1\n", "Line 2 of 'list.csv' has 3 cells, its head 4"),
        (HEADER + 'a,"1,1,1\n', "Line 2 of 'list.csv' cannot be read"),
        (HEADER + "a" * 200_000 + ",1,1,1\n", "Line 2 of 'list.csv' cannot be read"),
        ("<VOTABLE><RESOURCE>", "is no VOTable"),
        ("<VOTABLE/>", "cannot be read"),
        ("<html><body/></html>", "cannot be read"),
        ("# %ECSV 1.0\n# ---\n# datatype: !!python/object/apply:os.getcwd []\nra dec\n1 2\n", "unable to parse yaml"),
    ],
)
def test_files_refused_with_a_reason(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        Watchlist(write(tmp_path, text)).check(view_of([], []).table.schema)
    assert refused.value.hint


def votable(inside: str, fields: str = "", table: str = "", before: str = "") -> str:
    return (
        f'<?xml version="1.0"?>{before}<VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE>'
        f'<TABLE {table}><FIELD name="ra" datatype="double" unit="deg"/><FIELD name="dec" datatype="double"/>{fields}'
        f"<DATA>{inside}</DATA></TABLE></RESOURCE></VOTABLE>"
    )


ROW = "<TABLEDATA><TR><TD>1</TD><TD>2</TD></TR></TABLEDATA>"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (votable('<BINARY><STREAM href="http://127.0.0.1:9/x"/></BINARY>'), "points to data that stand elsewhere"),
        (votable('<FITS><STREAM encoding="none" href="file:///etc/hosts"/></FITS>'), "points to data"),
        (votable(ROW, before='<!DOCTYPE x [<!ENTITY a "1">]>'), "declares a document type"),
        (votable(ROW, table='nrows="99999999999"'), "more than 1,000,000 rows"),
        (votable(ROW, fields='<FIELD name="x" datatype="double" arraysize="99999x99999"/>'), "arrays too large"),
    ],
)
def test_votables_that_reach_out_or_overstate_themselves(tmp_path: Path, text: str, message: str) -> None:
    assert len(Watchlist(write(tmp_path, votable(ROW), "good.vot")).positions) == 1
    with pytest.raises(ConfigError, match=message):
        _ = Watchlist(write(tmp_path, text)).positions


def test_files_too_large_missing_packed_twice_or_not_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="There is no file"):
        _ = Watchlist(tmp_path / "none.csv").text
    with pytest.raises(ConfigError, match="There is no file"):
        _ = Watchlist(Path("/dev/zero")).text
    path = tmp_path / "list.csv"
    path.write_bytes(b"ra,dec\n\xff\xfe,1\n")
    with pytest.raises(ConfigError, match="byte 8 is no UTF-8"):
        _ = Watchlist(path).text
    path.write_bytes(gzip.compress(bytes(210 * 1024**2), compresslevel=1))
    assert path.stat().st_size < 2 * 1024**2
    with pytest.raises(ConfigError, match="larger than 200 MiB"):
        _ = Watchlist(path).text
    path.write_bytes(gzip.compress(b"ra,dec\n1,1\n")[:-9])
    with pytest.raises(ConfigError, match="cannot be unpacked"):
        _ = Watchlist(path).text
    with path.open("wb") as file:
        file.truncate(201 * 1024**2)
    with pytest.raises(ConfigError, match="larger than 200 MiB"):
        _ = Watchlist(path).text
    monkeypatch.setattr(columns_of_file, "LARGEST_ROWS", 2)
    with pytest.raises(ConfigError, match="more than 2 rows"):
        _ = Watchlist(write(tmp_path, "ra,dec\n1,1\n1,1\n1,1\n")).text


MANY = [f"c{number}" for number in range(300)]


@pytest.mark.parametrize("form", ["csv", *WRITERS])
def test_wide_tables_are_refused_whatever_their_form(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(columns: int, rows: int = 1) -> int:
        table = Table({name: [1.0] * rows for name in ["ra", "dec", *MANY[: columns - 2]]})
        path = tmp_path / f"{columns}-{rows}"
        WRITERS.get(form, lambda table, path: table.write(path, format="ascii.csv"))(table, path)
        return len(Watchlist(path).positions)

    assert read(columns=200) == 1
    with pytest.raises(ConfigError, match="more than 200 columns"):
        read(columns=201)
    monkeypatch.setattr(columns_of_file, "LARGEST_CELLS", 100)
    assert read(columns=10, rows=10) == 10
    with pytest.raises(ConfigError, match=r"more than 100 (cells|values)"):
        read(columns=10, rows=11)


def test_only_needed_columns_are_kept(tmp_path: Path) -> None:
    needless = {name: [1.0] for name in MANY[:20]}
    table = Table({"RA": [1.0], "ra": [9.0], "raj2000": [9.0], "dec": [2.0], "radius": [3.0], "id": [4], **needless})
    for form, writer in {"csv": lambda table, path: table.write(path, format="ascii.csv"), **WRITERS}.items():
        if form == "fits":
            table.remove_column("ra")  # names of FITS know no case
        path = tmp_path / form.replace(", ", "-")
        writer(table, path)
        with open_limited(path, 10_000_000) as opened:
            read = columns_of_file.read_columns(opened, positions_file._needed)
        assert list(read.columns) == ["RA", "dec", "radius", "id"]
        assert {"raj2000", *MANY[:20]} <= set(read.names)


@pytest.mark.parametrize("form", ["votable", "ecsv"])
def test_needless_columns_take_less_memory(tmp_path: Path, form: str) -> None:
    def peak(columns: list[str]) -> int:
        tracemalloc.start()
        try:
            with open_limited(tmp_path / "list", 10_000_000) as opened:
                columns_of_file.read_columns(opened, lambda _: columns)
            return tracemalloc.get_traced_memory()[1] - (tmp_path / "list").stat().st_size
        finally:
            tracemalloc.stop()

    WRITERS[form](Table({name: np.ones(300) for name in ("ra", "dec", *MANY[:150])}), tmp_path / "list")
    peak(["ra"])  # what is imported does not count
    assert peak(["ra", "dec"]) < 0.85 * peak(["ra", "dec", *MANY[:150]])


def test_ecsv_with_columns_made_up_of_several(tmp_path: Path) -> None:
    sky = SkyCoord([1.0, 2.0], [3.0, 4.0], unit="deg")
    table = QTable({"sky": sky, "ra": [1.0, 2.0] * units.deg, "dec": [3.0, 4.0] * units.deg, "flux": [5, 6] * units.Jy})
    for delimiter in (" ", ","):
        table.write(tmp_path / "list.ecsv", format="ascii.ecsv", delimiter=delimiter, overwrite=True)
        assert list(Watchlist(tmp_path / "list.ecsv").positions.dec) == [3, 4]
        tables().write(tmp_path / "list.ecsv", format="ascii.ecsv", delimiter=delimiter, overwrite=True)
        assert list(Watchlist(tmp_path / "list.ecsv").positions.dec) == [-2.5, 3]


def test_a_pipe_is_no_list(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "list.csv")
    with pytest.raises(ConfigError, match="There is no file"):
        _ = Watchlist(tmp_path / "list.csv").text
    with pytest.raises(OSError, match="no regular file"):
        open_regular(tmp_path / "list.csv")


def test_a_list_mended_is_read_again(tmp_path: Path) -> None:
    watch = Watchlist(write(tmp_path, "ra,dec\nx,1\n"))
    with pytest.raises(ConfigError):
        _ = watch.positions
    write(tmp_path, "ra,dec\n1,1\n")
    assert len(watch.positions) == 1


def test_sexagesimal_angles() -> None:
    texts = ["-00:30:00", "12:00:36", "1 30", "23h59m59.9s", "+5d30'36\"", "12:00:60", "12:30.5:10", "1:2:3:4", "x"]
    expected = [-0.5, 12.01, 1.5, 23.99997222222222, 5.51, np.nan, np.nan, np.nan, np.nan]
    np.testing.assert_allclose(degrees(texts, hours=False), expected, atol=1e-12)
    np.testing.assert_allclose(degrees(["12:00:36", "12.01"], hours=True), [180.15, 12.01], atol=1e-12)


def test_hours_as_numbers(tmp_path: Path) -> None:
    table = tables(ra_unit="hourangle")
    table["RAJ2000"][:] = [10.0, 1.0]
    table.write(tmp_path / "list.ecsv", format="ascii.ecsv")
    np.testing.assert_allclose(Watchlist(tmp_path / "list.ecsv").positions.ra, [150, 15])
