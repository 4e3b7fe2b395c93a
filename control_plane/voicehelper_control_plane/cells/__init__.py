"""The registry of cells, read from the resource store."""
