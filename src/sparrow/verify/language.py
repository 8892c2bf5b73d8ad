"""Whether a thought stays in one language: R1's second reward.

R1 rewards the share of words in the asked language (arXiv:2501.12948, section 2.3.2).
Here a word belongs to a language if all of its letters are of the language's script.
That tells Chinese from French, but not French from English.
"""

import re
import unicodedata
from functools import cache

from sparrow.errors import UsageError
from sparrow.language import _
from sparrow.text.cldr import LANGUAGES

__all__ = ["consistency"]

# How Unicode's names of the letters begin; every other language writes LATIN.
SCRIPTS: dict[str, tuple[str, ...]] = {
    "am": ("ETHIOPIC",),
    "ar": ("ARABIC",),
    "bn": ("BENGALI",),
    "fa": ("ARABIC",),
    "hi": ("DEVANAGARI",),
    "ja": ("CJK", "HIRAGANA", "KATAKANA"),
    "ko": ("HANGUL",),
    "my": ("MYANMAR",),
    "ru": ("CYRILLIC",),
    "ta": ("TAMIL",),
    "th": ("THAI",),
    "ti": ("ETHIOPIC",),
    "ur": ("ARABIC",),
    "zh": ("CJK",),
}
TAGS = re.compile(r"</?(?:think|answer)>|<\|[a-z]+\|>")
LONGEST = 20_000  # characters; the rest is not read


def consistency(text: str, language: str) -> float:
    """The share of words in a language's script; 1 where there are no words.

    Args:
        text: a completion; tags, numbers and signs are no words.
        language: a code such as `sw`, one of `sparrow.text.languages.LANGUAGES`.

    Raises:
        UsageError: the language is not known.
    """
    if language not in LANGUAGES:
        raise UsageError(
            _(
                "language must be one of {known}; got {got}.",
                known=", ".join(LANGUAGES),
                got=repr(language),
            )
        )
    # 1. Words are runs of letters, with the marks that belong to them.
    found = [
        letters
        for word in TAGS.sub(" ", text[:LONGEST]).split()
        if (letters := [sign for sign in word if _has_script(sign)])
    ]
    # 2. A word counts if every letter is of the script.
    scripts = SCRIPTS.get(language, ("LATIN",))
    own = [all(_script(sign) in scripts for sign in word) for word in found]
    # 3. Their share.
    return sum(own) / len(own) if own else 1.0


def _has_script(sign: str) -> bool:
    """Whether a sign is a letter of one script; ー, 々 and ʼ serve several."""
    return sign.isalpha() and unicodedata.category(sign) != "Lm"


@cache
def _script(sign: str) -> str:
    """The first word of a letter's name: LATIN, ARABIC, CJK."""
    return unicodedata.name(sign, "").partition(" ")[0]
