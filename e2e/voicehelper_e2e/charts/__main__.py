"""``python -m voicehelper_e2e.charts``: the charts are linted, rendered, and held against the API's schemas."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from voicehelper_cli.failures import Failure

from voicehelper_e2e.charts import check, render
from voicehelper_e2e.cluster.alone import ApiServer, api_server


def main() -> int:
    """Status 0, or 1 with what is wrong."""
    try:
        for case in render.VALUES:
            check.lint(render.PLATFORM, *render.arguments(case))
        check.lint(render.CRDS)
        print("linted")
        with api_server() as server, tempfile.TemporaryDirectory(prefix="vhcharts") as folder:
            _against(server, Path(folder))
    except Failure as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _against(server: ApiServer, folder: Path) -> None:
    """Raises Failure."""
    server.kubectl("create", "namespace", render.NAMESPACE)
    schemas = check.schemas(server, folder / "schemas")
    for case in render.VALUES:
        text = render.template(render.PLATFORM, *render.arguments(case))
        check.conforms(text, schemas)
        check.accepted(server, text, folder)
        print(f"values {case}: {len(render.objects(text))} objects conform, and the API server accepts them")
    text = render.template(render.CRDS)
    check.conforms(text, schemas)
    check.accepted(server, text, folder)
    print("the CRDs too")


if __name__ == "__main__":
    sys.exit(main())
