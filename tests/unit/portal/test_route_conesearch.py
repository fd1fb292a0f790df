"""``conesearch``, ``explorer``, ``xmatch``: objects by position, and by name and time."""

from __future__ import annotations

import numpy as np
import pytest
from portal_questions import answer, archive_of, as_table, rows

from fink_broker.archive.hbase.reader import Archive
from fink_broker.config import Config
from fink_broker.portal.route import RequestError, Rows

A, B, C, D = "ZTF21aaaaaaa", "ZTF21aaaaaab", "ZTF22bbbbbbb", "ZTF23ccccccc"
RA, DEC = 193.8217409, 2.8973184
JD = np.array([2459523.25, 2459525.25, 2459525.26, 2459600.75, 2459601.75])


@pytest.fixture(scope="module")
def archive() -> Archive:
    """Four objects: two within 5 arcsec, one of them seen twice, one 1 arcmin away, one elsewhere."""
    return archive_of(
        {
            "objectId": [A, A, B, C, D],
            "ra": [RA, RA + 1e-5, RA, RA, 10.0],
            "dec": [DEC, DEC, DEC + 3 / 3600, DEC + 60 / 3600, -20.0],
            "jd": JD,
            "jdstarthist": [2459523.25, 2459523.25, 2459525.0, 2459600.75, 2459601.75],
            "magap": [18.0, 18.5, 19.0, 17.0, 16.0],
            "magpsf": [18.0, 18.5, 19.0, 17.0, 16.0],
        }
    )


def cone(archive: Archive, **arguments: object) -> list[str]:
    given = {"ra": RA, "dec": DEC, "radius": 5} | arguments
    found = rows(archive, "conesearch", **given)
    return found["i:objectId"].to_pylist() if len(found) else []


def test_the_latest_alert_of_each_object_is_given_the_nearest_first(archive: Archive) -> None:
    found = rows(archive, "conesearch", ra=RA, dec=DEC, radius=" 5")
    assert found["i:objectId"].to_pylist() == [A, B]
    assert found["i:jd"].to_pylist() == [JD[1], JD[2]]
    np.testing.assert_allclose(found["v:separation_degree"], [1e-5 * np.cos(np.radians(DEC)), 3 / 3600], rtol=1e-6)


@pytest.mark.parametrize(
    ("ra", "dec"),
    [
        (RA, DEC),
        (" 193.8217409", " 2.8973184"),
        ("193d49m18.267s", "2d53m50.346s"),
        ("12h55m17.218s", "+02d53m50.35s"),
        ("12:55:17.218", "2:53:50.35"),
        ("12 55 17.218", "2 53 50.35"),
    ],
)
def test_all_notations_of_a_position_find_the_same(archive: Archive, ra: object, dec: object) -> None:
    assert cone(archive, ra=ra, dec=dec) == [A, B]


def test_whole_rows_are_those_of_the_table_by_position(archive: Archive) -> None:
    found = rows(archive, "conesearch", ra=RA, dec=DEC, radius=5)
    assert set(found.column_names) == {
        "i:objectId", "i:candid", "i:magpsf", "i:sigmapsf", "i:jd", "i:jdstarthist", "d:cdsxmatch", "i:drb", "i:ra",
        "i:dec", "i:fid", "i:distnr", "d:nalerthist", "d:classification", "v:separation_degree", "v:classification",
        "v:lastdate", "v:firstdate", "v:lapse", "v:constellation",
    }  # fmt: skip
    assert found["v:constellation"].to_pylist() == ["Virgo", "Virgo"]


def test_position_and_separation_are_added_to_the_columns_asked_for(archive: Archive) -> None:
    found = rows(archive, "conesearch", ra=RA, dec=DEC, radius=5, columns="i:objectId")
    assert found.column_names == ["i:objectId", "i:ra", "i:dec", "v:separation_degree"]


def test_columns_of_the_main_table_may_be_asked_for(archive: Archive) -> None:
    found = rows(archive, "conesearch", ra=RA, dec=DEC, radius=100, columns="i:magap,v:lapse")
    assert found.column_names == ["i:magap", "v:lapse", "i:ra", "i:dec", "v:separation_degree"]
    assert found["i:magap"].to_pylist() == [18.5, 19.0, 17.0]
    np.testing.assert_allclose(found["v:lapse"], [2.0, 0.26, 0.0], atol=1e-9)


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        ({"startdate": "2021-11-03 10:00:00", "window": 1}, []),
        ({"startdate": "2021-11-04", "window": "1"}, [A]),
        ({"startdate": "2021-11-04", "stopdate": "2021-11-07"}, [A, B]),
        ({"startdate": 2459524.9, "stopdate": "2021-12-01"}, [B]),
        ({"startdate": 59524.4, "window": 0.2}, [B]),
        ({"stopdate": "2021-11-05"}, [A]),
    ],
)
def test_dates_select_on_the_first_detection(archive: Archive, dates: dict, expected: list[str]) -> None:
    assert cone(archive, **dates) == expected


