"""The commands, one file a group, each with ``register(app)``; they only parse, call and print."""
