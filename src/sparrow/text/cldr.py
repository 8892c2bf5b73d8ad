"""Names in many languages, aligned by key, from the CLDR that Babel carries.

A name is kept where all `LANGUAGES` have it and none writes it as English does: such a
copy is often a gap that was filled. Genuine ones go with it, "Canada" for one.
"""

import hashlib
from collections.abc import Mapping
from functools import cache

__all__ = ["LANGUAGES", "read", "shared", "side"]

Key = tuple[str, str]

# CLDR knows far more. These have names for nearly all that the others name, and seldom
# the English word in its place; one language with gaps would cost all of them items.
LANGUAGES = {
    "en": "English",
    "fr": "French",
    "es": "Spanish",
    "pt": "Portuguese",
    "de": "German",
    "it": "Italian",
    "ru": "Russian",
    "tr": "Turkish",
    "ar": "Arabic",
    "fa": "Persian",
    "ur": "Urdu",
    "hi": "Hindi",
    "bn": "Bengali",
    "ta": "Tamil",
    "my": "Burmese",
    "th": "Thai",
    "vi": "Vietnamese",
    "id": "Indonesian",
    "zh": "Chinese",
    "ja": "Japanese",
    "ko": "Korean",
    "am": "Amharic",
    "ha": "Hausa",
    "so": "Somali",
    "sw": "Swahili",
    "ti": "Tigrinya",
    "yo": "Yoruba",
    "zu": "Zulu",
}


@cache
def shared() -> tuple[Key, ...]:
    """What all languages name, each in its own word."""
    english = read("en")
    others = [read(code) for code in LANGUAGES if code != "en"]
    # The script and the language of a people share a name: the first one stays.
    first = {name.casefold(): key for key, name in reversed(english.items())}
    return tuple(
        key
        for name, key in reversed(first.items())
        if all(other.get(key, name).casefold() != name for other in others)
    )


@cache
def read(code: str) -> dict[Key, str]:
    """All that CLDR names in one language, in an order of its own."""
    from babel import Locale

    locale = Locale.parse(code)
    parts: dict[str, Mapping[object, str]] = {
        "country": locale.territories,
        "language": locale.languages,
        "currency": locale.currencies,
        "script": locale.scripts,
        # Not "stand-alone": Babel 2.18 mixes those of languages opened one after the
        # other (python-babel/babel, issue 1234).
        "month": locale.months["format"]["wide"],
        "day": locale.days["format"]["wide"],
    }
    return {
        (part, str(key)): part_names[key]
        for part, part_names in parts.items()
        for key in sorted(part_names, key=str)
    }


def side(key: Key) -> int:
    """0 to learn from, 1 to measure on; the order of the items has no say in it."""
    return hashlib.sha256("/".join(key).encode()).digest()[0] & 1
