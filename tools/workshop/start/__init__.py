"""Set the workshop up and open it, with nothing but Python's standard library.

These modules run before anything is installed: they may import one another, the
standard library, and the two modules of `sparrow` that need nothing more
(`sparrow.errors`, `sparrow.language`).
"""
