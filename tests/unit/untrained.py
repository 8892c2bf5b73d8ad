"""The smallest model that everything runs with, in a folder; it knows nothing."""

from pathlib import Path

import torch

from sparrow.config import Config
from sparrow.model import Sparrow
from sparrow.text.learn import learn_tokenizer

TEXTS = ["numbers 3 7 8 target 29", "3*7=21,21+8=29\n(3*7)+8 12-5/1" * 9]


def save_untrained(folder: Path, max_position_embeddings: int = 256) -> Path:
    """Write it, with a tokenizer for Countdown, and give the folder."""
    tokenizer = learn_tokenizer(TEXTS, 300)
    torch.manual_seed(0)
    config = Config.preset("pico").replace(
        hidden_size=32,
        num_hidden_layers=2,
        intermediate_size=48,
        moe_intermediate_size=16,
        max_position_embeddings=max_position_embeddings,
        vocab_size=tokenizer.vocab_size,
        eos_token_id=tokenizer.end,
    )
    Sparrow(config).save_pretrained(folder)
    tokenizer.save(folder)
    return folder
