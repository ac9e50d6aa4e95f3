"""The datatypes of the Open Inference Protocol."""

from typing import Literal

FLOATS = {"FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}
"""By name, as NumPy spells them; little-endian, as the binary extension sends them."""

INTEGERS = {
    **{f"INT{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
}

InputDatatype = Literal["FP64", "FP32", "INT64", "INT32"]
"""What the matrix of our own model server may be."""

ColumnDatatype = Literal["FP64", "INT64", "BOOL", "BYTES"]
"""What a named column of our own model server may be; BYTES is text."""
