"""In a process of its own: in this one pandas was imported long ago."""

import subprocess
import sys

SCRIPT = """
import sys
import pyarrow as pa
from loadtest.data.without_pandas import keep_pandas_out
keep_pandas_out()
assert pa.array([1, None, 2]).to_pylist() == [1, None, 2]
print("pandas" in sys.modules)
"""


def test_arrow_works_and_imports_no_pandas():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
