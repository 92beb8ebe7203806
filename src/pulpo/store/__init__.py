"""Where documents and the journal live: one port, an adapter per database."""
