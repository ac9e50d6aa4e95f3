"""Comparisons against servers that other people wrote, each with a good model and a broken copy of it.

``python -m benchmarks.servers`` installs one server at a time into an environment of its own, starts it
twice as its own documentation shows, runs ``loadproof compare`` of the good model against itself and against
the copy, and writes ``results.json`` here and the table of ``docs/any-server.md``. A server that cannot be
installed is listed with the reason. Every comparison is saved when it is done: a run that was stopped goes
on where it was.
"""
