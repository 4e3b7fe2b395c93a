"""What is asked of the Kubernetes API."""

from __future__ import annotations

from prometheus_client import Counter

REQUESTS = Counter("kubernetes_requests", "Requests to the Kubernetes API", ["verb", "kind", "code"])
"""``verb`` apply, patch, create, delete, get, list or watch; ``code`` 0 where nothing answered."""
WATCH_RESTARTS = Counter("kubernetes_watch_restarts", "Watches that ended with an error and began anew", ["kind"])
