from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from archived import archived_alerts
from portal_app import client_of

from fink_broker.archive.hbase.reader import Archive
from fink_broker.portal.client import AnswerCut, ApiError, Client, sentence_of, typed_frame

Handler = Callable[[httpx.Request], httpx.Response]


def client_with(handler: Handler, **further: Any) -> Client:
    return Client("http://test", transport=httpx.MockTransport(handler), **further)


@pytest.fixture(scope="module")
def archive(shared_data: Path) -> Archive:
    return archived_alerts(shared_data)


@pytest.fixture(scope="module")
def fink(archive: Archive) -> Iterator[Client]:
    with client_of(archive=archive, seconds=30) as api:

        def carry(request: httpx.Request) -> httpx.Response:
            answer = api.request(request.method, str(request.url), content=request.read(), headers=request.headers)
            headers = [pair for pair in answer.headers.multi_items() if pair[0] != "content-encoding"]
            return httpx.Response(answer.status_code, headers=headers, content=answer.content)

        yield client_with(carry)


def test_a_light_curve_has_the_types_of_the_archive(fink: Client, archive: Archive) -> None:
    expected = next(iter(archive.in_time("jd", page=1))).to_pylist()[0]
    frame = fink.objects(expected["i:objectId"])
    row = frame[frame["i:candid"] == expected["i:candid"]].iloc[0]
    assert row["i:magpsf"] == expected["i:magpsf"]
    assert frame["i:candid"].dtype == np.int64
    assert frame["i:magpsf"].dtype == np.float32
    assert frame["i:jd"].dtype == np.float64
    some = fink.objects(expected["i:objectId"], columns=["i:jd", "i:fid"])
    assert list(some.columns) == ["i:jd", "i:fid"]


def test_many_objects_are_asked_for_in_pieces(fink: Client, archive: Archive) -> None:
    names = [name for table in archive.in_time("jd", page=1000) for name in table["i:objectId"].to_pylist()]
    frame = fink.objects(names, columns=["i:objectId"])
    assert len(set(names)) > 100
    assert set(frame["i:objectId"]) == set(names)


def test_a_cone_as_frame_and_as_table(fink: Client, archive: Archive) -> None:
    row = next(iter(archive.in_time("jd", page=1))).to_pylist()[0]
    frame = fink.conesearch(row["i:ra"], row["i:dec"], 5)
    assert row["i:objectId"] in set(frame["i:objectId"])
    table = fink.table("conesearch", ra=row["i:ra"], dec=row["i:dec"], radius=5)
    assert list(table["i_objectId"]) == list(frame["i:objectId"])


def test_documents(fink: Client) -> None:
    assert "Fink classifiers" in fink.classes()
    assert any(group.startswith("ZTF original") for group in fink.schema())


def test_a_refusal_is_the_servers_sentence(fink: Client) -> None:
    with pytest.raises(ApiError, match="cannot be bigger than 18,000 arcseconds") as caught:
        fink.conesearch(1, 1, 20_000)
    assert caught.value.status == 400
    with pytest.raises(ApiError, match="Invalid character at col 0 parsing angle 'kfdlkj'"):
        fink.conesearch("kfdlkj", "1", 5)


def test_a_busy_server_is_asked_again_when_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("fink_broker.portal.client.time.sleep", waited.append)
    answers = iter(
        [httpx.Response(429, headers={"Retry-After": "7"}), httpx.Response(503), httpx.Response(200, json={"a": 1})]
    )
    assert client_with(lambda _: next(answers)).document("classes") == {"a": 1}
    assert waited == [7.0, 1.0]
    with pytest.raises(ApiError, match="busy") as caught:
        client_with(lambda _: httpx.Response(503, text="busy", headers={"Retry-After": "x"}), retries=2).classes()
    assert caught.value.status == 503
    assert waited == [7.0, 1.0, 1.0, 1.0]


def test_a_server_that_is_not_there() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(ApiError, match="http://test does not answer"):
        client_with(refuse).classes()


def test_a_cut_answer_warns(archive: Archive) -> None:
    with client_of(archive=archive, max_rows=5) as api:
        fink = client_with(lambda request: _copy(api.post(str(request.url), content=request.read())))
        with pytest.warns(AnswerCut, match="at most 5 rows"):
            frame = fink.rows("objects", objectId="ZTF1", columns="i:objectId")
        assert len(frame) == 5
        assert frame.attrs["is_cut"] is True


def _copy(answer: Any) -> httpx.Response:
    return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def test_the_key_is_sent_and_never_shown() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(400, text="no")

    fink = client_with(answer, key="hush")
    with pytest.raises(ApiError) as caught:
        fink.rows("objects", objectId=["a", "b"], columns=None)
    assert seen == ["Bearer hush"]
    assert "hush" not in f"{caught.value} {fink!r}"


def test_nothing_of_an_answer_is_evaluated() -> None:
    assert sentence_of("{'status': 'error', 'text': 'no\\n'}") == "no"
    assert sentence_of("{'status': 'error', 'text': ValueError('x')}") == "ValueError('x')"
    assert sentence_of("{'text': __import__('os').getcwd()}") == "__import__('os').getcwd()"
    assert sentence_of("<html>") == "<html>"


def test_arguments_are_sent_as_the_api_reads_them() -> None:
    asked: list[tuple[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, dict(request.url.params) or json.loads(request.read())))
        return httpx.Response(200, json=[{"b:cutoutScience_stampData": [[1.0, None]]}])

    pixels = client_with(answer).cutout("ZTF21abfmbix")
    assert pixels.shape == (1, 2)
    assert np.isnan(pixels[0, 1])
    fink = client_with(answer)
    fink.document("xmatch", catalog="ID,RA,Dec\n" * 1000, radius=5)
    fink.document("metadata", objectId="ZTF21abfmbix", comments=None)
    assert asked == [
        ("GET", {"objectId": "ZTF21abfmbix", "kind": "Science", "output-format": "array"}),
        ("POST", {"catalog": "ID,RA,Dec\n" * 1000, "radius": 5}),
        ("GET", {"objectId": "ZTF21abfmbix"}),
    ]


def test_integers_that_lack_stay_integers() -> None:

    frame = typed_frame(pa.table({"a": pa.array([2**62 + 1, None]), "b": pa.array([True, None]), "c": [1, 2]}))
    assert frame["a"].tolist() == [2**62 + 1, pd.NA]
    assert [str(kind) for kind in frame.dtypes] == ["Int64", "boolean", "int64"]
