"""bin/fink on first use: one installation, whole or done again, and quick ever after."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]

#: stands for uv: notes what it is asked to install
FAKE_UV = """#!/bin/sh
echo "uv $*" >>"$TOLD"
[ ! -e "$BROKEN_UV" ] || { echo "no such certificate"; exit 2; }
"""
#: stands for Python: notes what it is asked to install, and answers as the fink command
FAKE_PYTHON = f"""#!/bin/sh
case "$1 $2" in
  "-m venv") echo venv >>"$TOLD"; mkdir -p "$4/bin"; cp "$0" "$4/bin/python" ;;
  "-m pip")
    shift 2
    [ "$1" != config ] || {{ echo "$PIP_SETTINGS"; exit; }}
    echo "pip $*" >>"$TOLD"; sleep 0.3; [ ! -e "$BROKEN" ] || {{ echo "no network"; exit 1; }}
    case "$*" in *" uv=="*) cp "$FAKE_UV" "$(dirname "$0")/uv" ;; esac ;;
  "-m compileall") ;;
  "-m fink_broker.service.java_parts") echo java >>"$TOLD" ;;
  "-m fink_broker") shift 2; echo "FINK_HOME=$FINK_HOME $*" ;;
  *) exec {sys.executable} "$@" ;;
esac
"""


class Clone:
    """A fresh clone with a stand-in for Python."""

    def __init__(self, folder: Path) -> None:
        self.root, self.told, self.broken = folder / "clone", folder / "told", folder / "broken"
        self.broken_uv = folder / "broken_uv"
        shutil.copytree(REPOSITORY / "bin", self.root / "bin")
        self.requirements = self.root / "requirements.txt"
        self.requirements.write_text("numpy==2.4.6\n")
        python, uv = folder / "python", folder / "fake_uv"
        for program, text in ((python, FAKE_PYTHON), (uv, FAKE_UV)):
            program.write_text(text)
            program.chmod(0o755)
        self.environment = os.environ | {"FINK_PYTHON": str(python), "FAKE_UV": str(uv), "PIP_SETTINGS": ""}
        self.environment |= {"TOLD": str(self.told), "BROKEN": str(self.broken), "BROKEN_UV": str(self.broken_uv)}
        self.environment.pop("FINK_HOME", None)

    def start(self, *words: str, command: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [command or self.root / "bin" / "fink", *words],
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def fink(self, *words: str, code: int = 0, **kwargs) -> tuple[str, str]:
        process = self.start(*words, **kwargs)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code, out + err
        return out, err

    @property
    def installations(self) -> list[str]:
        lines = self.told.read_text().splitlines() if self.told.exists() else []
        return [line.split()[0] for line in lines]


WHOLE = ["venv", "pip", "java"]
WITH_UV = "numpy==2.4.6\nuv==0.13.9\n"


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_installs_once_and_hands_over(clone: Clone) -> None:
    out, err = clone.fink("show", "-x y")
    assert out == f"FINK_HOME={clone.root} show -x y\n"
    assert "1/3" in err
    assert clone.installations == WHOLE
    out, err = clone.fink("show")
    assert err == ""
    assert clone.installations == WHOLE


def test_works_through_links_and_keeps_a_given_home(clone: Clone, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "fink"
    link.symlink_to("../clone/bin/fink")
    second = tmp_path / "fink"
    second.symlink_to(link)
    assert clone.fink("x", command=second, FINK_HOME="/data")[0] == "FINK_HOME=/data x\n"


def test_two_first_uses_at_once_install_once(clone: Clone) -> None:
    processes = [clone.start("show") for _ in range(3)]
    said = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert all(out.startswith("FINK_HOME=") for out, _ in said)
    assert clone.installations == WHOLE
    assert sum("Waiting for another fink" in err for _, err in said) == 2


def test_changed_requirements_are_installed(clone: Clone) -> None:
    clone.fink()
    clone.requirements.write_text("numpy==2.4.7\n")
    clone.fink()
    assert clone.installations == WHOLE * 2


def test_a_failed_installation_is_told_and_done_again(clone: Clone) -> None:
    clone.broken.touch()
    out, err = clone.fink("show", code=3)
    assert out == ""
    assert "The installation failed" in err
    assert "no network" in err
    clone.broken.unlink()
    clone.fink("show")
    assert clone.installations == ["venv", "pip", *WHOLE]


def test_uv_installs_where_it_is_pinned(clone: Clone) -> None:
    clone.requirements.write_text(WITH_UV)
    clone.fink()
    venv, pip, uv, java = clone.told.read_text().splitlines()
    assert (venv, java) == ("venv", "java")
    assert pip == "pip install --only-binary=:all: uv==0.13.9"
    assert uv.startswith(f"uv --directory {clone.root} pip install --python {clone.root}/.venv/bin/python ")
    assert uv.endswith(f" --requirement {clone.requirements} --editable {clone.root}")


def test_pip_installs_where_uv_fails(clone: Clone) -> None:
    clone.requirements.write_text(WITH_UV)
    clone.broken_uv.touch()
    clone.fink()
    assert clone.installations == ["venv", "pip", "uv", "pip", "java"]
    assert (
        clone.told.read_text().splitlines()[3].endswith(f"--requirement {clone.requirements} --editable {clone.root}")
    )


@pytest.mark.parametrize(
    ("setting", "by"),
    [
        ("global.index-url='https://mirror/simple'", "pip"),
        (":env:.extra-index-url='https://mirror/simple'", "pip"),
        ("install.no-index='true'", "pip"),
        ("global.proxy='http://proxy:3128'", "pip"),
        (":env:.disable-pip-version-check='1'", "uv"),
    ],
)
def test_pip_installs_where_it_is_set_up_to_go_elsewhere(clone: Clone, setting: str, by: str) -> None:
    clone.requirements.write_text(WITH_UV)
    clone.fink(PIP_SETTINGS=setting)
    assert clone.installations == (WHOLE if by == "pip" else ["venv", "pip", "uv", "java"])


def test_an_old_python_is_told(clone: Clone, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11"):
        (old / name).write_text("#!/bin/sh\nexit 1\n")
        (old / name).chmod(0o755)
    _, err = clone.fink("show", code=3, FINK_PYTHON="", PATH=f"{old}:{os.environ['PATH']}")
    assert err.startswith("Fink needs Python 3.11 or newer")
    assert len(err.splitlines()) == 1
    assert not (clone.root / ".venv").exists()


def test_fink_test_teaches_each_step_without_installing(clone: Clone) -> None:
    out, _ = clone.fink("--help", command=clone.root / "bin" / "fink_test")
    for step in ("ruff check", "mypy", "lint-imports", "pytest -m 'not integration'", "--without-integration"):
        assert step in out
    assert clone.installations == []
    _, err = clone.fink("--conf=/nowhere/x.conf", code=1, command=clone.root / "bin" / "fink_test")
    assert err == "fink_test: the configuration file /nowhere/x.conf cannot be read\n"
