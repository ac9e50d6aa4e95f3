"""Master and workers: messages, shares, files of a load. May import sending, baseline and live."""
