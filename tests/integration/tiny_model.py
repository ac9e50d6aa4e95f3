"""A model for what is not about the model: its server starts at a sixth of what scikit-learn costs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper


def tiny(folder: Path) -> dict:
    """The tables of an experiment in ``folder``: the label is the greater one of two numbers.

    ``v1`` and ``v2`` are the same and always right, and ``wrong`` never; ``a-shy`` and ``b-shy`` weigh one
    of the numbers too little, and are each wrong on one row in ten, not the same ones. ``slow`` is right,
    too, after some seven milliseconds of CPU time: more than a machine with one busy core adds by chance.
    """
    for name, kind, weights in (
        ("v1", "ArgMax", (1, 1)),
        ("v2", "ArgMax", (1, 1)),
        ("wrong", "ArgMin", (1, 1)),
        ("a-shy", "ArgMax", (0.8, 1)),
        ("b-shy", "ArgMax", (1, 0.8)),
        ("slow", "ArgMax", (1, 1)),
    ):
        version = folder / "tiny" / name
        version.mkdir(parents=True)
        write_onnx(version, kind, weights, waves=48 if name == "slow" else 0)
        (version / "model.toml").write_text(
            f'name = "tiny"\nversion = "{name}"\ntask = "classification"\n'
            '[[inputs]]\nname = "x"\ndatatype = "FP32"\nshape = [-1, 2]\ncolumns = ["a", "b"]\n'
        )
    cells = np.random.default_rng(1).random((2_000, 2)).astype(np.float32)
    rows = pa.table({"a": cells[:, 0], "b": cells[:, 1], "label": cells.argmax(axis=1)})
    pq.write_table(rows, folder / "rows.parquet")
    return {
        "model": {"name": "tiny", "folder": str(folder / "tiny")},
        "data": {"path": str(folder / "rows.parquet")},
        "versions": {"stable": "v1", "candidate": "v2"},
    }


def write_onnx(folder: Path, kind: str, weights: Sequence[float], waves: int = 0) -> None:
    """Write a ``model.onnx`` that answers where ``ArgMax`` or ``ArgMin`` of the weighed features is.

    For each of the ``waves``, it first takes the sine of 50,000 numbers, to no effect.
    """
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", len(weights)]),
        helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]),
    ]
    nodes = [helper.make_node("Mul", ["x", "weights"], ["weighed"])]
    constants = [helper.make_tensor("weights", TensorProto.FLOAT, [len(weights)], weights)]
    if waves:
        many = np.ones((len(weights), 50_000), np.float32)
        constants.append(numpy_helper.from_array(many, "many"))
        constants.append(numpy_helper.from_array(np.float32(0), "nothing"))
        nodes.append(helper.make_node("MatMul", ["x", "many"], ["wave0"]))
        nodes += [helper.make_node("Sin", [f"wave{n}"], [f"wave{n + 1}"]) for n in range(waves)]
        nodes.append(helper.make_node("ReduceMean", [f"wave{waves}"], ["mean"], axes=[1]))
        nodes.append(helper.make_node("Mul", ["mean", "nothing"], ["none"]))
        nodes.append(helper.make_node("Add", ["weighed", "none"], ["answer"]))
    last = "answer" if waves else "weighed"
    nodes.append(helper.make_node(kind, [last], ["label"], axis=1, keepdims=0))
    graph = helper.make_graph(nodes, "one", ends[:1], ends[1:], constants)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "model.onnx")
