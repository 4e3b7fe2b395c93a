"""Admission with a real API server: tests only."""
