"""What is shown of a run while it lasts: figures, metrics, gates. May import data and experiment."""
