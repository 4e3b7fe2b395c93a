"""Campaigns against whole platforms: what the unit tests of no room can show."""
