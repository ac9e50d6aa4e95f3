"""Decision trees as one ensemble of ONNX Runtime, in the precision of the library that made them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.model_server.scikit_learn.direct.step import NotDirect

MAX_NODES = 300_000
"""Larger ensembles would take more time and memory to turn than a small container has at its start."""

Matrix = NDArray[np.float64]
"""Rows of shape (rows, features), or sums of shape (rows, targets)."""


class Nodes(NamedTuple):
    """One tree; arrays by node, of which the first is the root.

    Args:
        left: the child at or below the threshold, or in the set; of leaves anything.
        right: the other child.
        leaf: whether the node is one.
        feature: what is compared.
        threshold: with what; of sets 0.5.
        missing_left: whether a missing value goes left.
        value: of leaves.
        target: the output that the leaves are added to.
    """

    left: NDArray[Any]
    right: NDArray[Any]
    leaf: NDArray[Any]
    feature: NDArray[Any]
    threshold: NDArray[Any]
    missing_left: NDArray[Any]
    value: NDArray[Any]
    target: int


def session(
    trees: list[Nodes], features: int, targets: int, precision: type[np.floating[Any]] = np.float64
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """One function for all trees: rows of shape (rows, features) to sums of shape (rows, targets).

    Rows, thresholds, leaves and sums are of ``precision``; the leaves are added in the order of the trees.

    Raises:
        NotDirect: there are too many nodes.
    """
    # imported late: they take time, and linear models do without
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    if sum(len(one.leaf) for one in trees) > MAX_NODES:
        raise NotDirect(f"its nodes are more than the {MAX_NODES:,} that are turned")
    whole = _joined(trees, precision)
    kind = TensorProto.DOUBLE if precision is np.float64 else TensorProto.FLOAT
    tensors = {
        name: numpy_helper.from_array(whole.pop(name), name)
        for name in ("nodes_splits", "nodes_modes", "leaf_weights")
    }
    node = helper.make_node(
        "TreeEnsemble", ["rows"], ["sums"], domain="ai.onnx.ml", n_targets=targets, aggregate_function=1,
        post_transform=0, **tensors, **{name: values.tolist() for name, values in whole.items()},
    )  # fmt: skip
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "trees",
        [tensor("rows", kind, [None, features])],
        [tensor("sums", kind, [None, targets])],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 5)]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    made = onnxruntime.InferenceSession(
        helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
    )
    # its class looks at every call's names and types, which ONNX Runtime itself checks as well
    run, outputs = made._sess.run, ["sums"]

    def sums(rows: NDArray[Any]) -> NDArray[Any]:
        result: NDArray[Any] = run(outputs, {"rows": rows}, None)[0]
        return result

    return sums


def _joined(trees: list[Nodes], precision: type[np.floating[Any]]) -> dict[str, NDArray[Any]]:
    """The attributes of ``TreeEnsemble``: inner nodes of all trees in one list, leaves in another."""
    parts: dict[str, list[NDArray[Any]]] = {}
    inners = leaves = 0
    for one in trees:
        if one.leaf[0]:
            # the operator's roots are inner nodes
            one = Nodes(
                np.array([1, 0]), np.array([1, 0]), np.array([False, True]), np.array([0, 0]),
                np.zeros(2), np.zeros(2, bool), np.array([0.0, one.value[0]]), one.target,
            )  # fmt: skip
        inner = ~one.leaf
        place = np.where(inner, inners + np.cumsum(inner) - 1, leaves + np.cumsum(one.leaf) - 1)
        left, right = one.left[inner], one.right[inner]
        attributes = {
            "tree_roots": np.array([inners]),
            "nodes_featureids": one.feature[inner],
            "nodes_splits": one.threshold[inner].astype(precision),
            # 0: at or below goes to the true branch
            "nodes_modes": np.zeros(len(left), np.uint8),
            "nodes_truenodeids": place[left],
            "nodes_falsenodeids": place[right],
            "nodes_trueleafs": one.leaf[left].astype(np.int64),
            "nodes_falseleafs": one.leaf[right].astype(np.int64),
            "nodes_missing_value_tracks_true": one.missing_left[inner].astype(np.int64),
            "leaf_targetids": np.full(one.leaf.sum(), one.target),
            "leaf_weights": one.value[one.leaf].astype(precision),
        }
        for name, values in attributes.items():
            parts.setdefault(name, []).append(values)
        inners += len(left)
        leaves += int(one.leaf.sum())
    return {name: np.concatenate(values) for name, values in parts.items()}
