"""Inference without tenant state: texts to vectors, in a process of its own that many cells share.

Called by retrieval (queries) and indexing (chunks). Nothing of a request is kept or logged.
"""
