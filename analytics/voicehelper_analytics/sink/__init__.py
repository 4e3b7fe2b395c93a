"""Kafka to ClickHouse, exactly once, views included.

``batches.py`` turns records into rows (pure), ``progress.py`` keeps what was read in Postgres, ``consumer.py``
reads ranges of offsets, ``known.py`` recognises second deliveries, ``service.py`` ties them together: a batch's
ranges are recorded *before* it is inserted and replayed exactly, with the same deduplication token, when the process
dies before the end is recorded.
"""
