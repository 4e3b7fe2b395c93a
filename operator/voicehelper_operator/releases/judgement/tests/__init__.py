"""Tests of the judgement of releases."""
