"""An experiment, from text to objects: sections, gates, units, metrics. Imports errors alone."""
