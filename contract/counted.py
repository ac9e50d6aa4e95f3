"""A count in a message: ``1 row``, ``2,000 rows``."""


def counted(count: int, noun: str) -> str:
    """``count`` with thousands separated, and ``noun``, which gets an s unless there is one."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
