"""The reconciler of tenants: placement, the tenant's part of each slice, its admin, its route, a probe.

``reconciler.py`` ties together ``observe.py`` (what is), ``plan.py`` and ``placement.py`` (pure: what to do),
``apply.py`` (idempotent effects) and ``status.py`` (pure: what to report).
"""
