"""Change data capture: the configuration of the one Debezium connector of a Postgres server.

Kafka Connect runs it; ``embedded`` (or a chart) puts the configuration there. Rows of the cells' ``outbox`` tables
become the events of ``<cell>.conversation.events`` and ``<cell>.document.events``; all other captured tables become
``cdc.<service>.<table>`` without contents.
"""

from voicehelper_analytics.cdc.connector import PUBLICATION, SLOT, connector_config

__all__ = ["PUBLICATION", "SLOT", "connector_config"]
