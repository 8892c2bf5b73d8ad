"""The losses of pretraining, by hand and beside PyTorch's."""

import math

import pytest
import torch
import torch.nn.functional as F

from sparrow import Config, Sparrow
from sparrow.data.packing import IGNORED, Packed, attention_mask, pack
from sparrow.train.loss import further_targets, language_loss, mtp_loss
from sparrow.train.objective import Objective

TINY = Config.preset("pico").replace(
    vocab_size=32,
    hidden_size=16,
    num_hidden_layers=2,
    intermediate_size=24,
    moe_intermediate_size=8,
    kv_lora_rank=8,
    qk_nope_head_dim=4,
    qk_rope_head_dim=4,
    v_head_dim=4,
    max_position_embeddings=64,
)


def tiny_model(**changes: object) -> Sparrow:
    torch.manual_seed(0)
    return Sparrow(TINY.replace(**changes))


def tiny_batch(length: int = 16) -> Packed:
    draw = torch.Generator().manual_seed(0)
    documents = [
        torch.randint(1, 32, (size,), generator=draw) for size in (5, 9, 3, 20, 7, 13)
    ]
    return pack(documents, length, end=0)


def test_two_equal_choices_cost_one_bit_a_token() -> None:
    loss = language_loss(torch.zeros(1, 3, 2), torch.tensor([[0, 1, 1]]))
    assert loss.item() == pytest.approx(math.log(2))


def test_ignored_targets_cost_nothing_and_count_for_nothing() -> None:
    logits = torch.randn(2, 4, 7, generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([[3, IGNORED, 2, 1], [IGNORED, 0, 6, IGNORED]])
    ours = language_loss(logits, targets)
    torch.testing.assert_close(
        ours, F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    )


def test_a_batch_without_targets_costs_nothing() -> None:
    assert language_loss(torch.zeros(1, 2, 3), torch.full((1, 2), IGNORED)) == 0


def test_parts_of_a_batch_sum_up_to_the_whole() -> None:
    logits = torch.randn(4, 5, 7, generator=torch.Generator().manual_seed(2))
    targets = torch.randint(7, (4, 5))
    whole = language_loss(logits, targets)
    parts = [language_loss(logits[[row]], targets[[row]], 20) for row in range(4)]
    torch.testing.assert_close(whole, torch.stack(parts).sum())


def test_a_module_that_looks_further_predicts_nothing_across_a_document() -> None:
    targets = torch.tensor([[5, 6, IGNORED, 8, 9, IGNORED]])
    assert further_targets(targets, 1).tolist() == [[6, IGNORED, IGNORED, 9, IGNORED]]
    assert further_targets(targets, 2).tolist() == [
        [IGNORED, IGNORED, IGNORED, IGNORED]
    ]


def test_mtp_loss_by_hand_on_three_tokens() -> None:
    # Tokens a, b, c: the main model predicts b and c, the module predicts c alone.
    targets = torch.tensor([[1, 2, IGNORED]])
    prediction = torch.zeros(1, 2, 4)  # four equal choices: log 4 nats
    # one target of the module, divided by the two of the main model
    assert mtp_loss([prediction], targets).item() == pytest.approx(math.log(4) / 2)


def test_two_modules_are_averaged() -> None:
    targets = torch.tensor([[1, 2, 3, IGNORED]])
    near, far = torch.zeros(1, 3, 4), torch.zeros(1, 2, 8)
    expected = (2 * math.log(4) / 3 + 1 * math.log(8) / 3) / 2
    assert mtp_loss([near, far], targets).item() == pytest.approx(expected)


def test_the_objective_of_parts_is_that_of_the_whole() -> None:
    model, batch = tiny_model(), tiny_batch()
    objective = Objective(model, mtp_weight=0.3, balance_weight=0.01)
    count, rows = int((batch.targets != IGNORED).sum()), len(batch.tokens)
    whole = objective(batch, count, rows)
    parts = [
        objective(batch.rows(slice(row, row + 1)), count, rows) for row in range(rows)
    ]
    for name in ("total", "language", "mtp", "balance"):
        total = sum(getattr(part, name) for part in parts)
        torch.testing.assert_close(getattr(whole, name), total)


@pytest.mark.parametrize("depth", [1, 2])
def test_a_document_learns_nothing_from_its_neighbour(depth: int) -> None:
    """Neither through attention, nor through the state that MTP reads."""
    model = tiny_model(num_nextn_predict_layers=depth).eval()
    batch = tiny_batch()
    row = 1
    second = int(batch.document[row].unique()[1])
    changed = batch.tokens.clone()
    is_first = batch.document[row] < second
    assert is_first.any()
    changed[row, is_first] = (changed[row, is_first] + 7) % 32

    def logits(tokens: torch.Tensor) -> list[torch.Tensor]:
        mask = attention_mask(batch.document)
        hidden = model.hidden(tokens, positions=batch.positions, mask=mask)
        return [model.logits(hidden), *model.predict_further(hidden, tokens, mask)]

    for before, after in zip(logits(batch.tokens), logits(changed), strict=True):
        width = before.shape[1]
        # places all of whose inputs belong to later documents
        later = ~is_first[:width]
        torch.testing.assert_close(before[row, later], after[row, later])


def test_without_mtp_weight_its_modules_are_not_asked() -> None:
    model, batch = tiny_model(), tiny_batch()
    losses = Objective(model, mtp_weight=0.0, balance_weight=0.0)(batch, 10, 4)
    assert losses.mtp == 0
    losses.total.backward()
    assert all(each.grad is None for each in model.mtp.parameters())
