"""What a verdict costs: one million samples judged and reported, measured as a person runs it."""
