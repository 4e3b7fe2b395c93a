"""The reconciler of cells: slices, migration, workload.

``reconciler.py`` ties together ``observe.py`` (what is), ``plan.py`` (pure: what to do), ``apply.py`` (idempotent
effects) and ``status.py`` (pure: what to report).
"""
