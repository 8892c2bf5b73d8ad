"""Exercises 2.1 and 2.7: guess what a token costs to remember, then measure it."""

from dataclasses import asdict
from typing import Any

import torch

from sparrow.checks.compare import compare_close
from sparrow.checks.guess import guess_check
from sparrow.checks.protocol import Case, Check, Plain, Verdict
from sparrow.config import Config
from sparrow.language import _
from sparrow.model.cache import bytes_per_token, features_per_layer

__all__ = ["CHECKS"]

ALONE, TOGETHER = "one sequence", "several sequences"
DESIGNS = "other designs and precisions"
BYTES = {"float32": 4, "bfloat16": 2}

# Small enough that a check takes a moment; all sizes differ.
LATENT: dict[str, object] = {
    "feed_forward": "dense",
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
    "kv_lora_rank": 10,
    "qk_nope_head_dim": 6,
    "qk_rope_head_dim": 4,
    "v_head_dim": 8,
}
GROUPED: dict[str, object] = {
    **{name: LATENT[name] for name in list(LATENT)[:7]},
    "attention": "gqa",
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 6,
}


def cases(generator: torch.Generator, hidden: bool) -> list[Case]:
    """Models that differ in all that matters, and batches of one and more."""

    def case(
        name: str,
        group: str,
        fields: dict[str, object],
        batch: int,
        tokens: int,
        dtype: str = "float32",
    ) -> Case:
        config = Config(**fields)  # type: ignore[arg-type]
        ids = torch.randint(config.vocab_size, (batch, tokens), generator=generator)
        told: Any = asdict(config)
        return Case(name, group, {"config": told, "dtype": dtype, "arguments": [ids]})

    deep = {**LATENT, "num_hidden_layers": 5, "kv_lora_rank": 12}
    found = [
        case("seven tokens", ALONE, LATENT, 1, 7),
        case("one token", ALONE, LATENT, 1, 1),
        # Not as many as layers: two divisions would look the same.
        case("five sequences", TOGETHER, LATENT, 5, 6),
        case("grouped-query attention", DESIGNS, GROUPED, 1, 6),
        case("bf16, deeper", DESIGNS, deep, 1, 4, "bfloat16"),
    ]
    if hidden:
        drawn = {**LATENT, "kv_lora_rank": _some(generator), "num_hidden_layers": 2}
        found += [
            case("drawn 1", ALONE, drawn, 1, _some(generator)),
            case("drawn 2", TOGETHER, drawn, 2, _some(generator)),
            case("drawn 3", DESIGNS, GROUPED, 1, _some(generator), "bfloat16"),
        ]
    return found


def _some(generator: torch.Generator) -> int:
    return int(torch.randint(5, 20, (1,), generator=generator))


def expected(case: Case) -> Plain:
    """What the formula gives, which the cache must agree with."""
    config, size = described(case)
    return float(bytes_per_token(config, BYTES[size]))


def described(case: Case) -> tuple[Config, str]:
    """The model of a case, and its precision."""
    fields, dtype = case.inputs["config"], case.inputs["dtype"]
    assert isinstance(fields, dict)
    assert isinstance(dtype, str)
    return Config(**fields), dtype  # type: ignore[arg-type]


def compare(case: Case, wanted: Plain, actual: Plain) -> Verdict:
    """One number; name the division that is missing."""
    config, dtype = described(case)
    arguments = case.inputs["arguments"]
    assert isinstance(arguments, list)
    ids = arguments[0]
    assert isinstance(ids, torch.Tensor)
    assert isinstance(wanted, float)
    batch, tokens = ids.shape
    layers, size = config.num_hidden_layers, BYTES[dtype]
    heads = config.num_attention_heads
    empty = _("The cache is empty: did the model get it, with cache=…?")
    if config.attention == "gqa":
        empty = _(
            "0 bytes: this model has no latents. Run it with a cache and count there; "
            "a formula for latents does not fit."
        )
    mistakes = [
        (0.0, empty),
        (wanted * batch * tokens, _("These are all tokens: divide by their number.")),
        (wanted * batch, _("There are several sequences: each has tokens.")),
        (wanted * tokens, _("This is one whole sequence: divide by its tokens.")),
        (wanted / batch, _("Divided by the sequences twice.")),
        (wanted / layers, _("This is one layer: the model has several.")),
        (wanted * layers, _("All layers are in bytes_used already: they count once.")),
        (wanted / size, _("These are numbers: how many bytes has each?")),
        (wanted * 4 / size, _("Not every model uses 4 bytes: ask the cache.")),
        (wanted * 2 / size, _("Not every model uses 2 bytes: ask the cache.")),
        (wanted * size, _("These are bytes already: the precision counts once.")),
        (wanted / 1024, _("These are KiB: the answer is in bytes.")),
        (
            float(features_per_layer(config)),
            _("This is the number of features of one layer, not bytes."),
        ),
        (wanted * heads, _("The heads share the latent: they do not count.")),
    ]
    return compare_close(
        actual,
        wanted,
        rtol=1e-6,
        atol=0.0,
        causes=[
            (message, lambda value=value: float(value)) for value, message in mistakes
        ],
    )


CHECKS = {
    "2.1": guess_check("2.1", "a number of bytes", lambda: _("bytes")),
    "2.7": Check(
        exercise="2.7",
        solution=None,
        groups={ALONE: 0.4, TOGETHER: 0.3, DESIGNS: 0.3},
        cases=cases,
        expected=expected,
        compare=compare,
        driver="with_model",
    ),
}
