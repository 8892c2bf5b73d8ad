"""The rules of a text cell: one idea, plain words, nothing that shows as raw text."""

import re
from pathlib import Path

from sparrow.language import _
from workshop.build.source import Lab, names

__all__ = ["findings", "words"]

MOST_WORDS = 80
DETAILS = re.compile(r"<details>.*?</details>", re.DOTALL)
DISPLAYED = re.compile(r"\$\$.*?\$\$", re.DOTALL)
INLINE = re.compile(r"\$[^$\n]+\$|`[^`\n]+`")
TARGET = re.compile(r"\]\([^)]*\)")
TABLE = re.compile(r"^\|.*\|$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
DIRECTIVE = re.compile(r"^\s*(:::|```\{)|\{[a-z:-]+\}`", re.MULTILINE)
BARE_PICTURE = re.compile(r"!\[\s*\]\(|<img(?![^>]*\balt=\"[^\"])[^>]*>")
FOREIGN_PICTURE = re.compile(r"!\[[^\]]*\]\(\s*https?:|<img[^>]*src=\"https?:")
TO_A_LAB = re.compile(r"\]\(\.\./(\w+)/(\w+)\.ipynb")
# Words that make a reader who does not understand feel alone.
UNKIND = re.compile(r"\b(simply|obviously|trivially|of course)\b", re.IGNORECASE)


def findings(lab: Lab, at: int) -> list[str]:
    """Every broken rule of one text cell."""
    cell = lab.cells[at]
    found = []
    count = words(cell.text)
    if count > MOST_WORDS:
        found.append(
            _(
                "{got} words; at most {most}, one idea a cell: split it with +++.",
                got=count,
                most=MOST_WORDS,
            )
        )
    plain = CODE.sub("", cell.text) if not DIRECTIVE.search(cell.text) else cell.text
    if DIRECTIVE.search(plain):
        found.append(
            _("a directive or role, which JupyterLab shows as raw text: remove it.")
        )
    for word in UNKIND.findall(plain):
        found.append(_('"{word}" helps no reader: remove it.', word=word))
    if BARE_PICTURE.search(plain):
        found.append(
            _("a picture without words for who cannot see it: write ![words](file).")
        )
    if FOREIGN_PICTURE.search(plain):
        found.append(_("a picture of another host: labs work without a network."))
    found += _links(lab, plain)
    return found


def words(text: str) -> int:
    """How many words one sees; hints, tables and formulas in their own line do not
    count, a formula or name within a sentence is one word.
    """
    for pattern in (DETAILS, CODE, DISPLAYED, TABLE):
        text = pattern.sub(" ", text)
    text = TARGET.sub("]", INLINE.sub("x", text))
    return len([word for word in text.split() if re.search(r"\w", word)])


def _links(lab: Lab, text: str) -> list[str]:
    """Links to other labs lead somewhere."""
    known = names(lab.path.parents[1])
    found = []
    for folder, file in TO_A_LAB.findall(text):
        if folder != file or folder not in known:
            found.append(
                _(
                    "a link to {folder}/{file}.ipynb, which does not exist: mend it.",
                    folder=folder,
                    file=file,
                )
            )
    for target in re.findall(r"\]\((\.\./\.\./book/[^)#]+)", text):
        if not Path(lab.path.parent / "x" / target).resolve().exists():
            found.append(
                _("a link to {target}, which does not exist: mend it.", target=target)
            )
    return found
