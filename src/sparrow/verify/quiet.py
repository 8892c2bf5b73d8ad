"""Run code of others so that nobody notices: no print, no warning, no random state."""

import contextlib
import io
import random
import warnings
from collections.abc import Iterator

import numpy as np

__all__ = ["quiet"]


@contextlib.contextmanager
def quiet(seed: int | None = None) -> Iterator[None]:
    """Nothing is printed or warned; Python's and numpy's generators stay as they are.

    Args:
        seed: what both generators begin with inside, for code that draws from them.
    """
    python, numpy = random.getstate(), np.random.get_state()
    if seed is not None:
        random.seed(seed)
        np.random.seed(seed % 2**32)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
