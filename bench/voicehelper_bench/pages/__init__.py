"""What ``docs/benchmarks.md`` says about each benchmark: one module a benchmark, by its name.

A module holds ``TITLE``; ``GOALS`` (``goals.Goal``); ``PLOTS`` (``plots.Plot``); and its docstring is the text of the
section, Markdown, in which ``[[metric]]`` stands for a measured value with its unit, ``[[metric:ratio]]`` for its
ratio and ``[[metric:peer]]`` for what it was compared with. The text says how it was measured and what the figures
mean; numbers are never written by hand.
"""
