"""Services outside: what they answer is understood, and whatever they do, there is an answer in time."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import outside_services as faults
import pytest
from outside_services import MARKARIAN_2, Outside, closed_port, config_for, services, serving

from fink_broker.config import Config
from fink_broker.portal.providers import service
from fink_broker.portal.providers.away import NotAsked, ServiceAway
from fink_broker.portal.providers.none import no_providers
from fink_broker.portal.providers.open import open_providers as open_with
from fink_broker.portal.providers.outside import Ask, CouldNotFetch
from fink_broker.portal.providers.outside import Outside as Fetcher
from fink_broker.portal.providers.providers import Providers, SmallBody
from fink_broker.portal.providers.quaero import is_comet_name, with_blank
from fink_broker.portal.providers.sesame import MOST_BYTES, NotSesame, read_sesame
from fink_broker.portal.route import RequestError

JD = np.array([2460000.5, 2460001.75])
#: a question to each service
QUESTIONS: dict[str, Callable[[Providers], Any]] = {
    "CDS Sesame": lambda providers: providers.sesame.resolve("Markarian 2"),
    "SsODNet": lambda providers: providers.quaero.identify("8467"),
    "Miriade": lambda providers: providers.miriade.at("Benoitcarry", False, JD),
    "GraceDB": lambda providers: providers.gracedb.skymap("S190521g"),
}


#: shared: it takes 0.1 s to read the certificates of all authorities
FETCHER = Fetcher()


def open_providers(config: Config) -> Providers:
    return open_with(config, FETCHER)


@pytest.fixture
def outside() -> Iterator[Outside]:
    with serving(services) as server:
        yield server


@pytest.fixture
def providers(outside: Outside) -> Providers:
    return open_providers(config_for(outside.url))


def test_sesame_tells_what_simbad_knows(providers: Providers, outside: Outside) -> None:
    (found,) = providers.sesame.resolve("Markarian 2")
    assert found.oname == "NVSS J015453+365505 & co"
    assert (found.name, found.oid, found.otype) == ("S=Simbad (CDS, via url)", "@386404", "AGN")
    assert (found.jpos, found.jradeg, found.jdedeg) == ("01:54:53.80 +36:55:04.6", "28.7241678", "+36.9179608")
    assert (found.refPos, found.MType, found.nrefs) == ("2020yCat.1350....0G", "SBa", "107")
    assert providers.sesame.resolve("Markarian 2") == (found,)
    assert len(outside.requests) == 1  # the second time it is remembered
    assert list(providers.sesame.resolve("what & is ? this/../#")) == []
    assert outside.requests[-1].query == "what%20%26%20is%20%3F%20this%2F..%2F%23"
    assert outside.requests[-1].path == "/sesame/-oxp/~S"


def test_quaero_tells_who_goes_by_a_name(providers: Providers, outside: Outside) -> None:
    expected = SmallBody("Benoitcarry", 8467, False, ("8467", "1981 EJ28", "2008467", "1991 PS5"))
    for name in ("8467", "benoitcarry", "BenoitCarry", "1981EJ28", "1981 EJ28"):
        assert providers.quaero.identify(name) == expected
    assert providers.quaero.identify("Rubin").number == 5726  # not Rubincam
    assert providers.quaero.identify("2010JO69") == SmallBody("2010 JO69", None, False, ("2010 JO69", "K10J69O"))
    assert providers.quaero.identify("10P") == SmallBody("10P", None, True, ("Tempel 2", "1873 N1"))
    assert providers.quaero.identify("Ceres").number == 1
    assert providers.quaero.identify("Rub") is None
    asked = len(outside.requests)
    assert providers.quaero.identify("Rub") is None
    assert len(outside.requests) == asked


def test_names_that_are_queries_stay_names(providers: Providers, outside: Outside) -> None:
    assert providers.quaero.identify('x" OR name:* OR "\\') is None
    assert outside.requests[-1].parameters["q"].endswith('AND "x OR name:* OR "~0')


@pytest.mark.parametrize(
    ("name", "blank", "is_comet"),
    [
        ("2010JO69", "2010 JO69", False),
        ("C/2014UN271", "C/2014 UN271", True),
        ("10P", "10P", True),
        ("73P-B", "73P-B", True),
        ("1I", "1I", True),
        ("Ceres", "Ceres", False),
        ("1994", "1994", False),
        ("2023A3", "2023 A3", False),
    ],
)
def test_designations(name: str, blank: str, is_comet: bool) -> None:
    assert (with_blank(name), is_comet_name(name)) == (blank, is_comet)


def test_miriade_tells_where_a_body_was(providers: Providers, outside: Outside) -> None:
    table = providers.miriade.at("Benoitcarry", False, JD)
    assert table["Dobs"].to_pylist() == pytest.approx([2.0, 2.25])
    assert table["RA"].to_pylist() == ["+10 54 17.78"] * 2
    assert {"Phase", "SDSS:g"} <= set(table.column_names)
    asked = outside.requests[-1]
    assert asked.upload == b"2460000.500000\n2460001.750000"
    wanted = {"-name": "a:Benoitcarry", "-observer": "I41", "-mime": "json", "-tscale": "UTC", "-tcoor": "5"}
    assert wanted.items() <= asked.parameters.items()
    assert providers.miriade.at("unknown", False, JD) is None
    providers.miriade.at("10P", True, JD)
    assert outside.requests[-1].parameters["-name"] == "c:10P"


def test_long_light_curves_are_asked_for_in_parts(
    providers: Providers, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fink_broker.portal.providers.miriade.MOST_EPOCHS", 3)
    jd = 2460000.5 + np.arange(8) / 10
    table = providers.miriade.at("Benoitcarry", False, jd)
    np.testing.assert_allclose(table["Date"].to_numpy(), jd, atol=1e-6)
    assert len(outside.requests) == 3


def test_gracedb_gives_the_flat_map_or_the_tree(providers: Providers) -> None:
    assert providers.gracedb.skymap("S190521g") == b"flat map"
    assert providers.gracedb.skymap("S200101a") == b"tree"
    assert providers.gracedb.skymap("S999999z") is None


@pytest.mark.parametrize("name", ["", "../admin", "S190521g/../..", "S190521g\n", "GW", "S1905211g", "S190521g?x"])
def test_only_names_of_events_are_asked_for(providers: Providers, outside: Outside, name: str) -> None:
    with pytest.raises(RequestError, match="not the name of an event"):
        providers.gracedb.skymap(name)
    assert not outside.requests


FAULTS: dict[str, Callable[[Any], None]] = {
    "slow": faults.slow,
    "slow headers": faults.slow_headers,
    "slow body": faults.slow_body,
    "status 500": faults.status(500),
    "status 503": faults.status(503),
    "status 429": faults.status(429),
    "status 403": faults.status(403),
    "no HTTP": faults.sending(b"\x00\x01garbage\r\n\r\n"),
    "hangs up": faults.sending(b""),
    "cut off": faults.sending(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello"),
    "endless": faults.endless,
    "claims to be huge": faults.sending(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"),
    "packed bomb": faults.with_body(gzip.compress(b" " * 10**7), "Content-Encoding: gzip"),
    "elsewhere": faults.redirect("http://198.51.100.7/secret"),
    "another port": faults.redirect("http://127.0.0.1:1/secret"),
    "a file": faults.redirect("file:///etc/passwd"),
    "no address": faults.redirect("http://[::bad"),
    "round and round": faults.redirect("/again"),
}


#: every fault with a question that is a POST, some with those that are GETs: they go the same way
CASES = [*((fault, "Miriade") for fault in FAULTS), *((fault, "SsODNet") for fault in FAULTS if "slow" not in fault)]
CASES += [(fault, name) for fault in ("slow body", "status 503", "cut off") for name in ("CDS Sesame", "GraceDB")]


@pytest.mark.parametrize(("fault", "name"), CASES)
def test_whatever_a_service_does_there_is_an_answer_in_time(
    outside: Outside, fault: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BACK_OFF", 0.01)
    outside.fault = FAULTS[fault]
    providers = open_providers(config_for(outside.url, seconds=0.3))
    start = time.monotonic()
    with pytest.raises(ServiceAway, match=rf"{name} could not be asked: .+\. Try again later") as raised:
        QUESTIONS[name](providers)
    assert time.monotonic() - start < 4.0
    assert raised.value.status == 424


NONSENSE = {
    "nothing": b"",
    "no text": b"\xff\xfe\x00",
    "html": b"<html><body>Down for maintenance</body></html>",
    "deep": b"[" * 100_000,
    "deep XML": b"<Sesame>" + b"<a>" * 100_000,
    "number of 10,000 digits": b'{"data": [' + b"9" * 10_000 + b"]}",
    "no object": b"[1, 2]",
    "wrong list": b'{"data": {"a": 1}}',
    "rows that are none": b'{"data": ["a", 5]}',
    "laughs": faults.BILLION_LAUGHS,
}


@pytest.mark.parametrize("name", ["CDS Sesame", "SsODNet", "Miriade"])
@pytest.mark.parametrize("nonsense", NONSENSE)
def test_nonsense_is_told_as_such_or_is_no_answer(outside: Outside, nonsense: str, name: str) -> None:
    outside.fault = faults.with_body(NONSENSE[nonsense])
    providers = open_providers(config_for(outside.url))
    try:
        assert not QUESTIONS[name](providers)
    except ServiceAway as error:
        assert f"{name} could not be asked: its answer makes no sense" in str(error)


def test_entities_are_never_expanded() -> None:
    with pytest.raises(NotSesame, match="document type"):
        read_sesame(faults.BILLION_LAUGHS)


def test_answers_of_sesame_are_taken_in_bounds() -> None:
    many = b"<Resolver name='S'><oname>" + b"x" * 5000 + b"</oname></Resolver>"
    found = read_sesame(b"<Sesame><Target>" + many * 150 + b"</Target></Sesame>")
    assert (len(found), len(found[0].oname)) == (100, 1000)
    assert len(MARKARIAN_2) < MOST_BYTES


def test_redirects_within_a_host_are_followed(outside: Outside) -> None:
    there = "/gracedb/superevents/S190521g/files/bayestar.fits.gz"
    outside.pages = lambda request: (301, b"", {"Location": there}) if request.path == "/old" else services(request)
    assert FETCHER.fetch(Ask(f"{outside.url}/old"), 1.0, 1000).body == b"flat map"


def test_a_service_that_failed_is_left_alone_for_a_while_and_then_tried_once(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BACK_OFF", 0.0)
    kept = service.Service("X", FETCHER, 10.0, 1000, rest_seconds=1.0)
    ask = Ask(f"{outside.url}/gracedb/superevents/S190521g/files/bayestar.fits.gz")
    outside.fault = faults.status(500)
    with pytest.raises(ServiceAway, match="status 500"):
        kept.ask(ask)
    assert len(outside.requests) == service.TRIES
    with pytest.raises(ServiceAway, match="status 500"):
        kept.ask(ask)
    assert len(outside.requests) == service.TRIES
    time.sleep(1.05)
    with pytest.raises(ServiceAway):
        kept.ask(ask)
    assert len(outside.requests) == service.TRIES + 1
    outside.fault = None
    time.sleep(1.05)
    assert kept.ask(ask).body == b"flat map"
    assert kept.ask(ask).body == b"flat map"


def test_a_failure_that_passes_is_not_noticed(outside: Outside) -> None:
    def once(handler: Any) -> None:
        outside.fault = None
        faults.status(502)(handler)

    outside.fault = once
    assert open_providers(config_for(outside.url)).gracedb.skymap("S190521g") == b"flat map"


def test_nobody_at_the_address(providers: Providers) -> None:
    away = open_providers(config_for(f"http://127.0.0.1:{closed_port()}"))
    with pytest.raises(ServiceAway, match="no connection to it can be made"):
        away.sesame.resolve("M31")
    nowhere = open_providers(config_for("http://no-such-host.invalid"))
    with pytest.raises(ServiceAway):
        nowhere.sesame.resolve("M31")


def test_a_slow_service_holds_few_threads(outside: Outside) -> None:
    outside.fault = faults.slow
    slow = service.Service("X", FETCHER, 0.4, 1000)
    seconds: list[float] = []

    def ask() -> None:
        start = time.monotonic()
        with pytest.raises(ServiceAway):
            slow.ask(Ask(outside.url))
        seconds.append(time.monotonic() - start)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seconds) == 12
    assert max(seconds) < 4.0
    assert len(outside.requests) <= service.SIDE_BY_SIDE


def test_memory_forgets_the_oldest_and_what_is_old() -> None:
    memory: service.Memory[str, int] = service.Memory(2, 0.5)
    memory.keep("a", 1), memory.keep("b", 2)
    assert memory.get("a") == 1
    memory.keep("c", 3)
    assert (memory.get("a"), memory.get("b"), memory.get("c")) == (1, None, 3)
    time.sleep(0.55)
    assert memory.get("c") is None


def test_fetching_ends_with_its_close() -> None:
    fetcher = Fetcher()
    with pytest.raises(CouldNotFetch):
        fetcher.fetch(Ask(f"http://127.0.0.1:{closed_port()}"), 1.0, 10)
    fetcher.close()
    fetcher.close()


@pytest.mark.parametrize("name", QUESTIONS)
def test_switched_off_services_say_so(name: str) -> None:
    with pytest.raises(NotAsked, match=rf"{name} is not asked: .* \(api\.resolvers\)"):
        QUESTIONS[name](no_providers())
    with pytest.raises(NotAsked):
        QUESTIONS[name](
            open_providers(
                config_for("http://127.0.0.1:1").model_copy(
                    update={"api": config_for("http://127.0.0.1:1").api.model_copy(update={"resolvers": ["none"]})}
                )
            )
        )
