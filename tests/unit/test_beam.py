"""A beam in GPTQ: its costs are exact, and a wide one finds the best codes of all."""

import itertools

import pytest
import torch

from sparrow import quant
from sparrow.quant import affine, beam, gptq
from sparrow.quant.affine import Grid
from sparrow.quant.scheme import Scheme

from .test_quant import MODELS, Sparrow, correlated_inputs, draw, ids

LAYERS = 40  # of each kind
# columns, bits, weights that share a scale
KINDS = ((3, 2, 3), (3, 3, 3), (4, 2, 2), (4, 3, 4), (5, 2, 5))


def layer(
    seed: int, width: int, bits: int, size: int
) -> tuple[torch.Tensor, torch.Tensor, Grid]:
    """Two rows, the Gram matrix of correlated inputs, and a grid as for int4."""
    x = correlated_inputs(width, seed)
    weight = torch.randn(2, width, generator=draw(seed + 2))
    return weight, x.T @ x, affine.asymmetric_grid(weight, bits, size)


def damped(gram: torch.Tensor) -> torch.Tensor:
    """What GPTQ makes small in place of G."""
    level = gptq.DAMPING * gram.double().diagonal().mean()
    return gram.double() + level * torch.eye(len(gram))


def error_of(codes, weight, gram, grid) -> torch.Tensor:
    change = affine.from_grid(codes, grid) - weight
    return gptq.output_error(change.double(), damped(gram))


def least_error(weight, gram, grid, bits) -> torch.Tensor:
    """The least error of each row, among all codes that there are."""
    codes = range(*affine.code_range(bits))
    every = itertools.product((*codes, codes.stop), repeat=weight.shape[1])
    every = torch.tensor(list(every), dtype=torch.int8)
    rows = zip(weight, *grid, strict=True)
    return torch.stack(
        [
            error_of(every, row, gram, Grid(*(each[None] for each in own))).min()
            for row, *own in rows
        ]
    )


def in_plain_order(weight, gram, grid, bits, ways) -> torch.Tensor:
    """GPTQ with a beam, the first column first."""
    size = weight.shape[1] // grid.scale.shape[1]
    own = Grid(*(each.repeat_interleave(size, 1) for each in grid))
    return beam.search_columns(weight, own, gptq.inverse_root(gram), bits, ways)


def strongest_first(weight, gram, grid, bits, ways) -> torch.Tensor:
    return gptq.quantize(weight, gram, grid, bits, ways=ways)


ORDERS = pytest.mark.parametrize("find", [in_plain_order, strongest_first])


@ORDERS
@pytest.mark.parametrize(("width", "bits", "size"), KINDS)
def test_a_beam_that_drops_nothing_finds_the_best_codes_of_all(find, width, bits, size):
    greedy = 0
    for seed in range(LAYERS):
        weight, gram, grid = layer(3 * seed, width, bits, size)
        best = least_error(weight, gram, grid, bits)
        codes = find(weight, gram, grid, bits, 2 ** (bits * (width - 1)))
        # the search is in float32, and H may have small eigenvalues
        found = error_of(codes, weight, gram, grid)
        torch.testing.assert_close(found, best, rtol=1e-3, atol=1e-6)
        plain = error_of(find(weight, gram, grid, bits, 1), weight, gram, grid)
        greedy += int((plain > 1.01 * best).sum())
    assert greedy > 5  # so the beam had something to find


@ORDERS
def test_a_wider_beam_is_no_worse_on_average(find):
    """A single row may be: what is best up to a column need not stay it."""
    means = []
    for ways in (1, 2, 4, 16, 64):
        ratios = []
        for seed, kind in itertools.product(range(20), KINDS):
            weight, gram, grid = layer(3 * seed, *kind)
            codes = find(weight, gram, grid, kind[1], ways)
            best = least_error(weight, gram, grid, kind[1])
            ratios += (error_of(codes, weight, gram, grid) / best).tolist()
        means.append(round(sum(ratios) / len(ratios), 4))
    assert means == sorted(means, reverse=True)
    assert means[0] > 1.1
    assert means[-1] < 1.001


@pytest.mark.parametrize("ways", [1, 4, 64])
def test_the_costs_of_columns_add_up_to_the_error_with_damping(ways):
    weight, gram, grid = layer(7, 6, 3, 6)
    weight, gram = weight.double(), gram.double()
    own = Grid(*(each.double().expand(-1, 6) for each in grid))
    codes, cost = beam._search(weight, own, gptq.inverse_root(gram), 3, ways)
    torch.testing.assert_close(cost, error_of(codes, weight, gram, own))


def test_what_a_way_costs_so_far_is_the_least_that_it_can_still_cost():
    """With three codes given, and the others free to be any number."""
    weight, gram, grid = layer(7, 5, 3, 5)
    weight, hessian = weight.double(), damped(gram)
    own = Grid(*(each.double().expand(-1, 5) for each in grid))
    first = Grid(*(each[:, :3] for each in own))
    root = gptq.inverse_root(gram)
    codes, cost = beam._search(weight[:, :3], first, root[:3, :3], 3, 64)
    change = affine.from_grid(codes, first) - weight[:, :3]
    rest = -torch.linalg.solve(hessian[3:, 3:], hessian[3:, :3] @ change.T).T
    least = gptq.output_error(torch.cat((change, rest), 1), hessian)
    torch.testing.assert_close(cost, least)


def test_a_beam_of_one_is_gptq():
    weight, gram = torch.randn(24, 32, generator=draw()), correlated_inputs(32, 1)
    gram, grid = gram.T @ gram, affine.asymmetric_grid(weight, 4, 16)
    own = Grid(*(each.repeat_interleave(16, 1) for each in grid))
    root = gptq.inverse_root(gram)
    plain = gptq.round_columns(weight, own, root, 4)
    assert torch.equal(beam.search_columns(weight, own, root, 4, 1), plain)


def test_rows_are_searched_some_at_a_time_and_do_not_depend_on_it(monkeypatch):
    weight, gram = torch.randn(9, 8, generator=draw()), correlated_inputs(8, 1)
    gram, grid = gram.T @ gram, affine.asymmetric_grid(weight, 4, 4)
    whole = gptq.quantize(weight, gram, grid, 4, ways=5)
    monkeypatch.setattr(beam, "VALUES", 2 * 5 * 16)  # two rows
    assert torch.equal(gptq.quantize(weight, gram, grid, 4, ways=5), whole)


@pytest.mark.parametrize(("bits", "ways"), [(2, 3), (3, 1), (4, 4), (4, 7), (4, 40)])
def test_the_codes_tried_are_on_the_grid_and_hold_the_nearest(bits, ways):
    low, high = affine.code_range(bits)
    steps = 12 * torch.randn(50, 3, 1, generator=draw())
    tried = beam._near(steps, bits, ways)
    assert tried.min() >= low
    assert tried.max() <= high
    every = torch.arange(low, high + 1).float()
    count = min(ways, len(every))
    nearest = (every - steps).abs().topk(count, largest=False).values
    ours = (tried - steps).abs().topk(count, largest=False).values
    torch.testing.assert_close(ours, nearest)


def test_the_scheme_hands_its_beam_on():
    model = Sparrow(MODELS["gqa"]).eval()
    parts = {"bits": 4, "group_size": 16, "symmetric": False, "method": "gptq"}
    made = [quant.quantize(model, Scheme(**parts, beam=n), ids()) for n in (1, 1, 8)]
    codes = [each.layers[0].mlp.up_proj.codes for each in made]
    assert torch.equal(codes[0], codes[1])
    assert not torch.equal(codes[0], codes[2])
