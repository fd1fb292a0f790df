"""The folder of the TOM's project: what is made once, what is renewed, what is left alone, what is secret."""

from __future__ import annotations

import json
import stat
from importlib import resources
from pathlib import Path

import pytest

from fink_broker.config import Config
from fink_broker.errors import ConfigError
from fink_broker.service.tom import project as project_module
from fink_broker.service.tom.project import FILES, Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "tom" / "project")
    assert made.write() == []
    return made


@pytest.mark.parametrize("name", sorted(FILES.values()))
def test_its_files_are_python(name: str) -> None:
    text = resources.files("fink_broker.service.tom").joinpath("files", f"{name}.txt").read_text()
    compile(text, name, "exec")


def test_secrets_are_made_once_and_for_the_owner_only(project: Project) -> None:
    key = (project.folder / "secret_key").read_text()
    password = project.password({})
    assert len(key) > 50
    assert len(password) >= 16
    project.write()
    assert (project.folder / "secret_key").read_text() == key
    assert project.password({}) == password
    modes = [path.stat().st_mode for path in (project.folder / "secret_key", project.password_file)]
    assert [stat.S_IMODE(mode) for mode in modes] == [0o600, 0o600]
    assert stat.S_IMODE(project.folder.stat().st_mode) == 0o700


def test_a_password_that_is_given_is_not_noted(project: Project) -> None:
    assert project.password({"FINK_TOM_PASSWORD": "given by hand"}) == "given by hand"
    assert not project.password_file.exists()


def test_what_the_user_changed_stays(project: Project) -> None:
    settings = project.folder / "site_of_tom" / "settings.py"
    settings.write_text(settings.read_text() + "TOM_NAME = 'Ours'\n")
    assert project.write() == ["site_of_tom/settings.py"]
    assert settings.read_text().endswith("TOM_NAME = 'Ours'\n")


def test_what_an_earlier_version_wrote_is_renewed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    urls = project.folder / "site_of_tom" / "urls.py"
    now = urls.read_text()
    # the file as another version has it
    monkeypatch.setitem(FILES, "site_of_tom/urls.py", "wsgi.py")
    assert project.write() == []
    assert urls.read_text() != now
    monkeypatch.setitem(FILES, "site_of_tom/urls.py", "urls.py")
    assert project.write() == []
    assert urls.read_text() == now


def test_a_file_that_was_not_written_any_more_is_still_ours(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    urls = project.folder / "site_of_tom" / "urls.py"
    before, write = urls.read_text(), project_module._write

    def killed(path: Path, text: str, *, private: bool = False) -> None:
        if path == urls:
            raise KeyboardInterrupt
        write(path, text, private=private)

    monkeypatch.setitem(FILES, "site_of_tom/urls.py", "wsgi.py")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(project_module, "_write", killed)
        project.write()
    assert urls.read_text() == before
    assert project.write() == []
    assert urls.read_text() != before


def test_the_settings_are_told_of_the_configuration(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINK_DISTRIBUTION_PASSWORD", "hush hush")
    config = Config.model_validate(
        {
            "distribution": {"servers": "kafka:9093", "security_protocol": "SASL_PLAINTEXT"},
            "tom": {"host": "10.1.2.3"},
            "api": {"port": 24555},
            "portal": {"port": 24666},
        }
    )
    project.tell(config, ["fink_sn_candidates_ztf"])
    text = (project.folder / "fink.json").read_text()
    told = json.loads(text)
    assert (told["servers"], told["asks_password"]) == ("kafka:9093", True)
    assert (told["api_url"], told["portal_url"]) == ("http://127.0.0.1:24555", "http://127.0.0.1:24666")
    assert {"10.1.2.3", "localhost", "127.0.0.1"} <= set(told["hosts"])
    assert list(told["groups"]) == ["fink_sn_candidates_ztf"]
    assert "hush" not in text


def test_whoever_opens_it_to_all_addresses_is_found_by_any_name(project: Project) -> None:
    project.tell(Config.model_validate({"tom": {"host": "::"}}), [])
    assert json.loads((project.folder / "fink.json").read_text())["hosts"] == ["*"]


def test_each_tom_and_each_topic_has_a_group_of_its_own(project: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "other")
    other.write()
    groups = [*project.groups(["a", "b"]).values(), *other.groups(["a", "b"]).values()]
    assert len(set(groups)) == 4
    project.write()
    assert [*project.groups(["a", "b"]).values()] == groups[:2]


@pytest.mark.parametrize(
    "section",
    [{"security_protocol": "SASL_SSL"}, {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN"}],
)
def test_a_kafka_the_stream_cannot_read_is_said(project: Project, section: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"distribution\.security_protocol is SASL_"):
        project.tell(Config.model_validate({"distribution": section}), [])
