"""Users, roles, login, tokens and keys."""
