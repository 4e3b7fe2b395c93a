"""Where the kinds are found. Known here, so that no process has to discover the API first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from voicehelper_crds import API_VERSION, KINDS, Resource


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object."""

    api_version: str
    name: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        """Of one object, of those of a namespace, or of all."""
        root = f"/api/{self.api_version}" if "/" not in self.api_version else f"/apis/{self.api_version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return (
            f"{root}{scope}/{self.plural}" + (f"/{name}" if name else "") + (f"/{subresource}" if subresource else "")
        )


NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)
SERVICE_ACCOUNT = Kind("v1", "ServiceAccount", "serviceaccounts")
SERVICE = Kind("v1", "Service", "services")
SECRET = Kind("v1", "Secret", "secrets")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
POD = Kind("v1", "Pod", "pods")
RESOURCE_QUOTA = Kind("v1", "ResourceQuota", "resourcequotas")
LIMIT_RANGE = Kind("v1", "LimitRange", "limitranges")
EVENT = Kind("events.k8s.io/v1", "Event", "events")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
JOB = Kind("batch/v1", "Job", "jobs")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
POD_DISRUPTION_BUDGET = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
AUTOSCALER = Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
API_SERVICE = Kind("apiregistration.k8s.io/v1", "APIService", "apiservices", namespaced=False)
ACCESS_REVIEW = Kind("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False)
WEBHOOK_CONFIGURATION = Kind(
    "admissionregistration.k8s.io/v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    namespaced=False,
)
SELF_REVIEW = Kind("authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews", namespaced=False)

BUILT_IN = (
    NAMESPACE, SERVICE_ACCOUNT, SERVICE, SECRET, CONFIG_MAP, POD, RESOURCE_QUOTA, LIMIT_RANGE, EVENT, LEASE, DEPLOYMENT,
    JOB, NETWORK_POLICY, POD_DISRUPTION_BUDGET, AUTOSCALER, API_SERVICE, ACCESS_REVIEW, WEBHOOK_CONFIGURATION,
    SELF_REVIEW,
)  # fmt: skip
OURS = {name: Kind(API_VERSION, name, kind.plural, namespaced=False) for name, kind in KINDS.items()}
_ALL = {(kind.api_version, kind.name): kind for kind in (*BUILT_IN, *OURS.values())}


def kind_of(manifest: dict[str, Any]) -> Kind:
    """Of a manifest. Raises KeyError for a kind that nobody here uses."""
    return _ALL[manifest["apiVersion"], manifest["kind"]]


def ours(kind: type[Resource]) -> Kind:
    """Of a model."""
    return OURS[kind.kind_name]
