"""How often a guess of multi-token prediction is what the model itself would write."""

from collections.abc import Sequence

import torch

from sparrow.errors import UsageError
from sparrow.evaluate import intervals
from sparrow.evaluate.intervals import Interval
from sparrow.language import _
from sparrow.model import Sparrow

__all__ = ["acceptance"]

ROWS = 32  # at a time
LEAST = 3  # tokens: one to stand on, one that is known, one to guess


@torch.inference_mode()
def acceptance(
    model: Sparrow,
    documents: Sequence[Sequence[int]],
    *,
    generator: torch.Generator,
    longest: int = 256,
) -> Interval:
    """Ask once in each document whether the guess for the token after next is kept.

    The first MTP module knows the next token and guesses the one after it. The model
    reads that next token, too, and chooses greedily. Equal choices are accepted: when
    writing, such a guess saves a step and changes nothing.

    One place is drawn in each document, since neighbouring places of one text succeed
    and fail together, and the interval counts on independent trials.

    Args:
        model: a model with at least one MTP module.
        documents: token ids, one list a document; those below 3 tokens are left out.
        generator: draws the places.
        longest: tokens of a document that are looked at.

    Raises:
        UsageError: the model has no MTP module, or no document is long enough.

    Source: arXiv:2412.19437, section 5.4.3, reports 85 to 90 % for DeepSeek-V3.
    """
    read = [document[:longest] for document in documents if len(document) >= LEAST]
    if not model.mtp or not read:
        raise UsageError(
            _(
                "Acceptance needs a model with multi-token prediction and documents of "
                "at least {least} tokens.",
                least=LEAST,
            )
        )
    # 1. Stand at a drawn place t: token t + 1 is known, t + 2 is to be guessed.
    places = [
        int(torch.randint(len(each) - 2, (1,), generator=generator)) for each in read
    ]
    # 2. What comes later is cut off; texts of like length go together.
    known = [each[: place + 2] for each, place in zip(read, places, strict=True)]
    known.sort(key=len)
    accepted = sum(
        _accepted(model, known[first : first + ROWS])
        for first in range(0, len(known), ROWS)
    )
    return intervals.wilson_interval(accepted, len(read))


def _accepted(model: Sparrow, known: Sequence[Sequence[int]]) -> int:
    """How many guesses for the token after each text are what the model chooses."""
    longest = max(map(len, known))
    # Filling behind a text changes nothing: no token looks ahead.
    rows = [[*each, *[0] * (longest - len(each))] for each in known]
    ids = torch.tensor(rows, device=model.device)
    row = torch.arange(len(known), device=model.device)
    last = torch.tensor([len(each) - 1 for each in known], device=model.device)
    hidden = model.hidden(ids)
    # 3. The module joins the state of place t with token t + 1, and guesses.
    guess = model.predict_further(hidden, ids)[0][row, last - 1].argmax(dim=-1)
    # 4. The model itself reads token t + 1, and chooses.
    choice = model.logits(hidden[row, last]).argmax(dim=-1)
    return int((guess == choice).sum())
