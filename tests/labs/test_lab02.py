"""The checks of lab 02 refuse likely mistakes, and accept what is written otherwise."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sparrow.model import mla, norm, rope
from tests.labs import harness
from tests.labs.harness import Mutant, patched

Function = Callable[..., Any]
NORM = "sparrow.model.norm:rms_norm"
COMPRESS = "sparrow.model.mla:compress"
ROTATE = "sparrow.model.rope:rotate_pairs"
ABSORB = "sparrow.model.mla:absorbed_scores"


# ---- 2.1: a guess ----

WRONG_GUESSES = [
    Mutant("untouched", None, "no guess yet"),
    Mutant("text", "70272", "got str"),
    Mutant("negative", -1, "more than zero"),
    Mutant("nothing at all", 0, "more than zero"),
    Mutant("for ever", math.inf, "not infinite"),
    Mutant("yes", True, "one number of bytes"),
]
RIGHT_GUESSES = [100, 7e4]


# ---- 2.2: RMSNorm ----


def layer_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    wide = x.float()
    return weight * F.layer_norm(wide, wide.shape[-1:], eps=eps).to(x.dtype)


def layer_norm_by_var(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """PyTorch's `var` divides by one less than there are; by 0 for one feature."""
    wide = x.float() - x.float().mean(dim=-1, keepdim=True)
    var = wide.pow(2).sum(dim=-1, keepdim=True) / max(x.shape[-1] - 1, 1)
    return (wide * torch.rsqrt(var + eps)).to(x.dtype) * weight


WRONG_NORMS = [
    Mutant(
        "epsilon outside the root",
        patched(NORM, "rsqrt(mean_square + eps)", "rsqrt(mean_square) + eps"),
        "inside the root",
        earns=0.75,
    ),
    Mutant(
        "epsilon beside the root",
        patched(
            NORM,
            "x_float * torch.rsqrt(mean_square + eps)",
            "x_float / (mean_square.sqrt() + eps)",
        ),
        "inside the root",
        earns=0.75,
    ),
    Mutant("no epsilon", patched(NORM, " + eps", ""), "or is missing", earns=0.75),
    Mutant("wrong axis", patched(NORM, "dim=-1", "dim=0"), "wrong axis"),
    Mutant("all axes", patched(NORM, "dim=-1, keepdim=True", ""), "whole tensor"),
    Mutant("keepdim forgotten", patched(NORM, ", keepdim=True", "")),
    Mutant("sum", patched(NORM, ".mean(", ".sum("), "sum of the squares"),
    Mutant("no root", patched(NORM, "torch.rsqrt(", "1 / ("), "root is missing"),
    Mutant("multiplies", patched(NORM, "rsqrt", "sqrt"), "divide by it"),
    Mutant("no weight", patched(NORM, "weight * ", ""), "weight is missing"),
    Mutant(
        "size instead of square",
        patched(NORM, "x_float.pow(2)", "x_float.abs().pow(1)"),
    ),
    Mutant("LayerNorm", layer_norm, "not RMSNorm"),
    Mutant("LayerNorm by x.var", layer_norm_by_var, "not RMSNorm"),
    Mutant(
        "works in half precision",
        patched(NORM, "x.float()", "x"),
        "above 65,504",
        earns=0.75,
    ),
    Mutant(
        "stays in float32",
        patched(NORM, "normed.to(x.dtype)", "normed"),
        "float32",
        earns=0.75,
    ),
]


