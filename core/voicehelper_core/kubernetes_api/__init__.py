"""The Kubernetes API as the substrate: what ``embedded_store`` and ``embedded_secrets`` are on one machine.

``client.py`` sends requests and translates errors, ``kinds.py`` knows the paths, ``follow.py`` lists and watches.
On them stand the ports: ``store.py`` (resources), ``secrets.py``, ``records.py`` (events and leases). Called by the
operator, the control plane and the router when they run in a cluster; nothing else imports the client library, which
takes 54 MB.
"""

from voicehelper_core.kubernetes_api.client import Api, connect
from voicehelper_core.kubernetes_api.records import KubernetesEventRecorder, KubernetesLease
from voicehelper_core.kubernetes_api.secrets import KubernetesSecretStore
from voicehelper_core.kubernetes_api.store import KubernetesResourceStore

__all__ = [
    "Api",
    "KubernetesEventRecorder",
    "KubernetesLease",
    "KubernetesResourceStore",
    "KubernetesSecretStore",
    "connect",
]
