"""Load by wrk, which costs a tenth of what it loads: every client sends its next request when it has its answer."""

from __future__ import annotations

import json
import resource
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = """
local paths = {%(paths)s}
local number = %(seed)d
wrk.method = %(method)s
wrk.body = %(body)s
%(headers)s
request = function()
  number = number + 1
  return wrk.format(nil, paths[number %% #paths + 1])
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('{"requests": %%d, "seconds": %%f, "p50": %%f, "p95": %%f, "p99": %%f, "failed": %%d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(95) / 1e3,
    latency:percentile(99) / 1e3, e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Result:
    """Times in ms; ``client_seconds`` of CPU."""

    requests: int
    seconds: float
    p50: float
    p95: float
    p99: float
    failed: int
    client_seconds: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def run(
    url: str, paths: Sequence[str], headers: Mapping[str, str], *, clients: int, seconds: float, body: str = ""
) -> Result:
    """POST where there is a body, GET otherwise, to the paths in turn. Raises AssertionError where wrk fails."""
    text = _SCRIPT % {
        "paths": ", ".join(json.dumps(path) for path in paths),
        "seed": 0,
        "method": '"POST"' if body else '"GET"',
        "body": json.dumps(body) if body else "nil",
        "headers": "\n".join(f"wrk.headers[{json.dumps(k)}] = {json.dumps(v)}" for k, v in headers.items()),
    }
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "load.lua"
        script.touch(0o600)  # it holds the token
        script.write_text(text)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = ["wrk", "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "-s", str(script)]
        done = subprocess.run([*command, url], capture_output=True, text=True, timeout=seconds + 90, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0 or "{" not in done.stdout:
        raise AssertionError(f"wrk ended with {done.returncode}: {done.stdout}{done.stderr}")
    measured = json.loads(done.stdout[done.stdout.index("{") :])
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Result(**measured, client_seconds=spent)
