"""Say every sentence in the learner's language.

All that code shows to a person passes through `_`: complete sentences with named
placeholders, so that a translator sees the whole and may reorder it.

    from sparrow.language import _
    raise ConfigError(_("{field} must be at least {low}, got {got}", field="n", ...))
"""

import gettext
from pathlib import Path

__all__ = ["PSEUDO", "_", "about", "available", "current", "template_of", "use"]

DOMAIN = "sparrow"
LOCALES = Path(__file__).parent / "locales"
PSEUDO = "pseudo"  # a test language: every translated sentence stands in ⟦ ⟧

_code = "en"
_catalogue: gettext.NullTranslations = gettext.NullTranslations()


class _PseudoTranslations(gettext.NullTranslations):
    """Mark each sentence, so that a test can find the ones that were forgotten."""

    def gettext(self, message: str) -> str:
        return f"⟦{message}⟧"


class _Sentence(str):
    """What is shown; it remembers the English that it was made from, without values."""

    __slots__ = ("template",)
    template: str


def _(message: str, /, **values: object) -> str:
    """Translate `message`, then fill its named placeholders.

    Args:
        message: the English sentence, as a literal, so that it can be extracted.
        values: one value for each `{name}` in the sentence.
    """
    translated = _catalogue.gettext(message)
    return _said(translated.format(**values) if values else translated, message)


def about(part: str, sentence: str) -> str:
    """A sentence about one part of a whole: its name in front, the same sentence."""
    return _said(f"{part}: {sentence}", template_of(sentence))


def template_of(sentence: str) -> str:
    """The English that a sentence was made from, without values; "" if unknown."""
    return sentence.template if isinstance(sentence, _Sentence) else ""


def _said(text: str, template: str) -> str:
    sentence = _Sentence(text)
    sentence.template = template
    return sentence


def use(code: str) -> None:
    """Speak `code` from now on; a language without a catalogue falls back to English.

    Args:
        code: a language tag such as `fr` or `pt_BR`, `en`, or `pseudo`.
    """
    global _code, _catalogue
    _code = code
    if code == PSEUDO:
        _catalogue = _PseudoTranslations()
    else:
        _catalogue = gettext.translation(
            DOMAIN, LOCALES, languages=[code], fallback=True
        )


def current() -> str:
    """The language spoken now."""
    return _code


def available() -> list[str]:
    """The languages that have a catalogue, English included."""
    catalogues = LOCALES.glob(f"*/LC_MESSAGES/{DOMAIN}.mo")
    return sorted({"en", *(path.parts[-3] for path in catalogues)})
