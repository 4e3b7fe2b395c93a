"""Releases that go out cell by cell: waves, canary traffic, judgement, rollback."""
