"""What a generated application runs on: documents, operations, runs. Knows nothing of the compiler."""
