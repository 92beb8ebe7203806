"""The Prefect engine, on a real Prefect server."""
