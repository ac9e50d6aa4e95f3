"""Whole scikit-learn pipelines on rows of typed cells, without a data frame.

scikit-learn takes 10 to 40 ms for one row of an ordinary pipeline, nearly all of it around the arithmetic.
Here every fitted step becomes a function from the cells of a row to the cells of the next step, and the last
step takes the rows as a matrix. One module a family of steps; what none of them knows raises ``NotDirect``
with the step's name, and the library serves.

``DirectPipeline`` compares both on rows when a version is loaded; see ``pipeline``.
"""
