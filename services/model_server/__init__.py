"""The model server: one version of a model behind the Open Inference Protocol v2 (REST).

It loads one version folder::

    model.toml      what the version is
    model.skops     exactly one of the formats of ``runtimes``, such as this or model.onnx
    examples.parquet    rows on which the model is tried; a matrix does without

``contract.model_toml`` says what stands in the first. Requests are checked against its input, strictly: a
matrix of numbers in one tensor; or one tensor per named column, of shape [n] or [n, 1] and datatype FP64,
INT64, BOOL or BYTES. In JSON ``null`` is a missing cell, in the binary extension a NaN. A model gets a data
frame. The outputs are ``predict``, shape [-1] (BYTES, INT64, BOOL or FP64, as the labels are; FP64 for a
regression), and ``predict_proba``, FP64, shape [-1, classes], where the model has it; the model's metadata
names the classes in the order of its columns.

An ONNX classifier gives the label as its first output and, optionally, the probabilities as a tensor
(skl2onnx: ``options={"zipmap": False}``) as its second; an ONNX regressor gives the value as its first.
"""
