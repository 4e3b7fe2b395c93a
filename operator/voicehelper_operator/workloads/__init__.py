"""Runs a cell's services: ``interface.py`` is the port, ``processes.py`` the one-machine adapter."""
