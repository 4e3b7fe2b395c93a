"""The operator on a real API server with 1,000 and 10,000 tenants, beside naive kopf handlers of the same logic.

What is measured is the resource side: ``ours.py`` runs the product's own process with the real reconcilers, cached
store, lease, events and secrets; ``naive.py`` is the same steps as kopf handlers. Stores, identity, router and
workloads are stubs in both (``voicehelper_e2e.operator_stubs``) that answer at once. Each variant and size has a fresh
API server.
``leg.py`` is one of them: create, look, restart, delete. ``tenants.py`` is the load, ``requests.py`` counts what the
API server was asked, ``process.py`` starts and measures an operator.
"""

from __future__ import annotations

from voicehelper_bench.operator.run import run

__all__ = ["run"]
