"""How often a guess of multi-token prediction is what the model itself would write."""

from collections.abc import Sequence

import torch

from sparrow.errors import UsageError
from sparrow.evaluate.intervals import Interval, wilson_interval
from sparrow.language import _
from sparrow.model import Sparrow

__all__ = ["acceptance"]

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
    accepted = sum(_is_accepted(model, each, generator) for each in read)
    return wilson_interval(accepted, len(read))


def _is_accepted(
    model: Sparrow, document: Sequence[int], generator: torch.Generator
) -> bool:
    # 1. Stand at a drawn place t: token t + 1 is known, t + 2 is to be guessed.
    place = int(torch.randint(len(document) - 2, (1,), generator=generator))
    ids = torch.tensor([document[: place + 2]], device=model.device)
    # 2. The module joins the state of t with token t + 1.
    hidden = model.hidden(ids)
    guess = model.predict_further(hidden, ids)[0][0, place].argmax()
    # 3. The model itself reads token t + 1, and chooses.
    choice = model.logits(hidden[0, place + 1]).argmax()
    return bool(guess == choice)
