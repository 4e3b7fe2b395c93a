"""A package, so that pytest imports these modules by their names and makes none named ``operator``."""
