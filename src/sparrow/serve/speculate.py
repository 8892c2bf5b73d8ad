"""Guess the next tokens cheaply, let the model judge all guesses in one pass.

A guess that the model would have drawn itself is kept, and the pass has then written
several tokens. What is written never depends on the guesses: at each place the model
draws with the random number of that place, and a guess is kept only if it is that
very token. So the distribution stays, and so does the text of a seeded request.
"""

from collections.abc import Sequence

__all__ = ["Echo", "accept"]

NGRAM = 3  # so many tokens must have been seen before


def accept(drawn: Sequence[int], proposed: Sequence[int]) -> list[int]:
    """What a request writes after a pass that judged its proposals.

    Args:
        drawn: what the model draws after the newest token, and after each proposal.
        proposed: the proposals, one fewer than `drawn`.

    Returns:
        From one token to all of `drawn`.

    Source: Leviathan et al., arXiv:2211.17192, where a proposal is kept with
    probability min(1, p/q); drawing first and comparing keeps a certain proposal with
    the same probability, and needs no second draw.
    """
    # 1. The first draw stands behind true tokens only: it always counts.
    kept = [drawn[0]]
    # 2. The next one stands behind a proposal: it counts if the proposal came true.
    for proposal, token in zip(proposed, drawn[1:], strict=True):
        if proposal != kept[-1]:
            break
        kept.append(token)
    return kept


class Echo:
    """Propose what came after the same few tokens the last time: n-gram speculation.

    Source: Saxena 2023, "Prompt lookup decoding".
    """

    def __init__(self) -> None:
        self.read = 0  # tokens
        self.after: dict[tuple[int, ...], int] = {}  # n-gram -> the place behind it

    def propose(self, tokens: Sequence[int], count: int) -> list[int]:
        """At most `count` tokens that may come after `tokens`, which only ever grow."""
        # The last n-gram is looked up before it is noted: it would find itself.
        for end in range(max(self.read, NGRAM), len(tokens)):
            self.after[tuple(tokens[end - NGRAM : end])] = end
        self.read = len(tokens)
        place = self.after.get(tuple(tokens[-NGRAM:]))
        return [] if place is None else list(tokens[place : place + count])
