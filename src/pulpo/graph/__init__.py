"""From an `AppSpec` to flow plans: edges with their reasons, order, data wiring, checks."""
