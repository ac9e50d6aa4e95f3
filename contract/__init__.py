"""What both sides of the wire must agree on: each thing once. Imports the standard library alone."""
