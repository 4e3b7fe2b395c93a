"""Milvus Lite as this platform runs it: a search and a count of ours do no work in Python per stored row."""
