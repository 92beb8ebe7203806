"""From an `AppSpec` and its plans to files: pure emitters, and one writer."""
