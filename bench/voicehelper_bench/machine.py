"""What the figures were measured on: without it they say nothing."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from voicehelper_bench.figures import Report

ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = {"milvus": "milvus-lite", "clickhouse": "chdb"}


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _postgres() -> str:
    from voicehelper_embedded.preflight import postgres_bin

    said = subprocess.run([postgres_bin() / "postgres", "--version"], capture_output=True, text=True, check=True)
    return said.stdout.split()[2]


def _envoy() -> str:
    from voicehelper_router import envoy

    return str(envoy.version())


def _jvm(name: str) -> Callable[[], str]:
    def find() -> str:
        pom = ROOT / "embedded" / "voicehelper_embedded" / "jvm" / "pom.xml"
        return str(re.findall(rf"<{name}\.version>([^<]+)<", pom.read_text())[0])

    return find


def _commit() -> str:
    """Of the checkout, and whether it differs otherwise than by pages that earlier benchmarks wrote."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    dirty = git("status", "--porcelain", "--", ".", ":!docs/benchmarks*", ":!bench/results.jsonl")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("-dirty" if dirty else "")


def _package(name: str) -> Callable[[], str]:
    return lambda: version(name)


def describe(report: Report) -> None:
    """Add the facts of this machine and the versions of the stores to ``report`` (of the bench ``machine``)."""
    report.fact("cpu", _cpu())
    report.add("cores", os.cpu_count() or 1, "cores")
    report.add("memory", psutil.virtual_memory().total / 2**30, "GiB")
    report.fact("kernel", f"{platform.system()} {platform.release()}")
    report.fact("python", platform.python_version())
    finders: dict[str, Callable[[], str]] = {
        "postgres": _postgres,
        "envoy": _envoy,
        "kafka": _jvm("kafka"),
        "debezium": _jvm("debezium"),
    }
    finders |= {name: _package(package) for name, package in _PACKAGES.items()}
    for name, find in finders.items():
        try:
            report.fact(name, find())
        except (RuntimeError, OSError, IndexError, PackageNotFoundError, subprocess.CalledProcessError) as error:
            report.fact(name, f"not installed ({error})")


def begin(report: Report) -> None:
    """Add when a benchmark began, at which commit and how busy the machine was then."""
    report.fact("begin.time", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))
    report.fact("begin.commit", _commit())
    report.add("begin.load", os.getloadavg()[0], "")
