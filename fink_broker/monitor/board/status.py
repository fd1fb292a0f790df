"""Whether all is well, in one line, and what is not, the most urgent first."""

from __future__ import annotations

from collections.abc import Iterator

from fink_broker.monitor.board.snapshot import Snapshot
from fink_broker.monitor.board.views import SERVICE_OF, Level, Status

#: a difference counts as urgent for a day; afterwards it is still told, as known
DIFFERENCE_SECONDS = 86400.0
#: alerts that wait longer than this between two stages are told
WAITING_SECONDS = 120.0
#: messages that wait in Kafka for longer than this at the present rate are told
LAG_SECONDS = 60.0
#: a service that died longer ago is still shown, and is no news any more
DIED_SECONDS = 3 * 86400.0

#: a larger share of packets rejected in an hour is worth a look
REJECTED_SHARE = 0.01

_ORDER: tuple[Level, ...] = ("bad", "warn", "ok", "empty")


def status_of(snapshot: Snapshot) -> Status:
    """Return the status of a snapshot whose own is not set yet."""
    notes = tuple(sorted(_notes(snapshot), key=lambda note: _ORDER.index(note[0])))
    is_known = snapshot.is_complete or snapshot.trouble
    level: Level = notes[0][0] if notes and notes[0][0] != "empty" else "ok" if is_known else "empty"
    raw = snapshot.stage("raw")
    if raw.batches == 0 and level != "bad":
        return Status("empty" if not notes else level, _empty(snapshot), notes)
    return Status(level, headline(snapshot), notes)


def headline(snapshot: Snapshot) -> str:
    """Return how the counts stand, how many alerts came, how fast, and how late they leave, in one line."""
    last = max((stage.difference_last for stage in snapshot.stages if stage.difference_last is not None), default=None)
    is_fresh = last is not None and snapshot.taken - last < DIFFERENCE_SECONDS
    if is_fresh:
        counts = "Counts do not close."
    elif snapshot.trouble:
        counts = "The commits cannot be read."
    elif not snapshot.is_complete:
        counts = f"The past is being read ({snapshot.read:,} of {snapshot.to_read:,} batches)."
    else:
        counts = "All counts close." if last is None else "All counts of the last 24 h close."
    raw, topics = snapshot.stage("raw"), snapshot.stage("topics")
    parts = [f"{snapshot.alerts_day:,} alert{'' if snapshot.alerts_day == 1 else 's'} in the last 24 h"]
    if raw.rate_in_60 > 0:
        parts.append(f"{_rate(raw.rate_in_60)}/s")
    elif raw.age is not None:
        parts.append(f"the last one {ago(raw.age)} ago")
    if topics.latency_recent.p50 is not None:
        parts.append(f"{topics.latency_recent.p50:.1f} s to topics")
    return f"{counts} {', '.join(parts)}."


def ago(seconds: float) -> str:
    """Return a time span in words: 12 s, 5 min, 3 h, 2 d."""
    for unit, name in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def _empty(snapshot: Snapshot) -> str:
    if snapshot.trouble:
        return "The commits cannot be read."
    if not snapshot.is_complete:
        return "Reading what was done before."
    if any(service.state == "up" and service.name == "stream2raw" for service in snapshot.services):
        return "No alert has come in yet: stream2raw is up and waits."
    return "No alert has come in yet."


def _notes(snapshot: Snapshot) -> Iterator[tuple[Level, str]]:
    if snapshot.trouble:
        yield "bad", snapshot.trouble
    yield from _differences(snapshot)
    yield from _services(snapshot)
    yield from _disks(snapshot)
    yield from _waiting(snapshot)
    yield from _lag(snapshot)
    for filters in snapshot.filters:
        if filters.failed_last_hour:
            number = f"{filters.failed_last_hour:,} alert{'' if filters.failed_last_hour == 1 else 's'}"
            yield "warn", f"The filter {filters.name} failed on {number} in the last hour: {filters.error}"
    yield from _rejected(snapshot)


def _rejected(snapshot: Snapshot) -> Iterator[tuple[Level, str]]:
    rejected = sum(snapshot.reasons_hour.values())
    if not rejected:
        return
    share = rejected / max(1, snapshot.alerts_hour)
    first, *more = snapshot.reasons_hour
    others = f" and {len(more)} other reason{'' if len(more) == 1 else 's'}" if more else ""
    text = (
        f"{rejected:,} packet{'' if rejected == 1 else 's'} rejected in the last hour ({share:.1%}): {first}{others}."
    )
    yield "warn" if share > REJECTED_SHARE else "empty", text


def _differences(snapshot: Snapshot) -> Iterator[tuple[Level, str]]:
    for stage in snapshot.stages:
        if stage.difference_last is None:
            continue
        fresh = snapshot.taken - stage.difference_last < DIFFERENCE_SECONDS
        more = f" ({stage.difference_count - 1:,} more of {stage.name}.)" if stage.difference_count > 1 else ""
        age = "" if fresh else f" That was {ago(snapshot.taken - stage.difference_last)} ago."
        yield "bad" if fresh else "warn", f"{stage.differences[-1]}{more}{age}"


def _services(snapshot: Snapshot) -> Iterator[tuple[Level, str]]:
    for service in snapshot.services:
        when = service.ended or service.last_seen or snapshot.taken
        if service.state in ("died", "lost") and snapshot.taken - when < DIED_SECONDS:
            where = "" if service.host == snapshot.machine.host else f" on {service.host}"
            verb = "died" if service.state == "died" else "is lost"
            yield "bad", f"{service.name}{where} {verb}: {service.why or 'it said nothing.'}"


def _disks(snapshot: Snapshot) -> Iterator[tuple[Level, str]]:
    for text in snapshot.disks_away:
        yield "bad", text
    for disk in snapshot.disks:
        if disk.level != "ok":
            where = "" if disk.host == snapshot.machine.host else f" on {disk.host}"
            end = "streams pause." if disk.level == "bad" else "`fink merge` and `fink clean` make room."
            yield disk.level, f"The disk of {disk.path}{where} has {disk.free_gib:,.1f} GiB free: {end}"


def _waiting(snapshot: Snapshot) -> Iterator[tuple[Level, str]]:
    for waiting in snapshot.waiting:
        if waiting.oldest is not None and (age := snapshot.taken - waiting.oldest) > WAITING_SECONDS:
            yield (
                "warn",
                f"{waiting.alerts:,} alert{'' if waiting.alerts == 1 else 's'} of {waiting.earlier} "
                f"wait for {SERVICE_OF[waiting.later]}, the first for {ago(age)}.",
            )


def _lag(snapshot: Snapshot) -> Iterator[tuple[Level, str]]:
    lag = snapshot.lag
    if lag.state == "unknown":
        yield "warn", f"{lag.text} How far raw is behind is not known."
        return
    rate = snapshot.stage("raw").rate_in_60
    if lag.total and lag.total > LAG_SECONDS * max(rate, 1.0):
        end = f"about {ago(lag.total / rate)} at this rate" if rate else "and none is being taken in"
        yield "warn", f"{lag.total:,} messages wait in Kafka, {end}."
