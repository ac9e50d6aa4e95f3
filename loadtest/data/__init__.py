"""Files and nothing else: evaluation set, samples, run folder. May import experiment, stats, errors."""