def test_the_nearest_n_objects_are_given(archive: Archive) -> None:
    assert cone(archive, n="1") == [A]
    result = answer(archive, "conesearch", {"ra": RA, "dec": DEC, "radius": 5, "n": 1})
    assert isinstance(result, Rows)
    assert not result.is_cut  # the client chose so
    small = Config(api={"max_rows": 1, "resolvers": ["none"]})
    cut = answer(archive, "conesearch", {"ra": RA, "dec": DEC, "radius": 5, "n": 2}, config=small)
    assert isinstance(cut, Rows)
    assert cut.is_cut


def test_an_empty_cone_has_no_row(archive: Archive) -> None:
    nothing, whole = (rows(archive, "conesearch", ra=ra, dec=DEC, radius=5) for ra in (0, RA))
    assert len(nothing) == 0
    assert set(whole.column_names) <= set(nothing.column_names)
    named = rows(archive, "conesearch", ra=0, dec=0, radius=1, columns="i:magap")
    assert named.column_names == ["i:magap", "i:ra", "i:dec", "v:separation_degree"]


def test_a_radius_of_more_than_5_degrees_is_refused_in_the_words_of_the_contract(archive: Archive) -> None:
    with pytest.raises(RequestError) as error:
        cone(archive, radius=18000.1)
    assert error.value.text == "`radius` cannot be bigger than 18,000 arcseconds (5 degrees).\n"


def test_a_position_that_cannot_be_read_keeps_the_words_of_astropy(archive: Archive) -> None:
    with pytest.raises(RequestError) as error:
        cone(archive, ra="kfdlkj")
    assert repr(error.value.text) == "ValueError(\"Invalid character at col 0 parsing angle 'kfdlkj'\")"


@pytest.mark.parametrize(
    "wrong",
    [
        {"radius": -1}, {"radius": "nan"}, {"radius": ""}, {"n": 0}, {"n": -5}, {"n": "1e3"}, {"dec": 91}, {"dec": ""},
        {"ra": "nan"}, {"ra": "1' or '1"}, {"startdate": "soon"}, {"window": -1}, {"columns": "i:ra,x"},
        {"window": 3}, {"window": 3, "stopdate": "2021-12-01"}, {"columns": "v:g-r"},
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(archive: Archive, wrong: dict) -> None:
    with pytest.raises(RequestError) as error:
        cone(archive, **wrong)
    assert error.value.status == 400


def explored(archive: Archive, **arguments: object) -> list[str]:
    found = as_table(answer(archive, "explorer", arguments, generation="historic"))
    return found["i:objectId"].to_pylist() if len(found) else []


def test_explorer_gives_the_latest_alert_of_objects_by_name(archive: Archive) -> None:
    found = as_table(answer(archive, "explorer", {"objectId": f"ZTF21,{D}"}, generation="historic"))
    assert found["i:objectId"].to_pylist() == [D, B, A]
    assert found["i:jd"].to_pylist() == [JD[4], JD[2], JD[1]]
    assert "v:rate" not in found.column_names
    assert {"i:magap", "d:tracklet", "v:lapse"} <= set(found.column_names)
    assert explored(archive, objectId="ZTF", n=2) == [D, C]
    assert explored(archive, objectId="ZTF99") == []


def test_explorer_by_position_is_the_cone_search(archive: Archive) -> None:
    by_cone = rows(archive, "conesearch", ra=RA, dec=DEC, radius=5)
    arguments = {"ra": RA, "dec": DEC, "radius": 5}
    assert as_table(answer(archive, "explorer", arguments, generation="historic")).equals(by_cone)
    dated = {"startdate_conesearch": "2021-11-04", "window_days_conesearch": 1}
    assert explored(archive, **arguments, **dated) == [A]


def test_explorer_by_date_looks_at_three_hours(archive: Archive) -> None:
    assert explored(archive, startdate=JD[0] - 0.1) == [A]
    assert explored(archive, startdate=JD[0] - 0.2, window=100) == []
    assert explored(archive, startdate=JD[1], window="0.02") == [B, A]
    assert explored(archive, startdate=JD[1], window="0.005") == [A]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"objectId": A, "ra": 1}, "You need to set parameters from the same group\n"),
        ({"ra": 1, "dec": 1}, "A value for `radius` is required for group 1. Use GET to check arguments.\n"),
        ({"radius": 1, "dec": 1}, "A value for `ra` is required for group 1. Use GET to check arguments.\n"),
        ({"n": 5}, "A value for `startdate` is required. Use GET to check arguments.\n"),
    ],
)
def test_explorer_tells_which_arguments_go_together(archive: Archive, arguments: dict, text: str) -> None:
    with pytest.raises(RequestError) as error:
        explored(archive, **arguments)
    assert error.value.text == text


def matched(archive: Archive, catalog: str, header: str = "RA,Dec,ID", **more: object) -> list[dict]:
    arguments = {"catalog": catalog, "header": header, "radius": 5} | more
    return as_table(answer(archive, "xmatch", arguments, generation="historic")).to_pylist()


