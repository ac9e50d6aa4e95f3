"""What is shown of a run while it lasts: figures, metrics, gates. Imports data and experiment."""
