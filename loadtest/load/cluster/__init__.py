"""Master and workers: messages, shares, the files of a load. Imports sending, baseline and live."""
