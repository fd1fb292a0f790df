from __future__ import annotations

import os
import tomllib
from contextlib import nullcontext
from pathlib import Path

import pytest

from fink_broker.errors import ConfigError
from fink_broker.portal.keys import Quotas, digest_of, entry_of, make_key, network_of, read_keys
from fink_broker.portal.route import RequestError

ADDRESS = "192.0.2.7"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def keys_file(folder: Path, *entries: str) -> Path:
    path = folder / "keys.toml"
    path.write_text("\n".join(entries))
    return path


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_a_key_is_kept_as_its_digest_only() -> None:
    key, digest = make_key()
    entry = entry_of("sky portal", digest, 60, 1000)
    assert key not in entry
    assert tomllib.loads(entry)["key"] == [
        {"name": "sky portal", "sha256": digest_of(key), "per_minute": 60, "per_day": 1000}
    ]
    assert make_key()[0] != key
    with pytest.raises(ConfigError, match="name"):
        entry_of('a"\nname = "b', digest)


def test_a_key_that_is_not_known_is_refused(tmp_path: Path, clock: Clock) -> None:
    key, digest = make_key()
    quotas = Quotas(keys_file(tmp_path, entry_of("tom", digest)), 0, clock)
    assert quotas.admit(bearer(key), ADDRESS, 1) == "tom"
    assert quotas.admit({"x-api-key": key}, ADDRESS, 1) == "tom"
    for headers in (bearer("other"), bearer(key + "x"), {}, {"authorization": "Basic abc"}, bearer("\udcff")):
        with pytest.raises(RequestError) as caught:
            quotas.admit(headers, ADDRESS, 1)
        assert caught.value.status == 401
        assert key not in str(caught.value)


def test_without_a_file_nobody_needs_a_key() -> None:
    assert Quotas(None, 0).admit({}, ADDRESS, 1) == "anonymous"
    assert Quotas(None, 0).admit(bearer("anything"), ADDRESS, 1) == "anonymous"


@pytest.mark.parametrize("per_minute", [0, 5])
def test_the_right_to_write_is_no_key_and_needs_none_beside_it(tmp_path: Path, clock: Clock, per_minute: int) -> None:
    key, digest = make_key()
    quotas = Quotas(keys_file(tmp_path, entry_of("tom", digest)), per_minute, clock)
    token, _ = make_key()
    assert quotas.admit(bearer(token), ADDRESS, 1, write_token=token) == "writer"
    assert quotas.admit({"x-fink-token": token}, ADDRESS, 1, write_token=token) == "writer"
    both = {**bearer(key), "x-fink-token": token}
    assert quotas.admit(both, ADDRESS, 1, write_token=token) == "tom"
    for wrong, right in ((f"{token}s", token), ("", token), (token, "")):
        with pytest.raises(RequestError) if wrong or not per_minute else nullcontext():
            assert quotas.admit(bearer(wrong), ADDRESS, 1, write_token=right) == "anonymous"


def test_a_quota_comes_back_with_time(tmp_path: Path, clock: Clock) -> None:
    key, digest = make_key()
    quotas = Quotas(keys_file(tmp_path, entry_of("tom", digest, per_minute=3, per_day=5)), 0, clock)
    for _ in range(3):
        quotas.admit(bearer(key), ADDRESS, 1)
    with pytest.raises(RequestError) as caught:
        quotas.admit(bearer(key), ADDRESS, 1)
    assert (caught.value.status, caught.value.retry_after) == (429, 20)
    clock.now += 20
    quotas.admit(bearer(key), ADDRESS, 1)
    clock.now += 60
    quotas.admit(bearer(key), ADDRESS, 1)
    with pytest.raises(RequestError) as caught:  # of the day, 5 are used up
        quotas.admit(bearer(key), ADDRESS, 1)
    assert caught.value.retry_after is not None
    assert 16_000 < caught.value.retry_after < 18_000


def test_an_address_has_a_quota_of_its_own_and_dear_routes_take_more_of_it(clock: Clock) -> None:
    quotas = Quotas(None, 4, clock)
    quotas.admit({}, ADDRESS, 3)
    quotas.admit({}, "192.0.2.8", 3)
    quotas.admit({}, "2001:db8::1", 3)
    for address in (ADDRESS, "2001:db8::2"):
        with pytest.raises(RequestError):
            quotas.admit({}, address, 3)
    clock.now += 60
    quotas.admit({}, ADDRESS, 100)  # one that is dearer than the whole quota takes all of it


def test_what_is_remembered_of_clients_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fink_broker.portal.keys.MOST_CLIENTS", 10)
    quotas = Quotas(None, 1, clock)
    for number in range(100):
        quotas.admit({}, f"192.0.2.{number}", 1)
    assert len(quotas._buckets) == 10


def test_keys_are_read_anew_when_the_file_changes(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (old, old_digest), (new, new_digest) = make_key(), make_key()
    path = keys_file(tmp_path, entry_of("old", old_digest))
    quotas = Quotas(path, 0, clock)
    keys_file(tmp_path, "not toml at all [")
    os.utime(path, ns=(1, 1))
    clock.now += 2
    assert quotas.admit(bearer(old), ADDRESS, 1) == "old"
    assert "stay in force" in caplog.text
    keys_file(tmp_path, entry_of("new", new_digest))
    clock.now += 2
    assert quotas.admit(bearer(new), ADDRESS, 1) == "new"
    with pytest.raises(RequestError):
        quotas.admit(bearer(old), ADDRESS, 1)
    assert old not in caplog.text


@pytest.mark.parametrize(
    "content",
    ["x = 1", "key = 5", "[[key]]\nname = 'a'", "[[key]]\nname = 'a'\nsha256 = 'zz'", "[[key", "key = [1]"],
)
def test_a_damaged_keys_file_is_said_in_a_sentence(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigError, match=r"keys\.toml"):
        read_keys(keys_file(tmp_path, content))


def test_a_keys_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Quotas(tmp_path / "absent.toml", 0)


def test_addresses_of_one_client_are_one() -> None:
    assert network_of("::ffff:192.0.2.7") == "192.0.2.7"
    assert network_of("2001:db8:0:0:1::1") == network_of("2001:db8::2")
    assert network_of("testclient") == "unknown"
