"""What a learner's process may say: an agreement, or how one check went. No more."""

import json
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from string import Formatter

from sparrow.errors import SparrowError
from sparrow.lab import catalogue
from sparrow.lab.board import key_of
from sparrow.language import _

__all__ = ["Agreement", "Event", "Known", "NotTakenError", "read"]

MOST_BYTES = 512
LEFT_OUT = "…"


class NotTakenError(SparrowError):
    """A line that says something that the board does not want to know."""


@dataclass(frozen=True)
class Agreement:
    """Somebody agrees to be shown, or does so no more."""

    share: bool


@dataclass(frozen=True)
class Event:
    """One check was run; `cause` is the key of a sentence, or empty."""

    lab: str
    exercise: str
    passed: bool
    cause: str = ""


class Known:
    """The exercises of all labs, and the sentences that checks may say."""

    @cached_property
    def minutes(self) -> dict[str, dict[str, int]]:
        """Lab -> exercise -> the minutes planned for it; only those with a check."""
        labs = catalogue.labs().values()
        return {
            each.name: each.checked_minutes for each in labs if each.checked_minutes
        }

    @cached_property
    def templates(self) -> dict[str, str]:
        """Key -> the English sentence, with its placeholders."""
        import polib

        file = resources.files("sparrow") / "locales/sparrow.pot"
        return {
            key_of(entry.msgid): entry.msgid
            for entry in polib.pofile(file.read_text("utf-8"))
            if any(place.startswith("src/sparrow/") for place, _n in entry.occurrences)
        }

    def sentence(self, key: str) -> str:
        """What the check said, in the language spoken now, without its values."""
        if key not in self.templates:
            return _("Another cause.")
        template = self.templates[key]
        said = _(template)
        try:
            parts = list(Formatter().parse(said))
        except ValueError:  # it has braces, and no placeholders
            return said
        plain = "".join(
            literal + (LEFT_OUT if name is not None else "")
            for literal, name, _form, _kind in parts
        )
        return plain.replace(f"{LEFT_OUT}.", LEFT_OUT)


def read(line: bytes, known: Known) -> Event | Agreement:
    """What a line says, if it says exactly what it may.

    Raises:
        NotTakenError: it is anything else.
    """
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        told = None
    match told:
        case {"share": bool(share), **rest} if not rest:
            return Agreement(share)
        case {
            "lab": str(lab),
            "exercise": str(exercise),
            "passed": bool(passed),
            "cause": str(cause),
            **rest,
        } if not rest and exercise in known.minutes.get(lab, ()):
            named = cause if cause in known.templates and not passed else ""
            return Event(lab, exercise, passed, named)
    raise NotTakenError(_("The board does not know what this is about."))
