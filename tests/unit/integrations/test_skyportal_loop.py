"""The loop from Kafka to SkyPortal: what is done is accepted or kept, and nothing else is done."""

import threading

import pytest
from fink_skyportal.alerts.reader import Received
from fink_skyportal.errors import PremisesMissing, Refusal, Stopped, TokenRefused
from fink_skyportal.loop import BATCH, Loop
from fink_skyportal.poster import Outcome
from fink_skyportal.refused import RefusedFile
from unit.integrations.alerts_by_hand import alert

TOPIC = "fink_sn_candidates_ztf"
REFUSAL = Refusal("POST /api/candidates", 400, "ra: not valid")


def received(offset, alert_or_error) -> Received:
    is_alert = isinstance(alert_or_error, dict)
    found, error = (alert_or_error, "") if is_alert else (None, alert_or_error)
    return Received(TOPIC, 0, offset, b"schema", b"value", found, error)


def named(name, **changes):
    return alert(objectId=name, **changes)


class Reader:
    """Gives batches; after the last one it tells the loop to stop, having given nothing."""

    def __init__(self, stop, *batches):
        self.stop, self.batches = stop, list(batches)
        self.finished, self.committed, self.asked = [], [], []

    def poll_many(self, limit, timeout_seconds):
        self.asked.append((limit, timeout_seconds))
        if self.batches:
            return self.batches.pop(0)
        self.stop.set()
        return []

    def done(self, message):
        self.finished.append(message.offset)

    def commit(self):
        self.committed = list(self.finished)


class Poster:
    """Answers a batch as it is told, by the name of an object: a refusal, or an error to raise once."""

    def __init__(self, refusals=None, *errors):
        self.refusals, self.errors, self.posted = refusals or {}, list(errors), []

    def post(self, batch):
        if self.errors:
            error = self.errors.pop(0)
            raise error(batch) if callable(error) and not isinstance(error, Exception) else error
        self.posted += [candidate.object_id for candidate in batch]
        return [Outcome(candidate, self.refusals.get(candidate.object_id)) for candidate in batch]


@pytest.fixture
def stop():
    return threading.Event()


@pytest.fixture
def file(tmp_path):
    return RefusedFile(tmp_path / "refused.jsonl")


@pytest.fixture
def loop_of(stop, file):
    def make(reader, poster, renewed=lambda: None) -> Loop:
        return Loop(
            reader, file, opened=lambda: poster, renewed=renewed, generation="stand-alone", poll_seconds=5.0, stop=stop
        )

    return make


def test_alerts_are_posted_done_and_committed(stop, loop_of, file):
    reader = Reader(stop, [received(0, named("A")), received(1, named("B"))], [received(2, named("A"))])
    poster = Poster()
    loop = loop_of(reader, poster)
    loop.run()
    assert poster.posted == ["A", "B", "A"]
    assert reader.committed == [0, 1, 2]
    assert reader.asked == [(BATCH, 5.0)] * 3
    assert str(loop.counts) == "3 received = 3 accepted + 0 refused"
    assert list(file) == []


def test_what_cannot_be_posted_is_kept_with_the_reason_and_the_rest_goes_on(stop, loop_of, file):
    batch = [
        received(0, named("A")),
        received(1, "The message has no key."),
        received(2, named("C", candidate__magpsf=None)),
        received(3, named("D")),
        received(4, named("E", cdsxmatch=["a", "list"])),
    ]
    reader = Reader(stop, batch)
    loop = loop_of(reader, Poster({"D": REFUSAL}))
    loop.run()
    assert sorted(reader.committed) == [0, 1, 2, 3, 4]
    kept = {line.offset: line for line in file}
    assert [kept[offset].object_id for offset in (1, 2, 3, 4)] == ["", "C", "D", "E"]
    assert (kept[3].refusal, kept[3].value, kept[3].key) == (REFUSAL, b"value", b"schema")
    assert kept[1].refusal.answer == "The message has no key."
    assert "candidate.magpsf" in kept[2].refusal.answer
    assert "other types" in kept[4].refusal.answer
    assert str(loop.counts) == (
        "5 received = 1 accepted + 4 refused (1 unreadable, 2 without what a candidate needs, 1 by SkyPortal)"
    )


