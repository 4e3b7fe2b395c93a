"""What happened in all cells, in one ClickHouse: schema, exactly-once sink, queries, usage API.

One process (``python -m voicehelper_analytics serve``) owns the embedded ClickHouse (chDB allows one owner
of a path). It reads ``<cell>.conversation.events`` of every cell (``sink``), keeps its progress in the Postgres
schema ``analytics`` (``schema/migrations``), and answers usage questions over gRPC (``api``); the BFF of a cell
is the caller.
"""
