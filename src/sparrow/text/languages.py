"""What a tokenizer charges a language: tokens for the same things, against English.

Two kinds of parallel text need no download.

Names of currencies, countries, languages, scripts, months and days, from the CLDR that
Babel carries. They were translated by people of many countries, and there are hundreds
of them, so that an interval is narrow. They are not sentences: they show how well the
pieces fit the words and the script, not how long a text is. Nearly half are currencies,
with many words that travel unchanged. Names that any language writes as English does
are left out, "Canada" for one; this raises the ratio a little where letters are Latin.

Five sentences of our own (`sparrow.text.passages`). They are running text, with verbs
and endings. Five are few: their interval says how much these five differ from each
other, no more, and no native speaker has checked them.

No ratio here tells whether a tokenizer is at fault. A language may need more letters to
say the same, and a letter more bytes: `tax(utf8_bytes, code)` is this part alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sparrow import runtime
from sparrow.errors import UsageError
from sparrow.language import _
from sparrow.text import cldr
from sparrow.text.cldr import LANGUAGES
from sparrow.text.passages import SENTENCES

__all__ = [
    "LANGUAGES",
    "PASSAGES",
    "Encode",
    "Ratio",
    "bytes_per_item",
    "bytes_per_token",
    "half_split",
    "names",
    "passage",
    "sentence_tax",
    "sentences",
    "tax",
    "utf8_bytes",
]

Encode = Callable[[str], Sequence[int]]

PASSAGES = tuple(SENTENCES)
WITHOUT_SPACES = ("zh",)  # sentences follow each other directly
DRAWS = 2000


@dataclass(frozen=True)
class Ratio:
    """How many times as many tokens, the bounds that enclose it, and from how much."""

    estimate: float
    low: float
    high: float
    n: int


def names(code: str) -> list[str]:
    """Names in one language; the i-th means the same in every language.

    Kept are the names that CLDR has in all `LANGUAGES`, and that none of them writes
    as English does: such a copy is often a gap that was filled.

    Args:
        code: a key of `LANGUAGES`.

    Raises:
        UsageError: there is no such language here.
    """
    _refuse_unknown(code, LANGUAGES)
    known = cldr.read(code)
    return [known[key] for key in cldr.shared()]


def half_split(code: str) -> tuple[list[str], list[str]]:
    """Names to learn a tokenizer from, and others to measure it on.

    The same things are on the same side in every language. The sides still share
    words: "dollar" is in both, as it would be in two texts.
    """
    sides: tuple[list[str], list[str]] = ([], [])
    for key, name in zip(cldr.shared(), names(code), strict=True):
        sides[cldr.side(key)].append(name)
    return sides


def sentences(code: str) -> list[str]:
    """The sentences of our own; the i-th says the same in every language of PASSAGES.

    Raises:
        UsageError: nobody has written them in this language yet.
    """
    _refuse_unknown(code, SENTENCES)
    return list(SENTENCES[code])


def passage(code: str) -> str:
    """The sentences of our own as one text."""
    return ("" if code in WITHOUT_SPACES else " ").join(sentences(code))


def tax(
    encode: Encode,
    code: str,
    *,
    against: str = "en",
    seed: int = 0,
    confidence: float = 0.95,
    held_out: bool = False,
) -> Ratio:
    """All tokens of the names in a language, by those of the same names in English.

    The interval is for other names of the same kinds: it says nothing about prose.

    Args:
        encode: text to token ids, such as `Tokenizer.encode`.
        code: the language that pays.
        against: the language that it is compared with.
        seed: decides which names are drawn for the interval.
        confidence: how often such an interval holds the truth.
        held_out: only the second side of `half_split`, for a tokenizer that was
            trained on the first.
    """

    def items(one: str) -> list[str]:
        return half_split(one)[1] if held_out else names(one)

    return _ratio(encode, items(code), items(against), seed, confidence)


def sentence_tax(
    encode: Encode,
    code: str,
    *,
    against: str = "en",
    seed: int = 0,
    confidence: float = 0.95,
) -> Ratio:
    """The same over the sentences of our own: running text, but only five of them.

    With n = 5 a percentile interval is too narrow: read it as the least doubt there
    is.
    """
    ours, theirs = sentences(code), sentences(against)
    return _ratio(encode, ours, theirs, seed, confidence)


def utf8_bytes(text: str) -> list[int]:
    """The tokenizer without a vocabulary: one token for each byte of UTF-8."""
    return list(text.encode())


def bytes_per_item(code: str) -> float:
    """How many bytes of UTF-8 a name takes, on average."""
    items = names(code)
    return sum(len(utf8_bytes(item)) for item in items) / len(items)


def bytes_per_token(encode: Encode, code: str) -> float:
    """How many bytes of the names a token stands for, on average.

    It compares tokenizers on one language. Between languages it misleads: a letter is
    one byte in English and three in Hindi.
    """
    items = names(code)
    tokens = _total(_counts(encode, items))
    return sum(len(utf8_bytes(item)) for item in items) / tokens


def _ratio(
    encode: Encode, ours: list[str], theirs: list[str], seed: int, confidence: float
) -> Ratio:
    """Ratio of sums, with a percentile bootstrap that draws pairs of items.

    Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    if not 0 < confidence < 1:
        raise UsageError(
            _("confidence must be between 0 and 1; got {got}.", got=confidence)
        )
    import torch

    # 1. The ratio of all tokens to all tokens: a long name counts for more.
    above, below = _counts(encode, ours), _counts(encode, theirs)
    estimate = _total(above) / _total(below)
    # 2. Draw as many items as there are, with repeats; an item brings both its counts.
    n = len(above)
    drawn = torch.randint(n, (DRAWS, n), generator=runtime.generator(seed))
    counts = torch.tensor([above, below], dtype=torch.float64)
    # 3. The ratio of each draw; the bounds leave out equal shares at both ends.
    ratios = counts[0][drawn].sum(1) / counts[1][drawn].sum(1)
    outside = (1 - confidence) / 2
    ends = torch.tensor([outside, 1 - outside], dtype=torch.float64)
    low, high = torch.quantile(ratios, ends).tolist()
    return Ratio(estimate, low, high, n)


def _counts(encode: Encode, items: list[str]) -> list[int]:
    return [len(encode(item)) for item in items]


def _total(counts: list[int]) -> int:
    if min(counts) < 1:
        raise UsageError(
            _("encode must give at least one token for each text; it gave none.")
        )
    return sum(counts)


def _refuse_unknown(code: str, known: Mapping[str, object]) -> None:
    if code not in known:
        raise UsageError(
            _(
                "There is no text for {code} here; the languages are {known}.",
                code=code,
                known=", ".join(known),
            )
        )
