"""The Python environment of the TOM is built once, whole or not at all."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import fink_broker
from fink_broker.errors import ServiceError
from fink_broker.service.tom import environment

#: stands in for Python: makes an environment whose Python notes how it was called, and does what `pip` says
MAKER = """#!/bin/sh
mkdir -p "$4/bin"
rm -f "$4/.stamp"
cat > "$4/bin/python" <<'END'
#!/bin/sh
echo "$@" >> {calls}
case "$*" in *" -r "*) . {pip};; esac
END
chmod +x "$4/bin/python"
"""


class Machine:
    """A module to install, and a stand-in for Python."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.module, self.venv = folder / "module", folder / "state" / "venv"
        self.calls, self.pip = folder / "calls", folder / "pip"
        self.module.mkdir()
        self.requirements = self.module / "requirements-tom.txt"
        self.requirements.write_text("# pinned\ntomtoolkit==3.1.0\nrequests==2.34.2\n")
        (self.module / "pyproject.toml").write_text("[project]\n")
        self.calls.touch()
        self.pip.write_text("echo Collecting tomtoolkit==3.1.0\n")
        maker = folder / "maker"
        maker.write_text(MAKER.format(calls=self.calls, pip=self.pip))
        maker.chmod(0o755)
        monkeypatch.setattr(environment, "_interpreter", lambda: str(maker))
        monkeypatch.setattr(environment, "_LOOK_SECONDS", 0.01)
        self.said: list[str] = []
        self.stop = threading.Event()

    def ensure(self) -> Path | None:
        return environment.ensure(self.venv, self.module, self.stop, self.said.append)

    @property
    def installations(self) -> int:
        return sum("-r" in line.split() for line in self.calls.read_text().splitlines())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_it_is_built_once(machine: Machine) -> None:
    assert machine.ensure() == machine.venv / "bin" / "python"
    assert machine.installations == 1
    assert f"--editable {machine.module}" in machine.calls.read_text()
    assert all(text.startswith("starting: ") for text in machine.said), "the service is not up meanwhile"
    assert machine.ensure() == machine.venv / "bin" / "python"
    assert machine.installations == 1


def test_it_is_built_anew_when_its_packages_change(machine: Machine) -> None:
    machine.ensure()
    machine.requirements.write_text("tomtoolkit==3.1.1\n")
    machine.ensure()
    assert machine.installations == 2


def test_what_failed_is_said_and_tried_again(machine: Machine) -> None:
    whole = machine.pip.read_text()
    machine.pip.write_text("echo 'ERROR: No matching distribution found for tomtoolkit==3.1.0'; exit 1\n")
    with pytest.raises(ServiceError, match=r"could not be built: No matching distribution found .* tries again\."):
        machine.ensure()
    machine.pip.write_text(whole)
    assert machine.ensure() is not None
    assert machine.installations == 2


def test_an_interrupted_one_is_not_trusted(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_STEP", 1)

    def say(text: str) -> None:
        if text.endswith(", 1 of 2"):
            machine.stop.set()

    machine.pip.write_text("echo Collecting tomtoolkit==3.1.0\nexec sleep 60\n")
    assert environment.ensure(machine.venv, machine.module, machine.stop, say) is None
    machine.stop.clear()
    machine.pip.write_text("true\n")
    assert machine.ensure() is not None
    assert machine.installations == 2


def test_progress_is_told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_STEP", 1)
    told = threading.Event()

    def say(text: str) -> None:
        if text.endswith(", 1 of 2"):
            told.set()
            machine.pip.with_name("go").touch()

    machine.pip.write_text(
        f"echo Collecting tomtoolkit==3.1.0\nwhile [ ! -e {machine.pip.with_name('go')} ]; do sleep 0.01; done\n"
    )
    assert environment.ensure(machine.venv, machine.module, machine.stop, say) is not None
    assert told.is_set()


def test_without_a_checkout_there_is_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fink_broker, "__file__", str(tmp_path / "fink_broker" / "__init__.py"))
    with pytest.raises(ServiceError, match="does not come with the installed package"):
        environment.module_folder()


def test_all_packages_of_the_checkout_are_pinned() -> None:
    lines = (environment.module_folder() / "requirements-tom.txt").read_text().splitlines()
    packages = [line for line in lines if not line.startswith("#")]
    assert all("==" in line.partition(";")[0] for line in packages)
    assert {"tomtoolkit==3.1.0", "tom-alertstreams==1.3.0"} < set(packages)
