"""What tests of a project, and of Pulpo itself, are written with."""
