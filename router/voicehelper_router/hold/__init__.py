"""Requests that wait for a cell to wake, and how much cells are used.

``waiting`` knows who waits and lets go, ``servicer`` is the check that Envoy calls, ``activity`` reads Envoy's
counters, ``http`` tells the operator about both.
"""
