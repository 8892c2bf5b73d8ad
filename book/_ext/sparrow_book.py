"""Make the book light: our own theme, mathematics as MathML, no script on a page."""

import html
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.typing import ExtensionMetadata

THEME = Path(__file__).resolve().parent.parent / "_theme"
LABS = "labs/"


def mathml(latex: str, display: str) -> str:
    """LaTeX as MathML, which browsers draw with their own fonts.

    The LaTeX stays in `alttext`, for screen readers that prefer it.
    """
    try:
        drawn = convert(latex, display=display)
    except Exception as error:  # latex2mathml has no common error class
        raise ExtensionError(
            f"This LaTeX cannot be drawn: {latex!r} ({error})"
        ) from error
    alttext = html.escape(latex.strip(), quote=True)
    return drawn.replace("<math ", f'<math alttext="{alttext}" ', 1)


def visit_inline(translator: Any, node: nodes.math) -> None:
    """Write a formula inside a sentence."""
    translator.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def visit_block(translator: Any, node: nodes.math_block) -> None:
    """Write a formula on its own line; a wide one scrolls inside its box."""
    formula = mathml(node.astext(), "block")
    translator.body.append(f'<div class="math" tabindex="0">{formula}</div>\n')
    raise nodes.SkipNode


def complete_context(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Give the frame the whole contents, the page's own, and what a lab page needs."""
    context["contents"] = context["toctree"](
        collapse=False, includehidden=True, titles_only=True, maxdepth=2
    )
    local = context.get("toc", "") if doctree is not None else ""
    has_sections = local.count('href="#') > 3  # fewer are seen at a glance
    context["local_contents"] = local if has_sections else ""
    if pagename.startswith(LABS):
        slug = pagename.removeprefix(LABS)
        context["lab"] = {
            "notebook": f"notebooks/{slug}.ipynb",
            "has_exercises": doctree is not None and has_exercises(doctree),
        }


def has_exercises(doctree: nodes.document) -> bool:
    """Whether a cell of the page is marked as an exercise."""
    cells = doctree.findall(nodes.container)
    return any("tag_exercise" in cell.get("classes", ()) for cell in cells)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the theme and the renderer."""
    app.add_html_theme("sparrow", str(THEME))
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.connect("html-page-context", complete_context, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
