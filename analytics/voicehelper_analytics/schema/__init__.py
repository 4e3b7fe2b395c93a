"""ClickHouse tables and views (``clickhouse.py``) and the sink's own Postgres schema (``migrations``)."""
