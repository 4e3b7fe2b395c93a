"""Cells as objects of Kubernetes: a namespace each, with everything that runs, bounds and guards the cell in it.

``manifests/`` renders (pure: what a cell should have), ``conform.py`` compares (pure: whether it has it),
``objects.py`` follows what is there, ``states.py`` judges pods, ``canaries.py`` those of a release that is tried,
``steps.py`` runs a step to its end, ``runtime.py`` is the port that the reconciler of cells calls.
"""
