"""Change data capture: the configuration of the one Debezium connector of a Postgres server.

Kafka Connect runs it; ``embedded`` (or a chart) puts the configuration there. Rows of the cells' ``outbox`` tables
become the events of ``<cell>.conversation.events`` and ``<cell>.document.events``; all other captured tables become
``cdc.<service>.<table>`` without contents. ``slot.py`` is for whoever keeps the connector running.
"""

from voicehelper_analytics.cdc.connector import PUBLICATION, SLOT, connector_config
from voicehelper_analytics.cdc.slot import drop_if_lost, is_followed

__all__ = ["PUBLICATION", "SLOT", "connector_config", "drop_if_lost", "is_followed"]
