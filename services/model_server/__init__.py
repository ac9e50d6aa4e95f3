"""The model server: one version of a model behind the Open Inference Protocol v2 (REST).

It loads one version folder::

    model.toml      what the version is (below)
    model.skops     exactly one of these three: a scikit-learn model, loaded with skops' check of types
    model.onnx      an ONNX model, run by ONNX Runtime with one thread
    model.joblib    a pickle, which runs code when it is loaded: refused unless the model is allowed by name

``model.toml``::

    name = "shop"                     # the {m} of /v2/models/{m}
    version = "v1"                    # the {v} of /v2/models/{m}/versions/{v}
    task = "classification"           # or "regression"
    description = "..."               # optional
    compile = true                    # optional: may ONNX Runtime run a scikit-learn model (compilation.py)

    [[inputs]]                        # exactly one
    name = "features"
    datatype = "FP64"                 # or FP32, INT32, INT64
    shape = [-1, 12]                  # rows, features
    columns = ["age", ...]            # optional: the names of the features

Requests are checked against this input, strictly. The outputs are ``predict``, shape [-1] (BYTES, INT64,
BOOL or FP64, as the labels are; FP64 for a regression), and ``predict_proba``, FP64, shape [-1, classes],
where the model has it; the model's metadata names the classes in the order of its columns.

An ONNX classifier gives the label as its first output and, optionally, the probabilities as a tensor
(skl2onnx: ``options={"zipmap": False}``) as its second; an ONNX regressor gives the value as its first.
"""
