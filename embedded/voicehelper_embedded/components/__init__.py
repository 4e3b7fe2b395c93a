"""The platform's processes, one file each: what to start, how to tell that it answers, what has to be set up then."""

import os

from voicehelper_embedded.components.analytics import Analytics
from voicehelper_embedded.components.connect import Connect
from voicehelper_embedded.components.control_plane import ControlPlane
from voicehelper_embedded.components.inference import Inference
from voicehelper_embedded.components.kafka import Kafka
from voicehelper_embedded.components.milvus import Milvus
from voicehelper_embedded.components.postgres import Postgres
from voicehelper_embedded.components.router import Router
from voicehelper_embedded.components.xds import Xds
from voicehelper_embedded.context import Context
from voicehelper_embedded.supervisor.unit import Component


def all_of(context: Context) -> list[Component]:
    """Every component, each after what it requires; ``VOICEHELPER_COMPONENTS`` names those that tests want alone."""
    only = set(filter(None, os.environ.get("VOICEHELPER_COMPONENTS", "").split(",")))
    every: list[Component] = [
        Postgres(context),
        Kafka(context),
        Milvus(context),
        Inference(context),
        Xds(context),
        Router(context),
        Connect(context),
        Analytics(context),
        ControlPlane(context),
    ]
    return [component for component in every if not only or component.name in only]
