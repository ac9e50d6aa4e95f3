"""The gateway and the canary's state that it serves. Imports canary and the lab's own rooms."""
