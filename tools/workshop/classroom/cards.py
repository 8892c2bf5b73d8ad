"""The page of cards to print: each shows its learner's passcode for the only time."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
import segno

from sparrow import language
from sparrow.language import _
from workshop.classroom import tls
from workshop.classroom.roster import Person
from workshop.classroom.tables import Classroom

__all__ = ["RIGHT_TO_LEFT", "page", "say"]

TEMPLATES = Path(__file__).parent / "templates"
RIGHT_TO_LEFT = ("ar", "fa", "he", "ur")
IN_GROUP = 8  # pairs of a fingerprint that are read in one go


def page(
    classroom: Classroom,
    people: Sequence[Person],
    passcodes: Mapping[str, str],
    fingerprint: str,
) -> str:
    """One HTML page without any other file, eight cards to a sheet of A4.

    Args:
        classroom: its title and its address.
        people: one card each.
        passcodes: account -> what to type.
        fingerprint: of the hub's certificate.
    """
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True
    )
    templates.filters["say"] = say
    address = tls.address(classroom)
    spoken = language.current()
    cards = []
    try:
        for person in people:
            code = person.language or classroom.course.languages[0]
            language.use(code if code in language.available() else spoken)
            now = language.current()
            cards.append(
                templates.get_template("card.html.j2").render(
                    title=classroom.course.title,
                    days=classroom.course.days,
                    person=person,
                    passcode=passcodes[person.account],
                    address=address,
                    picture=_qr(f"{address}/hub/login#{person.account}"),
                    fingerprint=_in_groups(fingerprint),
                    speech=now,
                    direction="rtl" if now[:2] in RIGHT_TO_LEFT else "ltr",
                )
            )
    finally:
        language.use(spoken)
    sheet = templates.get_template("cards.html.j2")
    return sheet.render(title=classroom.course.title, cards=cards, speech=spoken)


@jinja2.pass_context  # else the first card's language stays in the template
def say(_context: jinja2.runtime.Context, sentence: str) -> str:
    """What a template says, in the language spoken now."""
    return _(sentence)


def _qr(text: str) -> str:
    """A QR code as SVG."""
    written = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        written, kind="svg", xmldecl=False, svgns=True, border=2, omitsize=True
    )
    return written.getvalue().decode()


def _in_groups(fingerprint: str) -> list[str]:
    """Short lines: a fingerprint is compared by eye."""
    pairs = fingerprint.split(":")
    starts = range(0, len(pairs), IN_GROUP)
    return [" ".join(pairs[at : at + IN_GROUP]) for at in starts]
