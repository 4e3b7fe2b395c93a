"""Runs one step of a release to its end, as a Job in the cell's namespace."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

from voicehelper_core import errors
from voicehelper_core.kubernetes_api import Api
from voicehelper_core.kubernetes_api.kinds import JOB, POD, SECRET

from voicehelper_operator.workloads.interface import StepFailed, WorkloadSpec
from voicehelper_operator.workloads.kubernetes import naming
from voicehelper_operator.workloads.kubernetes.manifests import credentials, pod
from voicehelper_operator.workloads.kubernetes.manifests.types import Manifest, manifest
from voicehelper_operator.workloads.kubernetes.settings import KubernetesSettings
from voicehelper_operator.workloads.kubernetes.states import pod_trouble

SECONDS = 330
"""How long a step may take."""
_STUCK_SECONDS = 20
"""How long a pod may be unable to start (no such image, no room) before the step has failed."""
_LOOK_SECONDS = 0.3
_RESULT = "/dev/termination-log"
"""What is written here becomes part of the pod's status: no right to read logs is needed."""


def job(spec: WorkloadSpec, settings: KubernetesSettings, command: str) -> Manifest:
    """The Job of a step."""
    template = pod.template(
        spec,
        settings,
        secret=naming.STEP,
        items=[{"key": credentials.FILE, "path": credentials.FILE}],
        container={
            "name": "step",
            "args": ["-m", "voicehelper_cell", command],
            "terminationMessagePolicy": "FallbackToLogsOnError",
        },
        labels=naming.labels(spec.cell_id, spec.cell, naming.STEP_COMPONENT),
        restartPolicy="Never",
    )
    content = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": SECONDS - 30,
        "ttlSecondsAfterFinished": 600,
        "template": template,
    }
    return manifest("batch/v1", "Job", spec, command, "step", spec=content)


async def run(api: Api, spec: WorkloadSpec, settings: KubernetesSettings, command: str) -> str:
    """The step's result. Raises StepFailed with the end of its output, or what keeps its pod from starting.

    One that was begun by an operator that died is ended first: its credentials may be stale.
    """
    namespace = naming.namespace(spec.cell_id)
    await _end(api, namespace, command)
    config = {**spec.config, "result_file": _RESULT}
    files = {credentials.FILE: json.dumps(config)}
    await api.apply(credentials.secret(spec, naming.STEP, files), manager=naming.MANAGER, force=True)
    try:
        await api.create(job(spec, settings, command), manager=naming.MANAGER)
        async with asyncio.timeout(SECONDS):
            return await _result(api, namespace, command)
    except TimeoutError:
        raise StepFailed(f"'{command}' has not ended after {SECONDS} s") from None
    finally:
        with contextlib.suppress(errors.AppError):
            await asyncio.shield(_end(api, namespace, command))


async def _end(api: Api, namespace: str, command: str) -> None:
    """Until the Job, its pod and its credentials are gone."""
    for kind, name in ((JOB, command), (SECRET, naming.STEP)):
        await api.delete(kind, name, namespace, foreground=True)
    with contextlib.suppress(errors.NotFound):
        while True:
            await api.get(JOB, command, namespace)
            await asyncio.sleep(_LOOK_SECONDS)


async def _result(api: Api, namespace: str, command: str) -> str:
    stuck: float | None = None
    while True:
        pods, _ = await api.list(POD, namespace, labels=f"{naming.COMPONENT}={naming.STEP_COMPONENT}")
        ended = next((state for item in pods if (state := _ended(item))), None)
        if ended is not None:
            message = str(ended.get("message") or "").strip()
            if ended["exitCode"] == 0:
                return message
            said = message.splitlines()[-1][-500:] if message else ended.get("reason")
            raise StepFailed(f"'{command}' ended with {ended['exitCode']}: {said}")
        failed = await _failed(api, namespace, command)
        problem = failed or next((found for item in pods if (found := pod_trouble(item))), "")
        stuck = (stuck or time.monotonic()) if problem else None
        if failed or (stuck is not None and time.monotonic() - stuck > _STUCK_SECONDS):
            raise StepFailed(f"'{command}' cannot run: {problem}"[:1500])
        await asyncio.sleep(_LOOK_SECONDS)


def _ended(item: dict[str, Any]) -> dict[str, Any] | None:
    for status in (item.get("status") or {}).get("containerStatuses") or ():
        if found := (status.get("state") or {}).get("terminated"):
            return dict(found)
    return None


async def _failed(api: Api, namespace: str, command: str) -> str:
    """Why the Job has given up, such as a quota that leaves no room for its pod."""
    status = (await api.get(JOB, command, namespace)).get("status") or {}
    for condition in status.get("conditions") or ():
        if condition["type"] in ("Failed", "FailureTarget") and condition["status"] == "True":
            return str(condition.get("message") or condition.get("reason"))
    return ""
