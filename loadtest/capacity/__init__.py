"""The highest rate at which a version meets its objective. May import judge and below; no I/O, no clock."""
