"""Tenants as an API over the resource store."""
