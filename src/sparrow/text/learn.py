"""Learn a vocabulary from text: which pieces come so often that they deserve a name."""

import json
from collections.abc import Iterable

from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
from tokenizers import Tokenizer as FastTokenizer

from sparrow.text import bpe
from sparrow.text.chat import CHAT_TEMPLATE, SPECIAL, VISIBLE
from sparrow.text.tokenizer import Tokenizer

__all__ = ["PATTERN", "learn_tokenizer"]

# Where no token may reach across: a word with one space before it, up to three digits,
# one mark, a run of spaces. Every character beyond ASCII counts as a letter, so that
# the pattern means the same on text and on its bytes.
PATTERN = (
    r" ?[A-Za-z\x{80}-\x{10FFFF}]+"
    r"|[0-9]{1,3}"
    r"|[^A-Za-z0-9\x{80}-\x{10FFFF} \t\r\n]"
    r"|[ \t\r\n]+"
)


def learn_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Byte-level BPE, by the `tokenizers` library: what production uses.

    Args:
        texts: what to learn from.
        vocab_size: tokens at most, the special ones and the 256 bytes included; a
            short text may fill fewer.

    Raises:
        ConfigError: `vocab_size` has no room for the bytes and the special tokens.

    Source: Sennrich et al., arXiv:1508.07909; on bytes: Radford et al. 2019 (GPT-2).
    """
    bpe.check_room(vocab_size)
    fast = FastTokenizer(models.BPE())
    fast.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    fast.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIAL, *VISIBLE],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    fast.train_from_iterator(texts, trainer)
    return Tokenizer.of(_show_tags(fast), CHAT_TEMPLATE)


def _show_tags(fast: FastTokenizer) -> FastTokenizer:
    """The trainer hides all special tokens from readers; the tags must be seen."""
    told = json.loads(fast.to_str())
    for token in told["added_tokens"]:
        token["special"] = token["content"] not in VISIBLE
    return FastTokenizer.from_str(json.dumps(told))
