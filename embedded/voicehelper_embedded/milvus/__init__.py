"""Milvus Lite as this platform runs it: its server with a search that does no work in Python per stored row."""
