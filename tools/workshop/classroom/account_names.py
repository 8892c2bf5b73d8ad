"""Make an account from a name in any script: accounts have only a to z and digits."""

import re
import unicodedata

__all__ = ["LONGEST", "account_for"]

LONGEST = 31  # letters of an account, for all tools of UNIX
# Letters that are no letter with an accent.
JOINED = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe", "ø": "o", "Ø": "o"}
    | {"ł": "l", "Ł": "l", "đ": "d", "Đ": "d", "ð": "d", "þ": "th", "ı": "i"}
    | {"ɓ": "b", "ɗ": "d", "Ɗ": "d", "Ɓ": "b", "ƙ": "k", "Ƙ": "k", "ŋ": "ng", "ɛ": "e"}
    | {"ɔ": "o", "ʼ": "", "ʻ": ""}
)


def account_for(name: str, email: str = "") -> str:
    """An account made from a name, or from the address where its script has no a to z.

    `Aïcha N'Diaye` becomes `aicha-ndiaye`; empty if there is nothing to make it from.
    """
    for source in (name, email.partition("@")[0].replace(".", " ")):
        if all(_plain(each) for each in source if each.isalpha()):
            words = re.split(r"[\s-]+", source)
            made = "-".join(filter(None, map(_plain, words)))[:LONGEST].strip("-")
            if made and not made[0].isdigit():
                return made
    return ""


def _plain(text: str) -> str:
    """The letters a to z and the digits of a word, without its accents."""
    apart = unicodedata.normalize("NFKD", text.translate(JOINED)).lower()
    return "".join(each for each in apart if each.isascii() and each.isalnum())
