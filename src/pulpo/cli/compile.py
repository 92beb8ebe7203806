"""`pulpo compile`: the generated files."""
