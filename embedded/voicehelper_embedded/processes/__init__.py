"""Processes that only this room can assemble, since they hold more than one other room."""