def norm_by_division(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Sum, divide, take the root; scale in float32 and round once, at the end."""
    wide = x.to(torch.float32)
    size = ((wide * wide).sum(-1, keepdim=True) / x.shape[-1] + eps) ** 0.5
    return (wide / size * weight.float()).to(x.dtype)


def norm_by_pytorch(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """PyTorch's own."""
    wide = F.rms_norm(x.float(), x.shape[-1:], eps=eps)
    return wide.type_as(x) * weight


# ---- 2.3: compress ----

WRONG_COMPRESSED = [
    Mutant(
        "no norm",
        patched(
            COMPRESS,
            "norm.rms_norm(latent, norm_weight, LATENT_EPS), k_rope",
            "latent, k_rope",
        ),
        "norm is missing",
        earns=0.4,
    ),
    Mutant(
        "norm before the split",
        patched(
            COMPRESS,
            "F.linear(hidden, w_down)",
            "F.rms_norm(F.linear(hidden, w_down), w_down.shape[:1], eps=1e-6)",
        ),
        "before the split",
    ),
    Mutant(
        "key normed too",
        patched(
            COMPRESS,
            "LATENT_EPS), k_rope",
            "LATENT_EPS), F.rms_norm(k_rope, k_rope.shape[-1:], eps=1e-6)",
        ),
        "Only the latent",
        earns=0.6,
    ),
    Mutant(
        "norm without weight",
        patched(COMPRESS, "(latent, norm_weight,", "(latent, 0 * norm_weight + 1,"),
        "weight of the norm",
        earns=0.4,
    ),
    Mutant(
        "key first",
        patched(
            COMPRESS,
            "latent, k_rope = joint.split([kv_lora_rank, joint.shape[-1] "
            "- kv_lora_rank], -1)",
            "k_rope, latent = joint.split([joint.shape[-1] - kv_lora_rank, "
            "kv_lora_rank], -1)",
        ),
        "swapped",
    ),
    Mutant(
        "returned the other way round",
        lambda **given: mla.compress(**given)[::-1],
        "swapped",
    ),
    Mutant(
        "wrong side", patched(COMPRESS, "F.linear(hidden, w_down)", "hidden @ w_down")
    ),
    Mutant(
        "transposed where it fits",
        lambda **given: mla.compress(
            **{
                **given,
                "w_down": given["w_down"].T
                if given["w_down"].shape[0] == given["w_down"].shape[1]
                else given["w_down"],
            }
        ),
        "wrong side",
    ),
    Mutant("the latent only", lambda **given: mla.compress(**given)[0], "two tensors"),
    Mutant("nothing", lambda **_given: None, "return missing"),
    Mutant("three parts", lambda **given: (*mla.compress(**given), 0), "3 parts"),
]


def compress_by_slices(
    hidden: Tensor, w_down: Tensor, norm_weight: Tensor, kv_lora_rank: int
) -> list[Tensor]:
    """Slices, and the norm written out."""
    joint = hidden @ w_down.T
    latent = joint[..., :kv_lora_rank]
    latent = latent / (latent.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()
    return [latent * norm_weight, joint[..., kv_lora_rank:]]


def compress_by_two_products(
    hidden: Tensor, w_down: Tensor, norm_weight: Tensor, kv_lora_rank: int
) -> tuple[Tensor, Tensor]:
    """The projection cut in two before it is used."""
    to_latent, to_key = w_down[:kv_lora_rank], w_down[kv_lora_rank:]
    latent = torch.einsum("btd,cd->btc", hidden, to_latent)
    key = torch.einsum("btd,rd->btr", hidden, to_key)
    return norm.rms_norm(latent, norm_weight, mla.LATENT_EPS), key


# ---- 2.4: rotate_pairs ----

WRONG_TURNS = [
    Mutant("clockwise", lambda x, cos, sin: rope.rotate_pairs(x, cos, -sin), "sign"),
    Mutant("halves", rope.rotate_halves, "Llama"),
    Mutant(
        "cosine and sine swapped",
        lambda x, cos, sin: rope.rotate_pairs(x, sin, cos),
        "swapped",
    ),
    Mutant(
        "first feature overwritten",
        patched(
            ROTATE,
            "turned_second = first * sin",
            "turned_second = turned_first * sin",
        ),
        "keep the old",
    ),
    Mutant(
        "not side by side",
        patched(ROTATE, "torch.stack((", "torch.cat(("),
    ),
    Mutant(
        "halves put back",
        patched(
            ROTATE,
            "torch.stack((turned_first, turned_second), dim=-1).flatten(-2)",
            "torch.cat((turned_first, turned_second), dim=-1)",
        ),
        "side by side",
        earns=0.4,
    ),
    Mutant(
        "both signs minus",
        patched(ROTATE, "first * sin + second * cos", "second * cos - first * sin"),
        "One of the two sines",
    ),
    Mutant(
        "both signs plus",
        patched(ROTATE, "first * cos - second * sin", "first * cos + second * sin"),
        "One of the two sines",
    ),
    Mutant(
        "alike but for the sign",
        patched(ROTATE, "first * sin + second * cos", "first * cos + second * sin"),
        "Both formulas are alike",
    ),
    Mutant(
        "angle follows the head",
        patched(
            ROTATE,
            "cos[:, :, None].to(x.dtype), sin[:, :, None].to(x.dtype)",
            "cos[:, None].to(x.dtype), sin[:, None].to(x.dtype)",
        ),
        "follow",
    ),
    Mutant(
        "becomes float32",
        lambda x, cos, sin: rope.rotate_pairs(x.float(), cos, sin),
        "precision of x is lost",
        earns=0.8,
    ),
    Mutant("nothing turned", lambda x, cos, sin: x, "Nothing was turned"),
]


def turn_by_complex_numbers(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """A pair is a complex number; a turn is a product, as in DeepSeek's own code."""
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)).contiguous())
    turns = torch.complex(cos, sin).unsqueeze(2)
    return torch.view_as_real(pairs * turns).flatten(-2).to(x.dtype)


