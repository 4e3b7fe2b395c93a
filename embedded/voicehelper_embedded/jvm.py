"""The JVM parts: Kafka, Kafka Connect and Debezium, fetched by Maven from the checked-in pom."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from voicehelper_embedded.home import Home

POM = Path(__file__).parent / "jvm" / "pom.xml"
FLAGS = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
)


def folder(home: Home) -> Path:
    """Where the jars of this pom belong."""
    return home.cache / "jvm" / hashlib.sha256(POM.read_bytes()).hexdigest()[:12]


def is_ready(home: Home) -> bool:
    """Whether the jars are there, all of them."""
    return (folder(home) / ".complete").exists()


def fetch(home: Home, say: Callable[[str], None]) -> None:
    """Copy the jars below the home folder; Maven downloads what its own cache lacks. Raises RuntimeError."""
    target = folder(home)
    if is_ready(home):
        return
    for profile in ("kafka", "debezium"):
        place = target / profile / ("plugin" if profile == "debezium" else "")
        say(f"getting {profile} and its libraries with Maven")
        command = [
            "mvn", "-q", "-B", "-f", str(POM), "-P", profile, "dependency:copy-dependencies",
            f"-DoutputDirectory={place}", "-DincludeScope=runtime",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"Maven could not get {profile}:\n{(done.stdout + done.stderr)[-2000:]}")
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (target / ".complete").touch()
    for other in target.parent.iterdir():
        if other != target:
            shutil.rmtree(other, ignore_errors=True)


def command(
    home: Home, main: str, *arguments: str, heap: str, log: Path, temporary: Path, jaas: Path | None = None
) -> list[str]:
    """The command line of a JVM program; ``heap`` such as ``320m``, ``jaas`` names a file of login modules."""
    java = Path(os.environ["JAVA_HOME"]) / "bin" / "java" if os.environ.get("JAVA_HOME") else "java"
    return [
        str(java), f"-Xmx{heap}", *FLAGS, f"-Djava.io.tmpdir={temporary}", f"-Dlog4j2.configurationFile={log}",
        *([f"-Djava.security.auth.login.config={jaas}"] if jaas else []),
        "-cp", f"{folder(home) / 'kafka'}/*", main, *arguments,
    ]  # fmt: skip


LOG4J = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="warn">
  <Appenders><Console name="out"><PatternLayout pattern="[%d] %p %m (%c)%n"/></Console></Appenders>
  <Loggers><Root level="warn"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""
