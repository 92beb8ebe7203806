"""What a running project consists of: processes under a supervisor, their ports and their health."""