def test_an_alert_is_kept_before_it_is_done(stop, loop_of, file):
    reader = Reader(stop, [received(0, "no alert")])
    reader.done = lambda message: kept.append([line.offset for line in file])
    kept = []
    loop_of(reader, Poster()).run()
    assert kept == [[0]]


def test_when_the_file_cannot_be_written_nothing_is_done(stop, loop_of, file):
    file.path.mkdir()
    reader = Reader(stop, [received(0, "no alert")])
    with pytest.raises(OSError, match=r"refused\.jsonl"):
        loop_of(reader, Poster()).run()
    assert reader.finished == []


def test_what_was_not_settled_before_the_stop_is_not_done(stop, loop_of):
    def stopped(batch):
        stop.set()
        return Stopped([Outcome(batch[0], None), Outcome(batch[2], REFUSAL)])

    reader = Reader(stop, [received(number, named("ABC"[number])) for number in range(3)])
    loop = loop_of(reader, Poster({}, stopped))
    loop.run()
    assert reader.committed == [0, 2]
    assert (loop.counts.accepted, loop.counts.refused) == (1, 1)


def test_two_alerts_that_are_alike_are_told_apart(stop, loop_of):
    def stopped(batch):
        stop.set()
        return Stopped([Outcome(batch[1], None)])

    reader = Reader(stop, [received(0, named("A")), received(1, named("A"))])
    loop_of(reader, Poster({}, stopped)).run()
    assert reader.committed == [1]


def test_a_renewed_token_goes_on_with_the_same_alerts(stop, loop_of):
    reader, poster = Reader(stop, [received(0, named("A"))], [received(1, named("B"))]), Poster()
    loop_of(reader, Poster({}, TokenRefused("refused")), renewed=lambda: poster).run()
    assert poster.posted == ["A", "B"]
    assert reader.committed == [0, 1]


def test_a_refused_token_ends_it_and_nothing_is_done(stop, loop_of):
    reader = Reader(stop, [received(0, named("A"))])
    with pytest.raises(TokenRefused):
        loop_of(reader, Poster({}, TokenRefused("refused"))).run()
    assert reader.finished == []


def test_skyportal_is_prepared_although_there_are_no_alerts(stop, file):
    opened = []
    loop = Loop(
        Reader(stop, []),
        file,
        opened=lambda: opened.append(1) or Poster(),
        renewed=lambda: None,
        generation="stand-alone",
        poll_seconds=5.0,
        stop=stop,
    )
    loop.run()
    assert opened == [1]


def test_kafka_is_asked_before_anything_is_made_in_skyportal(stop, file):
    class Wrong(Reader):
        def poll_many(self, limit, timeout_seconds):
            raise RuntimeError("no such topic")

    loop = Loop(
        Wrong(stop),
        file,
        opened=lambda: pytest.fail("made"),
        renewed=lambda: None,
        generation="stand-alone",
        poll_seconds=5.0,
        stop=stop,
    )
    with pytest.raises(RuntimeError, match="no such topic"):
        loop.run()


@pytest.mark.parametrize(("error", "raised"), [(Stopped(), False), (PremisesMissing("no stream"), True)])
def test_skyportal_that_cannot_be_prepared(stop, file, error, raised):
    def opened():
        raise error

    reader = Reader(stop, [received(0, named("A"))])
    loop = Loop(
        reader, file, opened=opened, renewed=lambda: None, generation="stand-alone", poll_seconds=5.0, stop=stop
    )
    if raised:
        with pytest.raises(PremisesMissing):
            loop.run()
    else:
        loop.run()
    assert reader.finished == []


def test_waiting_and_counts_are_logged(stop, loop_of, caplog):
    caplog.set_level("INFO")
    loop_of(Reader(stop, [], [received(0, named("A"))]), Poster()).run()
    assert [record.getMessage() for record in caplog.records] == [
        "No alerts received in the last 5 seconds",
        "1 received = 1 accepted + 0 refused",
    ]
