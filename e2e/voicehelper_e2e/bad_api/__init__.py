"""An API server that misbehaves, and operators that have to bear it.

``proxy.py`` stands before a real API server and spoils what ``schedule.py`` says; ``operator.py`` is the operator's own
process with stores that are files (``stores.py``) and survive it; ``process.py`` starts, kills and freezes it;
``record.py`` remembers which ids every resource has ever had.
"""
