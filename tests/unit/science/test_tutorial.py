"""The tutorial works as written: its files are made, its commands run, and print what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
TUTORIAL = REPOSITORY / "docs" / "tutorial-science-module.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(block: str) -> list[tuple[str, list[str]]]:
    """Return the commands of a console block, each with the lines it should print."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def appears(expected: str, printed: str) -> bool:
    """Tell whether a line of the tutorial was printed; ``...`` stands for anything."""
    parts = [part.strip() for part in expected.split("...")]
    return re.search(".*".join(map(re.escape, parts)), printed, re.DOTALL) is not None


def test_every_file_and_command_of_the_tutorial(tmp_path: Path) -> None:
    blocks = BLOCK.findall(TUTORIAL.read_text())
    script, expectations = ["set -e"], []
    for kind, text in blocks:
        if kind == "python":
            name = re.match(r"# file: (\S+)\n", text)
            assert name, f"a block of the tutorial does not say its file:\n{text}"
            (tmp_path / name.group(1)).write_text(text)
        if kind == "console":
            for number, (command, lines) in enumerate(commands(text), start=len(expectations)):
                script += [f"echo @@{number}", command]
                expectations.append((command, lines))
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "FINK_HOME": str(tmp_path),
        "FINK__CROSSMATCH__SIMBAD": '["none"]',
        "COLUMNS": "120",
        "PYTEST_ADDOPTS": "-p no:dash",  # dash brings a plugin of its own, of which pytest warns
    }
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert len(expectations) >= 5
    for number, (command, lines) in enumerate(expectations):
        printed = done.stdout.split(f"@@{number}\n")[1].split("@@")[0] + done.stderr
        for line in lines:
            assert appears(line, printed), f"{command}\ndid not print: {line}\nbut: {printed}"


@pytest.mark.parametrize(("line", "printed"), [("... 3 alerts ...", "x 3 alerts y"), ("done", "all done")])
def test_a_line_with_gaps_is_recognised(line: str, printed: str) -> None:
    assert appears(line, printed)
    assert not appears(line, "something else")
