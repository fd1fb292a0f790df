"""Both generations of config.yaml, and what is said of wrong ones."""

from pathlib import Path

import pytest
import yaml
from fink_skyportal.config import HINTS, ConfigurationError, Settings, TokenMissing, load

TOKEN = "9d2530a0-a3dc-446b-9cf9-968736699e5a"  # noqa: S105 - opens nothing
STAND_ALONE = {
    "fink_topics": ["fink_sn_candidates_ztf", "fink_kn_candidates_ztf"],
    "fink_username": "astro",
    "fink_password": "sesame",
    "fink_group_id": "my_group",
    "fink_servers": "localhost:9092,localhost:9093",
    "skyportal_token": TOKEN,
    "skyportal_url": "http://localhost:5000/",
    "skyportal_group": "Fink",
    "skyportal_name": "provisioned-admin",
    "testing": False,
    "whitelisted": True,
}
BLOCK = {
    "client_id": "astro",
    "client_group_id": "my_group",
    "topics": ["fink_sn_candidates_ztf"],
    "servers": "localhost:9092",
}
EXAMPLE = Path(__file__).parents[3] / "integrations/skyportal/config.yaml.example"


@pytest.fixture
def write(tmp_path):
    def to_file(content) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    return to_file


def refused(path, environ=None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(path, environ or {})
    assert TOKEN not in str(caught.value) and "sesame" not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_of_the_stand_alone_client(write, tmp_path):
    loaded = load(write(STAND_ALONE), {})
    settings = loaded.settings
    assert loaded.notices == ()
    assert settings.generation == "stand-alone"
    assert settings.topics == ("fink_sn_candidates_ztf", "fink_kn_candidates_ztf")
    assert (settings.username, settings.password.get_secret_value()) == ("astro", "sesame")
    assert settings.servers == "localhost:9092,localhost:9093"
    assert settings.skyportal_url == "http://localhost:5000"
    assert settings.skyportal_token.get_secret_value() == TOKEN
    assert (settings.group, settings.author, settings.whitelisted) == ("Fink", "provisioned-admin", True)
    assert (settings.poll_seconds, settings.save_sources) == (5.0, "new")
    assert settings.refused_file == tmp_path / "fink_refused.jsonl"


def test_a_block_in_the_file_of_skyportal(write, tmp_path):
    (tmp_path / ".tokens.yaml").write_text(f"INITIAL_ADMIN: {TOKEN}\n")
    path = write({"app": {"title": "T"}, "server": {"ssl": True, "host": "sky.org", "port": 443}, "fink": BLOCK})
    loaded = load(path, {})
    settings = loaded.settings
    assert settings.generation == "microservice"
    assert settings.skyportal_url == "https://sky.org:443"
    assert settings.skyportal_token.get_secret_value() == TOKEN
    assert (settings.username, settings.password, settings.poll_seconds) == ("astro", None, 10.0)
    assert loaded.notices == ()


def test_the_block_may_say_more(write):
    more = {"client_secret": "s", "maxtimeout": 3, "skyportal_token": "t", "skyportal_url": "http://h:1", "schema": "x"}
    settings = load(write({"fink": BLOCK | more}), {}).settings
    assert (settings.poll_seconds, settings.skyportal_url) == (3.0, "http://h:1")
    assert settings.skyportal_token.get_secret_value() == "t"


@pytest.mark.parametrize("content", ["", "app: {title: T}\n", "fink:\n", "fink: {}\n"])
def test_without_a_block_skyportal_has_no_alerts(write, content):
    assert load(write(content), {}).settings is None


def test_the_environment_comes_first(write):
    environ = {"FINK_SKYPORTAL_TOKEN": "other", "FINK_SKYPORTAL_URL": "https://o.org", "FINK_PASSWORD": "p"}
    settings = load(write(STAND_ALONE), environ).settings
    assert settings.skyportal_token.get_secret_value() == "other"
    assert (settings.skyportal_url, settings.password.get_secret_value()) == ("https://o.org", "p")
    without = {key: value for key, value in STAND_ALONE.items() if key not in ("skyportal_token", "skyportal_url")}
    assert load(write(without), environ).settings.skyportal_url == "https://o.org"


@pytest.mark.parametrize("key", STAND_ALONE)
def test_a_missing_key_is_named(write, key):
    assert f"lacks {key};" in refused(write({name: value for name, value in STAND_ALONE.items() if name != key}))


@pytest.mark.parametrize("key", BLOCK)
def test_a_missing_key_of_the_block_is_named(write, key):
    assert f"lacks {key};" in refused(write({"fink": {name: BLOCK[name] for name in BLOCK if name != key}}))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("fink_topics", [], "fink_topics is empty; it must be a list"),
        ("fink_topics", "fink_sn_candidates_ztf", "fink_topics is wrong; it must be a list"),
        ("fink_topics", [""], "fink_topics is empty"),
        ("fink_topics", {"a": 1}, "fink_topics is wrong"),
        ("fink_group_id", "", "fink_group_id is empty"),
        ("fink_servers", None, "fink_servers is empty"),
        ("skyportal_token", "", "skyportal_token is empty"),
        ("skyportal_token", None, "skyportal_token is empty"),
        ("skyportal_url", "", "skyportal_url is empty"),
        ("skyportal_url", "localhost:5000", "skyportal_url is wrong; it must be the address"),
        ("whitelisted", "perhaps", "whitelisted is wrong; it must be true or false"),
        ("connections", 0, "connections is wrong; it must be a number from 1 to 64"),
        ("requests_per_second", 0, "requests_per_second is wrong"),
        ("save_sources", "sometimes", "it must be new, always or never"),
        ("survey", "lsst", "alerts of Rubin are not handled"),
    ],
)
def test_a_wrong_value_is_told_in_one_sentence(write, key, value, said):
    assert said in refused(write(STAND_ALONE | {key: value}))


