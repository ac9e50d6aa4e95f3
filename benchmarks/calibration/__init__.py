"""How often the verdict is wrong: the tests of ``loadtest.stats`` on simulated versions whose truth is known.

``python -m benchmarks.calibration`` simulates both versions on hosts of growing noise, applies the very
code that judges real runs, and the usual ways of others beside it, and writes ``results.json`` here and
the tables of ``docs/statistics.md``.
"""
