"""The tutorial on filters works as written: its files are made, its commands run, and print what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fink_broker.archive import AlertTable, Commit, DataFile
from fink_broker.archive.promised import promised_schema
from fink_broker.science.testing import offline_config
from fink_broker.simulate.sources import open_source

TUTORIAL = Path(__file__).resolve().parents[3] / "docs" / "tutorial-filter.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# file: (\S+)\n")
ALERTS = 200


def archive(home: Path) -> None:
    """Let a broker hold a night of alerts of a synthetic sky."""
    science = home / "online" / "science"
    table = AlertTable(str(science))
    table.create()
    (science / "night=20231018").mkdir()
    packets = [alert.record for alert in open_source("synthetic", print, synthetic_count=ALERTS, seed=3).alerts()]
    for number, packet in enumerate(packets):
        packet |= {"candid": number, "cdsxmatch": "Unknown", "cutoutScience": None}
        packet |= {"cutoutTemplate": None, "cutoutDifference": None}
    path = "night=20231018/one-0.parquet"
    pq.write_table(pa.Table.from_pylist(packets, promised_schema(offline_config())), science / path)
    file = DataFile(path, "20231018", ALERTS, (science / path).stat().st_size)
    table.log.write(Commit("one", [], [file], {"in": ALERTS, "out": ALERTS}, 0.0, 1.0))


def steps(text: str) -> list[tuple[str, list[str]]]:
    """Return the shell commands of the tutorial, each with the lines it should print; files are appended to."""
    found: list[tuple[str, list[str]]] = []
    for kind, block in BLOCK.findall(text):
        if kind == "console":
            for line in block.splitlines():
                if line.startswith("$ "):
                    found.append((line[2:], []))
                else:
                    found[-1][1].append(line)
        elif named := FILE.match(block):
            content = block[named.end() :]
            found.append((f"mkdir -p conf; cat >> {named[1]} <<'END_OF_FILE'\n{content}END_OF_FILE", []))
    return found


def appears(expected: str, printed: str) -> bool:
    """Tell whether a line of the tutorial was printed; ``...`` stands for anything."""
    parts = [part.strip() for part in expected.split("...")]
    return re.search(".*".join(map(re.escape, parts)), printed, re.DOTALL) is not None


def test_every_file_and_command_of_the_tutorial(tmp_path: Path) -> None:
    archive(tmp_path)
    commands = steps(TUTORIAL.read_text())
    assert len(commands) >= 15
    script = "set -e\n" + "\n".join(f"echo @@{number}@@\n{step}" for number, (step, _) in enumerate(commands))
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "FINK_HOME": str(tmp_path),
        "FINK__STORAGE__ONLINE": str(tmp_path / "online"),
        "COLUMNS": "120",
    }
    done = subprocess.run(
        ["bash", "-c", f"exec 2>&1\n{script}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    printed = re.split(r"@@\d+@@\n", done.stdout)[1:]
    for (step, expected), said in zip(commands, printed, strict=True):
        for line in expected:
            assert appears(line, said), f"{step}\ndid not print: {line}\nbut: {said}"
