"""How many requests per second servers of scikit-learn models answer inside a CPU limit, beside named peers.

``python -m benchmarks.serving`` starts one server at a time, each in an environment of its own, under the
same limit, sends it the same rows, one per request, over the same number of connections, and writes
``results.json`` here and the tables of ``docs/performance.md``. Every cell is saved when it is done: a run
that was stopped goes on where it was.
"""
