"""Pure statistics on arrays: summaries and paired comparison. No I/O, no clock."""
