"""`pulpo eject`: a generated file to edit."""
