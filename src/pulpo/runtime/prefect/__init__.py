"""The Prefect engine: runs are recorded here and carried out by workers that a Prefect server gives them to."""
