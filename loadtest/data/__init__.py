"""Files and nothing else: evaluation set, samples, run folder. Imports experiment and errors."""
