"""Find the Java that runs Spark, the embedded Kafka and the embedded HBase."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from fink_broker.errors import JavaMissing

LEAST_MAJOR = 17
HOW_TO = (
    "Install OpenJDK 17 or newer (Debian, Ubuntu: apt-get install openjdk-17-jre-headless; "
    "macOS: brew install openjdk@17; conda: conda install openjdk=17), or set JAVA_HOME to one."
)


def find_java() -> Path:
    """Return the ``java`` program: of ``JAVA_HOME`` where that is set, else of the PATH.

    Raises
    ------
    JavaMissing
        If there is none, or it is older than Java 17.
    """
    home = os.environ.get("JAVA_HOME")
    if home:
        java = Path(home) / "bin" / "java"
        if not os.access(java, os.X_OK):
            raise JavaMissing(f"JAVA_HOME is {home}, but there is no bin/java in it.", HOW_TO)
    else:
        on_path = shutil.which("java")
        if on_path is None:
            raise JavaMissing("No Java was found: neither JAVA_HOME nor the PATH leads to one.", HOW_TO)
        java = Path(on_path)
    major = java_major(java)
    if major < LEAST_MAJOR:
        found = f"Java {major}" if major else "something that does not tell its version"
        raise JavaMissing(f"{java} is {found}, but Spark, Kafka and HBase need Java {LEAST_MAJOR} or newer.", HOW_TO)
    return java


def java_major(java: Path) -> int:
    """Return the major version of a ``java`` program, 0 where it cannot be told."""
    release = java.resolve().parent.parent / "release"
    if release.is_file():  # reading it is a hundred times faster than starting a JVM
        found = re.search(r'^JAVA_VERSION="([^"]+)"', release.read_text(errors="replace"), re.MULTILINE)
    else:
        try:
            answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return 0
        found = re.search(r'version "([^"]+)"', answer.stderr)
    if not found:
        return 0
    numbers = [int(number) for number in re.findall(r"\d+", found[1])[:2]]
    # Java 8 called itself 1.8
    return numbers[1] if numbers[0] == 1 and len(numbers) > 1 else numbers[0]