def test_a_wrong_secret_is_not_shown(write):
    refused(write(STAND_ALONE | {"skyportal_token": [TOKEN], "fink_password": ["sesame"]}))
    settings = load(write(STAND_ALONE | {"skyportal_url": "https://me:tulip@sky.org"}), {}).settings
    assert not any(secret in repr(settings) + str(settings) for secret in (TOKEN, "sesame", "tulip"))


def test_an_unknown_key_is_warned_of_with_the_nearest(write):
    notices = load(write(STAND_ALONE | {"conections": 3, "zzz": 1}), {}).notices
    assert [text.partition(": ")[2] for text in notices] == [
        "conections is not a key of this client; do you mean connections?",
        "zzz is not a key of this client.",
    ]


def test_testing_is_told_to_have_no_effect(write):
    (notice,) = load(write(STAND_ALONE | {"testing": True}), {}).notices
    assert "testing and schema have no effect" in notice


def test_a_password_without_a_user_is_told_to_have_no_effect(write):
    (notice,) = load(write(STAND_ALONE | {"fink_username": None}), {}).notices
    assert "there is no user" in notice


@pytest.mark.parametrize(
    ("content", "said"),
    [("a: [", "line 1 is not YAML"), ("- a\n", "holds no keys"), ("fink: yes\n", "fink must be a block")],
)
def test_what_is_no_configuration(write, content, said):
    assert said in refused(write(content))


def test_a_missing_file(tmp_path):
    assert "cannot be read" in refused(tmp_path / "nothing.yaml")


def test_a_token_that_skyportal_has_not_written_yet(write):
    with pytest.raises(TokenMissing, match="FINK_SKYPORTAL_TOKEN"):
        load(write({"fink": BLOCK}), {})


def test_each_setting_has_a_hint():
    assert set(Settings.model_fields) - {"generation"} == set(HINTS)


def test_the_example_lacks_nothing_but_the_token(tmp_path):
    text = EXAMPLE.read_text()
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert "skyportal_token is empty" in refused(path)
    loaded = load(path, {"FINK_SKYPORTAL_TOKEN": TOKEN})
    assert loaded.notices == () and loaded.settings.generation == "stand-alone"
    block = text[text.index("# fink:") :]
    path.write_text("".join(f"{line.removeprefix('#').removeprefix(' ')}\n" for line in block.splitlines()))
    assert load(path, {"FINK_SKYPORTAL_TOKEN": TOKEN}).settings.generation == "microservice"