CATALOG = f"ID,RA,Dec,note\nx,{RA},{DEC},first\ny,0,0,nothing there\nz,10,-20.0,last\n"


def test_a_catalogue_is_joined_with_the_objects_around_its_positions(archive: Archive) -> None:
    found = matched(archive, CATALOG)
    assert [(row["ID"], row["note"], row["i:objectId"]) for row in found] == [
        ("x", "first", A), ("x", "first", B), ("z", "last", D),
    ]  # fmt: skip
    assert list(found[0])[:4] == ["ID", "RA", "Dec", "note"]
    assert found[0]["v:lastdate"] == "2021-11-06 18:00:00.000"


def test_a_catalogue_may_have_been_made_of_answers_of_the_archive(archive: Archive) -> None:
    catalog = f"i:objectId,i:ra,i:dec,i:jd,v:lapse,i:jd_catalog\nmine,{RA},{DEC},1.5,x,y\n"
    found = matched(archive, catalog, "i:ra,i:dec,i:objectId")
    assert [row["i:objectId"] for row in found] == [A, B]
    assert [row["i:jd"] for row in found] == [JD[1], JD[2]]
    assert {row["i:objectId_catalog"] for row in found} == {"mine"}
    assert {(row["i:jd_catalog_catalog"], row["i:jd_catalog"], row["v:lapse_catalog"]) for row in found} == {
        ("1.5", "y", "x")
    }
    assert list(found[0])[:3] == ["i:objectId_catalog", "i:ra_catalog", "i:dec_catalog"]
    assert all(isinstance(row["v:lapse"], float) for row in found)
    kept = {"i:objectId": "objectId", "v:separation_degree": "separation", "v:classification": "classification"}
    again = "x,y,note\n" + "".join(f"{row['i:ra']},{row['i:dec']},{row['i:objectId']}\n" for row in found)
    assert {row["note"] for row in matched(archive, again, "x,y,note")} == {A, B}
    assert kept.keys() <= set(found[0])


def test_a_catalogue_without_matches_has_the_columns_of_both(archive: Archive) -> None:
    table = as_table(answer(archive, "xmatch", {"catalog": "a,b,i:jd\n0,0,x", "header": "a,b,i:jd", "radius": 1},
                            generation="historic"))  # fmt: skip
    assert len(table) == 0
    assert table.column_names[:3] == ["a", "b", "i:jd_catalog"]
    assert {"i:objectId", "i:jd", "v:separation_degree", "v:classification"} <= set(table.column_names)


def test_times_of_a_catalogue_select_on_the_first_detection(archive: Archive) -> None:
    catalog = f"ID,RA,Dec,when\nx,{RA},{DEC},2021-11-04\ny,{RA},{DEC},59524.4\nz,{RA},{DEC},\n"
    found = matched(archive, catalog, "RA,Dec,ID,when", window=1)
    assert [(row["ID"], row["i:objectId"]) for row in found] == [("x", A), ("y", B)]
    later = matched(archive, catalog, "RA,Dec,ID,when")
    assert [(row["ID"], row["i:objectId"]) for row in later] == [("x", A), ("x", B), ("y", B), ("z", A), ("z", B)]


def test_a_catalogue_in_hours_works_as_a_cone_does(archive: Archive) -> None:
    assert [row["i:objectId"] for row in matched(archive, "a b,c,d\n12h55m17.218s,2d53m50.35s,1", "a b,c,d")] == [A, B]


@pytest.mark.parametrize(
    ("catalog", "header", "words"),
    [
        (CATALOG, "RA,Dec", "3 or 4 entries"),
        (CATALOG, "RA,Dec,ID,Time,x", "3 or 4 entries"),
        (CATALOG, "RA,Dec,name", "3 or 4 entries"),
        ("ID,RA,Dec\n", "RA,Dec,ID", "3 or 4 entries"),
        ("ID,RA,Dec\nx,1\n", "RA,Dec,ID", "has not the 3 cells"),
        ("ID,RA,RA\nx,1,2\n", "RA,RA,ID", "different names"),
        ("ID,RA,Dec\nx,one,2\n", "RA,Dec,ID", "Row 2 of `catalog` has no position"),
        ("ID,RA,Dec\nx,1,2000\n", "RA,Dec,ID", "Row 2 of `catalog` has no position"),
        ("ID,RA,Dec,T\nx,1,2,then\n", "RA,Dec,ID,T", "Row 2 of `catalog` has no date"),
        ('ID,RA,Dec\n"x,1,2\n', "RA,Dec,ID", "no table of comma separated values"),
        ("ID,RA,Dec\n" + "x,1,2\n" * 10_001, "RA,Dec,ID", "may have 10,000 rows"),
    ],
)
def test_a_catalogue_that_cannot_be_used_is_refused(archive: Archive, catalog: str, header: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        matched(archive, catalog, header)
