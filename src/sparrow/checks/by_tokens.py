"""The drivers of lab 01: joins have pairs as keys, which plain data cannot hold."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sparrow.checks.protocol import Plain, artefact_in, plain

__all__ = ["joined", "learned", "pairs_counted", "tokens_left", "word_encoded"]


def pairs_counted(function: Any, inputs: dict[str, Any]) -> Plain:
    """Count the pairs of `words`, a list of [ids, times].

    Returns:
        `{"pairs": [[first, second, times], …]}`; what is no dictionary, as it is.
    """
    words = Counter({tuple(ids): times for ids, times in inputs["words"]})
    found = function(words)
    if not isinstance(found, Mapping):
        return plain(found)
    return {"pairs": [[plain(pair), plain(times)] for pair, times in found.items()]}


def joined(function: Any, inputs: dict[str, Any]) -> Plain:
    """Join a pair in a word.

    Returns:
        `{"ids": …, "is_tuple": bool}`.
    """
    found = function(tuple(inputs["word"]), tuple(inputs["pair"]), inputs["new"])
    return {"ids": plain(found), "is_tuple": isinstance(found, tuple)}


def learned(function: Any, inputs: dict[str, Any]) -> Plain:
    """Learn a vocabulary from `text`, one character for each byte.

    Returns:
        `{"joins": [[first, second, new], …], "tokens": {id: text}}`; what is no
        vocabulary, as it is.
    """
    found = function(inputs["text"].encode("latin-1"), inputs["vocab_size"])
    merges, tokens = getattr(found, "merges", None), getattr(found, "tokens", None)
    if not isinstance(merges, Mapping) or not isinstance(tokens, Mapping):
        return plain(found)
    return {
        "joins": [
            [*map(plain, pair), plain(new)]
            for pair, new in merges.items()
            if isinstance(pair, tuple)
        ],
        "tokens": {
            str(number): spelled.decode("latin-1")
            for number, spelled in tokens.items()
            if isinstance(spelled, bytes)
        },
    }


def word_encoded(function: Any, inputs: dict[str, Any]) -> Plain:
    """Encode a word with `joins`, a list of [first, second, new] in their order."""
    merges = {(first, second): new for first, second, new in inputs["joins"]}
    return plain(function(tuple(inputs["word"]), merges))


def tokens_left(_claimed: Any, inputs: dict[str, Any]) -> Plain:
    """Open what lab 01 left, and count its tokens again.

    Raises:
        CheckError: there is no file.
        CheckpointError: it is damaged.
    """
    from sparrow.text import bpe, claims, languages

    claim = claims.read(artefact_in(inputs, claims.FILE))
    counts: dict[str, Plain] = {}
    if claim.language in languages.LANGUAGES:
        for code in ("en", claim.language):
            counts[code] = [
                len(bpe.encode(name.encode(), claim.vocabulary))
                for name in languages.names(code)
            ]
    prose = languages.passage("en").encode()
    return {
        "language": claim.language,
        "joins": len(claim.vocabulary.merges),
        "bytes_per_token": len(prose) / len(bpe.encode(prose, claim.vocabulary)),
        "counts": counts,
        "said": plain(claim.said),
    }
