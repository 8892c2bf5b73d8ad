"""A guess is accepted when the model, knowing the same tokens, chooses the same."""

import pytest
import torch
import torch.nn.functional as F

from sparrow import Config, Sparrow
from sparrow.errors import UsageError
from sparrow.evaluate.acceptance import acceptance

WORDS = 12


class Counting:
    """Always writes the number after the last one; `sees` is what its guess knows.

    With sees = 1 the guess knows the next token, as it must; with 0 it does not.
    """

    device = torch.device("cpu")
    mtp = (None,)

    def __init__(self, sees: int) -> None:
        self.sees = sees

    def hidden(self, ids):
        return F.one_hot((ids + 1) % WORDS, WORDS).float()

    def logits(self, hidden):
        return hidden

    def predict_further(self, _hidden, ids):
        known = ids[:, self.sees : ids.shape[1] - 1 + self.sees]
        return [F.one_hot((known + 1) % WORDS, WORDS).float()]


def documents(count: int = 40) -> list[list[int]]:
    draw = torch.Generator().manual_seed(0)
    return torch.randint(WORDS, (count, 9), generator=draw).tolist()


def test_a_guess_that_knows_what_the_model_knows_is_always_accepted():
    found = acceptance(Counting(sees=1), documents(), generator=torch.Generator())
    assert (found.estimate, found.n) == (1.0, 40)
    assert found.low < 1


def test_a_guess_that_does_not_see_the_next_token_is_mostly_refused():
    found = acceptance(Counting(sees=0), documents(), generator=torch.Generator())
    assert found.estimate < 0.3


def test_a_real_model_agrees_with_itself_as_often_as_its_logits_say():
    torch.manual_seed(0)
    model = Sparrow(Config.preset("pico")).eval()
    texts = [document * 3 for document in documents(12)]
    found = acceptance(model, texts, generator=torch.Generator().manual_seed(5))
    draw, kept = torch.Generator().manual_seed(5), 0
    for text in texts:
        place = int(torch.randint(len(text) - 2, (1,), generator=draw))
        ids = torch.tensor([text])
        with torch.inference_mode():
            hidden = model.hidden(ids)
            guess = model.predict_further(hidden, ids)[0][0, place].argmax()
            kept += int(guess == model(ids)[0, place + 1].argmax())
    assert found.estimate == kept / 12


def test_documents_that_are_too_short_do_not_count():
    texts = [[1, 2], [3], [4, 5, 6]]
    assert acceptance(Counting(1), texts, generator=torch.Generator()).n == 1
    with pytest.raises(UsageError, match="at least 3 tokens"):
        acceptance(Counting(1), texts[:2], generator=torch.Generator())


def test_a_model_without_multi_token_prediction_is_refused():
    plain = Sparrow(Config.preset("pico").replace(num_nextn_predict_layers=0))
    with pytest.raises(UsageError, match="multi-token prediction"):
        acceptance(plain, documents(), generator=torch.Generator())
