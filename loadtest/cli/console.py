"""Where every command prints."""

import sys

from rich.console import Console

console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
