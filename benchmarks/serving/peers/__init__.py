"""The applications of the peers, each as its own documentation shows it."""
