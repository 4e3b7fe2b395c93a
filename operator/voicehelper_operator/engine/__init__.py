"""The machinery of reconciling: a keyed queue, the loop, conditions, metrics."""
