"""A cell's part of each store, one file (or folder) a store, all behind ``interface.Slice``."""
