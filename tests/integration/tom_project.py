"""A TOM as its users have it: the toolkit's own project, a database, our tom-fink or the public one, run by manage.py.

The project is made by the toolkit's ``tom_setup`` and kept beside the environments; each test gets a copy. Run as a
program it makes all that is not there yet::

    python tests/integration/tom_project.py
"""

from __future__ import annotations

import inspect
import shutil
import subprocess
import tempfile
from pathlib import Path

import environments
from tom_processes import ManageFactory, Running, start

INTEGRATIONS = Path(__file__).resolve().parents[2] / "integrations"
#: the generations of the toolkit people use
VERSIONS = ("2.32.4", "3.1.0")
#: the public module that ours replaces, and the toolkit it was made for
PUBLIC, PUBLIC_TOOLKIT = "tom-fink==0.7.6", "2.32.4"
#: who may do everything, as tests log in
USER, PASSWORD = "pi", "a-password-of-tests"

_NAME = "mytom"
#: continue; name of the app for own code; targets are sidereal; no hints
_ANSWERS = "y\n\n1\nn\n"


def our_programs(version: str) -> Path:
    """Return the folder of programs of a toolkit with our module, installed by pip as users install it."""
    base, sources = f"tom-{version}", sorted(path for path in INTEGRATIONS.rglob("*") if path.is_file())
    ours = [path for path in sources if path.relative_to(INTEGRATIONS).parts[0] in ("alerts", "tom_fink")]
    content = b"".join(path.name.encode() + path.read_bytes() for path in ours if "__pycache__" not in path.parts)

    def install(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as copy:  # to build leaves files in the source
            source = Path(copy, "integrations")
            shutil.copytree(INTEGRATIONS, source, symlinks=True)
            environments.on_top(environments.environment(base), folder, str(source / "tom_fink"))

    made_of = environments.pins(base).read_bytes() + content
    return environments.kept(f"{base}-ours", made_of, install) / "bin"


def public_programs() -> Path:
    """Return the folder of programs of a toolkit with the public module."""
    base = f"tom-{PUBLIC_TOOLKIT}"

    def install(folder: Path) -> None:
        environments.on_top(environments.environment(base), folder, PUBLIC)

    made_of = environments.pins(base).read_bytes() + PUBLIC.encode()
    return environments.kept(f"{base}-public", made_of, install) / "bin"


def template(version: str) -> Path:
    """Return the folder of a project without any module: migrated, with a user who may do everything."""
    base = f"tom-{version}"
    made_of = environments.pins(base).read_bytes() + f"{_ANSWERS}{inspect.getsource(_make)}".encode()
    return environments.kept(f"{base}-project", made_of, lambda folder: _make(base, folder)) / _NAME


def _make(base: str, folder: Path) -> None:
    programs = environments.environment(base)
    project = folder / _NAME
    folder.mkdir()
    environ = {"DJANGO_SUPERUSER_USERNAME": USER, "DJANGO_SUPERUSER_PASSWORD": PASSWORD}
    environ |= {"DJANGO_SUPERUSER_EMAIL": "pi@example.org", "PATH": f"{programs}:/usr/bin:/bin", "HOME": str(folder)}

    def run(where: Path, *command: str, told: str = "") -> None:
        done = subprocess.run(command, cwd=where, env=environ, input=told, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-300:]} {done.stderr[-500:]}"

    run(folder, str(programs / "django-admin"), "startproject", _NAME)
    settings = project / _NAME / "settings.py"
    text = settings.read_text()
    settings.write_text(text.replace("INSTALLED_APPS = [", 'INSTALLED_APPS = [\n    "tom_setup",', 1))
    manage = (str(programs / "python"), "manage.py")
    run(project, *manage, "tom_setup", told=_ANSWERS)
    run(project, *manage, "migrate", "--skip-checks", "-v", "0")
    run(project, *manage, "createsuperuser", "--skip-checks", "--noinput")


class TomProject:
    """A project of its own, with settings of a test.

    Parameters
    ----------
    version : str
        Of the toolkit.
    programs : Path
        Folder of programs it runs with.
    folder : Path
        Where it is made.
    settings : str
        Python that is added to its settings.
    files : dict
        Further Python files by their path in the project, such as handlers.
    """

    def __init__(
        self, version: str, programs: Path, folder: Path, settings: str, files: dict[str, str] | None = None
    ) -> None:
        self.version, self.folder = version, folder / f"tom-{version}"
        shutil.copytree(template(version), self.folder)
        with (self.folder / _NAME / "settings.py").open("a") as file:
            file.write(f"\nCACHES['default']['LOCATION'] = os.path.join(BASE_DIR, 'tmp')\n{settings}\n")
        for path, content in (files or {}).items():
            (self.folder / path).write_text(content)
        self._programs = programs
        self._logs = 0
        self._warm: ManageFactory | None = None

    def environ(self) -> dict[str, str]:
        return {"PATH": f"{self._programs}:/usr/bin:/bin", "HOME": str(self.folder), "PYTHONUNBUFFERED": "1"}

    def manage(self, *arguments: str) -> Running:
        """Start ``./manage.py`` as users do."""
        command = [str(self._programs / "python"), "manage.py", *arguments]
        return start(command, self.folder, self.environ(), self._log())

    def manage_quickly(self, *arguments: str) -> Running:
        """Start ``./manage.py`` in a copy of a process that has loaded the toolkit, which takes 6 s to 13 s."""
        if self._warm is None:
            self.warm_up()
        assert self._warm is not None
        return self._warm.start(list(arguments), self._log())

    def warm_up(self) -> None:
        """Begin to load the toolkit; what is quickly managed afterwards waits for it."""
        self._warm = ManageFactory(self._programs / "python", self.folder, self.environ(), f"{_NAME}.settings")

    def close(self) -> None:
        """End the process that has loaded the toolkit."""
        if self._warm is not None:
            self._warm.close()

    def _log(self) -> Path:
        self._logs += 1
        return self.folder / "tmp" / f"manage-{self._logs}.log"


if __name__ == "__main__":
    public_programs()
    for each in VERSIONS:
        our_programs(each)
        template(each)
