"""Questions to ClickHouse, each with the tenant bound as a parameter."""
