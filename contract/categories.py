"""Where a model server says which categories its model knows; the gateway forwards none of it.

The document is null where the model's file does not say, or ::

    {"columns": ["city", "age"],          what it takes; null where nobody named them
     "known": [[0, ["Basel", "Köln"]]],   the place of a column, and its values
     "unknown": "missing"}                what any other value is to it; or "refused"
"""

from typing import Literal

CATEGORIES_PATH = "/categories"

Unknown = Literal["missing", "refused"]