def turn_by_a_loop(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Pair by pair, into a copy."""
    out = x.clone()
    for pair in range(x.shape[-1] // 2):
        c, s = (each[:, :, None, pair].to(x.dtype) for each in (cos, sin))
        first, second = x[..., 2 * pair], x[..., 2 * pair + 1]
        out[..., 2 * pair] = c * first - s * second
        out[..., 2 * pair + 1] = s * first + c * second
    return out


# ---- 2.5: a counterexample ----


def example(**changes: object) -> dict[str, object]:
    """One that breaks the short cut, with changes."""
    return {
        "matrix": [[1, 1], [0, 1]],
        "query": [1, 0],
        "latent": [1, 0],
        "query_at": 1,
        "key_at": 0,
        **changes,
    }


WRONG_EXAMPLES = [
    Mutant("same place", example(key_at=1), "cancel", earns=0.0),
    Mutant("half a turn", example(query_at=2), "only change signs", earns=0.25),
    Mutant("a whole turn", example(query_at=4), "whole turns", earns=0.25),
    Mutant("identity", example(matrix=[[1, 0], [0, 1]]), "may swap", earns=0.25),
    Mutant("a turn", example(matrix=[[1, -2], [2, 1]]), "may swap", earns=0.25),
    Mutant("zeros", example(query=[0, 0]), "all zeros", earns=0.25),
    Mutant(
        "equal by chance", example(matrix=[[1, 0], [0, 0]]), "happen to", earns=0.25
    ),
    Mutant("looks ahead", example(key_at=3), "looks back", earns=0.0),
    Mutant("large", example(query=[100, 0]), "from -3 to 3"),
    Mutant("fractions", example(latent=[0.5, 0]), "whole numbers"),
    Mutant("far", example(query_at=99), "from 0 to 9"),
    Mutant("one row", example(matrix=[1, 1]), "two numbers"),
    Mutant("not a number", example(query=[math.nan, 0])),
    Mutant("a name is missing", {"matrix": [[1, 0], [0, 1]]}, "exactly these names"),
    Mutant(
        "untouched",
        example(matrix=[[1, 0], [0, 1]], query_at=0),
        "cancel",
        earns=0.0,
    ),
    Mutant("nothing", None, "is a dictionary", earns=0.0),
]
RIGHT_EXAMPLES = [
    example(),
    example(matrix=[[2, 0], [0, 1]], query=[1, 1], latent=[1, 1], query_at=8, key_at=5),
    example(query=(1, 0), latent=[1.0, 0.0]),
]


# ---- 2.6: absorbed scores ----


def rebuilt(
    q_nope: Tensor,
    q_rope: Tensor,
    latent: Tensor,
    k_rope: Tensor,
    w_up_key: Tensor,
    scale: float,
) -> Tensor:
    """Right numbers, and every key rebuilt on the way."""
    keys = torch.einsum("bkc,hnc->bkhn", latent, w_up_key)
    return mla.expanded_scores(q_nope, q_rope, keys, k_rope, scale)


WRONG_SCORES = [
    Mutant("no scale", patched(ABSORB, ") * scale", ")"), "scale is missing"),
    Mutant("scale twice", patched(ABSORB, "* scale", "* scale * scale"), "twice"),
    Mutant("divides by the scale", patched(ABSORB, "* scale", "/ scale"), "multiply"),
    Mutant(
        "no position",
        patched(ABSORB, "(content + position)", "content"),
        "score of the position is missing",
    ),
    Mutant(
        "no content",
        patched(ABSORB, "(content + position)", "position"),
        "score of the content is missing",
    ),
    Mutant(
        "scales the content only",
        patched(ABSORB, "(content + position) * scale", "content * scale + position"),
        "Only the content",
    ),
    Mutant(
        "multiplies the two",
        patched(ABSORB, "content + position", "content * position"),
        "add them",
    ),
    Mutant(
        "its own scale",
        lambda **given: mla.absorbed_scores(
            **{
                **given,
                "scale": (given["q_nope"].shape[-1] + given["q_rope"].shape[-1])
                ** -0.5,
            }
        ),
        "scale that is given",
    ),
    Mutant("axes", patched(ABSORB, "bqhc,bkc->bhqk", "bqhc,bkc->bqhk")),
    Mutant(
        "axes of the result",
        lambda **given: mla.absorbed_scores(**given).transpose(1, 2),
    ),
    Mutant(
        "transposed matrix where it fits",
        lambda **given: mla.absorbed_scores(
            **{
                **given,
                "w_up_key": given["w_up_key"].mT
                if given["w_up_key"].shape[1] == given["w_up_key"].shape[2]
                else given["w_up_key"],
            }
        ),
        "transposed",
    ),
    Mutant(
        "one matrix for all heads",
        patched(
            ABSORB,
            '"bqhn,hnc->bqhc", q_nope, w_up_key',
            '"bqhn,nc->bqhc", q_nope, w_up_key[0]',
        ),
        "first for all",
    ),
    Mutant(
        "softmax already",
        lambda **given: mla.absorbed_scores(**given).softmax(-1),
        "softmax comes later",
    ),
    Mutant("keys rebuilt", rebuilt, "are they rebuilt", earns=0.8),
]


def absorbed_by_products(
    q_nope: Tensor,
    q_rope: Tensor,
    latent: Tensor,
    k_rope: Tensor,
    w_up_key: Tensor,
    scale: float,
) -> Tensor:
    """Matrix products; both comparisons in one, on rows of C + R features."""
    carried = q_nope.transpose(1, 2) @ w_up_key  # [B, H, Q, C]
    query = torch.cat((carried, q_rope.transpose(1, 2)), dim=-1)
    row = torch.cat((latent, k_rope), dim=-1)
    return query @ row.mT.unsqueeze(1) * scale


def absorbed_head_by_head(
    q_nope: Tensor,
    q_rope: Tensor,
    latent: Tensor,
    k_rope: Tensor,
    w_up_key: Tensor,
    scale: float,
) -> Tensor:
    """A loop over heads."""
    scores = []
    for head, matrix in enumerate(w_up_key):
        content = (q_nope[:, :, head] @ matrix) @ latent.mT
        scores.append(scale * (content + q_rope[:, :, head] @ k_rope.mT))
    return torch.stack(scores, dim=1)


# ---- 2.7: measured bytes ----


def measured(
    divide: Function = lambda used, ids, cache: used / ids.numel(), room: int = 0
) -> Function:
    """Run the model with a cache, then divide in some way."""

    def bytes_a_token(model: Any, ids: Tensor) -> float:
        cache = model.new_cache(ids.shape[0], ids.shape[1] + room)
        with torch.inference_mode():
            model(ids, cache=cache)
        return divide(cache.bytes_used, ids, cache)

    return bytes_a_token


def forgot_to_pass_the_cache(model: Any, ids: Tensor) -> float:
    cache = model.new_cache(*ids.shape)
    model(ids)
    return cache.bytes_used / ids.numel()


def formula_of_latents(model: Any, ids: Tensor) -> int:
    """The formula of the text, with the precision of the weights, nothing run."""
    config = model.config
    size = next(model.parameters()).element_size()
    if config.attention == "gqa":
        return 0
    return int(
        (config.kv_lora_rank + config.qk_rope_head_dim)
        * config.num_hidden_layers
        * size
    )


def reserved(_used: int, ids: Tensor, cache: Any) -> float:
    return sum(each.nbytes for each in cache.buffers) / ids.numel()


WRONG_MEASURES = [
    Mutant("all tokens", measured(lambda used, ids, cache: used), "all tokens"),
    Mutant(
        "forgot the batch",
        measured(lambda used, ids, cache: used / ids.shape[1]),
        "several sequences",
        earns=0.7,
    ),
    Mutant("forgot the tokens", measured(lambda used, ids, cache: used / len(ids))),
    Mutant("cache not passed", forgot_to_pass_the_cache, "cache is empty"),
    Mutant("formula of latents", formula_of_latents, "has no latents", earns=0.7),
    Mutant(
        "one layer",
        measured(lambda used, ids, cache: used / ids.numel() / len(cache.buffers)),
        "one layer",
    ),
    Mutant(
        "numbers, not bytes",
        measured(lambda used, ids, cache: used / ids.numel() / 4),
        "how many bytes",
    ),
    Mutant("reserved, not used", measured(reserved, room=9)),
    Mutant("KiB", measured(lambda used, ids, cache: used / ids.numel() / 1024), "KiB"),
    Mutant("prints instead", lambda model, ids: None, "return missing"),
    Mutant(
        "always float32",
        measured(
            lambda used, ids, cache: (
                4 * sum(each[0, 0].numel() for each in cache.buffers)
            )
        ),
        "4 bytes",
        earns=0.7,
    ),
]


def from_the_shapes(model: Any, ids: Tensor) -> int:
    """Look at one column of every layer's buffer, after a run."""
    cache = model.new_cache(len(ids), 64)
    model.hidden(ids, cache=cache)
    return sum(each[0, 0].nbytes for each in cache.buffers)


def token_by_token(model: Any, ids: Tensor) -> float:
    """Feed one column after the other, and divide by what the cache counted."""
    cache = model.new_cache(len(ids), ids.shape[1])
    for column in ids.unbind(1):
        model(column[:, None], cache=cache)
    return cache.bytes_used / cache.length / cache.batch


EXERCISES = {
    "2.1": harness.Exercise(wrong=WRONG_GUESSES, right=RIGHT_GUESSES),
    "2.2": harness.Exercise(
        wrong=WRONG_NORMS, right=[norm.rms_norm, norm_by_division, norm_by_pytorch]
    ),
    "2.3": harness.Exercise(
        wrong=WRONG_COMPRESSED,
        right=[mla.compress, compress_by_slices, compress_by_two_products],
    ),
    "2.4": harness.Exercise(
        wrong=WRONG_TURNS,
        right=[rope.rotate_pairs, turn_by_complex_numbers, turn_by_a_loop],
    ),
    "2.5": harness.Exercise(wrong=WRONG_EXAMPLES, right=RIGHT_EXAMPLES),
    "2.6": harness.Exercise(
        wrong=WRONG_SCORES,
        right=[mla.absorbed_scores, absorbed_by_products, absorbed_head_by_head],
    ),
    "2.7": harness.Exercise(
        wrong=WRONG_MEASURES, right=[measured(), from_the_shapes, token_by_token]
    ),
}


@pytest.mark.parametrize(*harness.wrong(EXERCISES))
def test_a_likely_mistake_is_refused_with_its_cause(
    exercise: str, mutant: Mutant
) -> None:
    harness.refuse(exercise, mutant)


@pytest.mark.parametrize(*harness.right(EXERCISES))
def test_what_is_right_passes_however_it_is_written(exercise: str, answer: Any) -> None:
    harness.accept(exercise, answer)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_enough_mistakes_and_right_answers_are_tried(exercise: str) -> None:
    harness.has_enough(EXERCISES[exercise])


def test_every_exercise_of_the_lab_is_tried() -> None:
    from sparrow.checks import lab02

    assert set(EXERCISES) == set(lab02.CHECKS)


@pytest.mark.parametrize("exercise", ["2.2", "2.3", "2.4", "2.6"])
def test_an_untouched_stub_earns_nothing_and_hears_what_to_do(exercise: str) -> None:
    harness.refuse_stub(exercise)


def test_no_message_shows_a_line_of_the_solution() -> None:
    pieces = ("einsum(", "rsqrt(mean", "->", "0::2")
    for exercise in ("2.2", "2.3", "2.4", "2.6"):
        harness.keep_secret(exercise, EXERCISES[exercise], pieces)
