"""Turn Markdown that anybody may have written into HTML that only shows."""

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import bleach
from bleach.css_sanitizer import CSSSanitizer
from latex2mathml.converter import convert
from nbconvert.filters.markdown_mistune import markdown2html_mistune

from sparrow import language
from sparrow.language import _

__all__ = ["calm", "exercise_number", "markdown", "say", "spoken_language"]

TAGS = frozenset(
    [
        "a",
        "abbr",
        "b",
        "blockquote",
        "br",
        "code",
        "dd",
        "del",
        "details",
        "div",
        "dl",
        "dt",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "li",
        "ol",
        "p",
        "pre",
        "s",
        "span",
        "strong",
        "sub",
        "summary",
        "sup",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
    ]
)
ATTRIBUTES = {
    "*": ["class", "title", "lang", "dir"],
    "a": ["href"],
    "img": ["src", "alt"],
    "td": ["align", "style"],
    "th": ["align", "style"],
    "ol": ["start"],
}
STYLES = CSSSanitizer(allowed_css_properties=["text-align"])
# Inline data for pictures. A picture from another host would tell it who reads.
PROTOCOLS = ["http", "https", "mailto", "data"]
MATH = re.compile(r"\$\$(.+?)\$\$|\$(?!\s)([^$\n]+?)(?<!\s)\$(?!\d)", re.DOTALL)
CODE = re.compile(r"(```.*?```|~~~.*?~~~|`[^`\n]*`)", re.DOTALL)
MAX_MATH_CHARACTERS = 2000
MAX_FORMULAS = 300
MAX_TAGS = 500  # cleaning takes time that grows with their square


def markdown(source: str) -> str:
    """Markdown to HTML: mathematics as MathML, no script, nothing from other hosts."""
    source = calm(source)
    formulas: list[str] = []
    pieces = CODE.split(source)
    pieces[::2] = [_without_math(piece, formulas) for piece in pieces[::2]]
    html = markdown2html_mistune("".join(pieces))
    clean = bleach.clean(
        html,
        tags=TAGS,
        attributes=_is_allowed,
        protocols=PROTOCOLS,
        css_sanitizer=STYLES,
        strip=True,
    )
    return re.sub(r"MATHEMATICS(\d+)X", lambda m: _formula(formulas, m), clean)


def calm(source: str) -> str:
    """Text with more tags than anybody types by hand has none at all."""
    return source.replace("<", "&lt;") if source.count("<") > MAX_TAGS else source


def _is_allowed(tag: str, name: str, value: str) -> bool:
    if tag == "img" and name == "src":
        return value.startswith("data:image/png;base64,")
    if value.lstrip().lower().startswith("data:"):
        return False
    return name in ATTRIBUTES.get(tag, []) or name in ATTRIBUTES["*"]


def _without_math(text: str, formulas: list[str]) -> str:
    """Put a word in place of each formula, which Markdown would mangle."""

    def keep(match: re.Match[str]) -> str:
        block, inline = match.groups()
        if len(formulas) >= MAX_FORMULAS:
            return match[0]
        formulas.append(_mathml(block or inline, "block" if block else "inline"))
        return f"MATHEMATICS{len(formulas) - 1}X"

    return MATH.sub(keep, text)


def _formula(formulas: list[str], match: "re.Match[str]") -> str:
    at = int(match[1])
    return formulas[at] if at < len(formulas) else match[0]


def _mathml(tex: str, display: Any) -> str:
    """MathML, made by us from text; what cannot be read is shown as it is."""
    plain = f"<code>{bleach.clean(tex, tags=frozenset())}</code>"
    if len(tex) > MAX_MATH_CHARACTERS or re.search(r"href|url|style|text", tex):
        return plain  # commands that could carry more than a formula
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        tex = tex.replace(entity, character)
    try:
        found = convert(tex, display=display)
        is_safe = _only_mathematics(ElementTree.fromstring(found))
    except Exception:  # it reads what anybody typed, and has many ways to fail
        return plain
    return found if is_safe else plain


def _only_mathematics(root: ElementTree.Element) -> bool:
    """Nothing in it but formulas: no foreign element, no attribute that acts."""
    return all(
        re.fullmatch(r"(\{.*MathML\})?m[a-z]+", each.tag)
        and not any(re.match(r"on|href|src|style|.*:", name) for name in each.attrib)
        for each in root.iter()
    )


def exercise_number(grade_id: str) -> str:
    """`check-2-3` is exercise 2.3."""
    return ".".join(str(grade_id).split("-")[1:])


def spoken_language(_default: str) -> str:
    """The language of our sentences, as HTML names it."""
    return language.current().replace("_", "-")


def say(sentence: str) -> str:
    """A sentence of a template, in the language that is spoken."""
    return _(sentence)
