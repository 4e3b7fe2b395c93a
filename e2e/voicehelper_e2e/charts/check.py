"""What is asked of a render. Raises Failure with what is wrong."""

from __future__ import annotations

import subprocess
from pathlib import Path

from voicehelper_cli.failures import Failure

from voicehelper_e2e.charts import schemas as json_schemas
from voicehelper_e2e.charts import tools
from voicehelper_e2e.cluster.alone import ApiServer
from voicehelper_e2e.cluster.commands import run


def lint(chart: Path, *values: str) -> None:
    """Helm's own check; warnings count."""
    run(str(tools.helm()), "lint", "--strict", "--quiet", str(chart), *values)


def schemas(server: ApiServer, folder: Path) -> Path:
    """The folder, with a JSON schema of each kind that the API server serves."""
    json_schemas.write(server.kubectl("get", "--raw", "/openapi/v2"), folder)
    return folder


def conforms(text: str, schemas: Path) -> None:
    """Each object has the fields of its kind, and no others."""
    location = f"{schemas}/{json_schemas.LOCATION}"
    command = [str(tools.kubeconform()), "-strict", "-summary", "-schema-location", location, "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"kubeconform: {(done.stdout + done.stderr).strip()[-3000:]}")


def accepted(server: ApiServer, text: str, folder: Path) -> None:
    """The API server would take all of it: validation and admission, without keeping anything."""
    file = folder / "render.yaml"
    file.write_text(text)
    server.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", str(file))
