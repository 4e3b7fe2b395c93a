"""The resource store of one machine: what the Kubernetes API is elsewhere, in a schema of Postgres.

Written by the control plane and the CLI, watched by the reconcilers and by the router's xDS process (whose role
``resources_reader`` may only read). ``schema.py`` has the tables, ``store.py`` the writes, ``watch.py`` the watch,
``rows.py`` the way between rows and models, ``records.py`` events and leases.

Every write takes one transaction-wide advisory lock before it draws its ``resourceVersion``, so that versions
become visible in their order and a watcher that has seen 7 will never be shown 6 later. ``NOTIFY`` only wakes
watchers; what they deliver they read from the tables.
"""

from voicehelper_core.embedded_store.connection import connect
from voicehelper_core.embedded_store.records import PostgresEventRecorder, PostgresLease
from voicehelper_core.embedded_store.schema import install
from voicehelper_core.embedded_store.store import PostgresResourceStore

__all__ = ["PostgresEventRecorder", "PostgresLease", "PostgresResourceStore", "connect", "install"]
