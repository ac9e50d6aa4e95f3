"""Arrow looks for pandas at the first value that it makes, and imports it where it is installed.

That takes a third of a second of CPU time, and no command here but `publish` may need it; the load
generator's image has none.
"""

import sys
from importlib.abc import MetaPathFinder


class _NoPandas(MetaPathFinder):
    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


def keep_pandas_out() -> None:
    """Have this process find no pandas."""
    sys.meta_path.insert(0, _NoPandas())
