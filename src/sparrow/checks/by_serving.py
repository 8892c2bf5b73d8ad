"""Drivers for what serves many: a pool of blocks in which one method is a learner's."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any
from unittest import mock

from sparrow.checks.protocol import Plain, plain

__all__ = ["pooled"]

FULL = "CacheFull"


def pooled(function: Any, inputs: dict[str, Any]) -> Plain:
    """Put a function in place of a method of `BlockPool`, and follow a story.

    `inputs` holds `method`, its name; `count` and `block_size` of the pool; `story`,
    what is done in turn; and `alike`, whether many texts share one hash. A line of the
    story is one of

        {"do": "allocate", "count": n}     blocks for one more request
        {"do": "remember", "of": k, "tokens": [...]}    they are full now
        {"do": "share", "of": k}           one more reader of the blocks of request k
        {"do": "free", "of": k}            one reader less
        {"do": "prefix", "tokens": [...]}  look for the beginning of a text

    Returns:
        For each line what came of it, and the pool as it is at the end.
    """
    from sparrow.errors import CacheFull
    from sparrow.serve import blocks

    kind = type("Pool", (blocks.BlockPool,), {inputs["method"]: function})
    pool = kind(inputs["count"], inputs["block_size"])
    owned: list[list[int]] = []
    said: list[Plain] = []
    alike = mock.patch.object(blocks, "content_hash", _alike)
    with alike if inputs["alike"] else nullcontext():
        for line in inputs["story"]:
            try:
                said.append(plain(_follow(pool, owned, line)))
            except CacheFull:
                said.append(FULL)
    return {
        "said": said,
        "readers": list(pool.readers),
        "idle": list(pool.idle),
        "held": [None if each is None else list(each.tokens) for each in pool.contents],
        "known": len(pool.known),
    }


def _alike(before: int, tokens: Sequence[int]) -> int:
    """A poor hash: it forgets the order, and nearly everything."""
    return (before + sum(tokens)) % 3


def _follow(pool: Any, owned: list[list[int]], line: dict[str, Any]) -> object:
    """Do what one line says."""
    if line["do"] == "allocate":
        taken = pool.allocate(line["count"])
        owned.append(list(taken or []))
        return taken
    if line["do"] == "prefix":
        return pool.longest_prefix(line["tokens"])
    mine = owned[line["of"]]
    if line["do"] == "share":
        return pool.share(mine)
    if line["do"] == "free":
        return pool.free(mine)
    size, before = pool.block_size, None
    for place, block in enumerate(mine[: len(line["tokens"]) // size]):
        piece = line["tokens"][place * size : (place + 1) * size]
        before = pool.remember(block, before, piece)
    return None
