"""Makes the world what ``Tenant`` and ``Cell`` resources say: level-based, idempotent, one step at a time.

``engine/`` queues keys and runs reconcilers; ``cells/`` and ``tenants/`` each observe, plan, apply and report;
``slices/`` is a cell's part of each store behind one interface; ``workloads/`` runs a cell's processes.
"""
