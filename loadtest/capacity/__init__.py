"""Capacity: the highest rate at which a version meets its objective. Pure: no clock and no I/O."""
