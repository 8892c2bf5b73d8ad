"""What a submission holds runs neither in formgrader nor in the feedback."""

from typing import Any

import pytest

from workshop.grading.render import exercise_number, markdown, spoken_language

ATTACKS = [
    "<script>hit()</script>",
    "<img src=x onerror=hit()>",
    "<svg onload=hit()></svg>",
    "<details ontoggle=hit() open><summary>x</summary></details>",
    '<a href="javascript:hit()">x</a>',
    "[x](javascript:hit())",
    "[x](data:text/html,<script>hit()</script>)",
    "[x][1]\n\n[1]: javascript:hit()",
    "<iframe srcdoc='<script>hit()</script>'></iframe>",
    "<style>@import 'http://foreign.example/x.css'</style>",
    '<p style="background:url(http://foreign.example/x.png)">x</p>',
    "![x](http://foreign.example/x.png)",
    "<img src='http://foreign.example/x.png'>",
    "<math><mi xlink:href='javascript:hit()'>x</mi></math>",
    "$\\href{javascript:hit()}{x}$",
    "$</math><script>hit()</script>$",
    '$\\color{"onload=hit() x="}{x}$',
    "`<script>hit()</script>`",
    "``` <img src=x onerror=hit()>",
    "MATHEMATICS0X MATHEMATICS99X",
    "<form action=http://foreign.example><button>Send</button></form>",
    "<meta http-equiv=refresh content='0;url=http://foreign.example'>",
]


@pytest.mark.needs_chromium
@pytest.mark.parametrize("attack", ATTACKS)
def test_markdown_that_anybody_wrote_only_shows(page: Any, attack: str) -> None:
    called: list[int] = []
    page.expose_function("hit", lambda: called.append(1))
    page.set_content(f"<body>{markdown(attack)}</body>")
    for link in page.query_selector_all("a"):
        href = link.get_attribute("href") or ""
        assert not href.startswith(("javascript:", "data:"))
    for tag in ("script", "iframe", "svg", "style", "form", "meta", "object"):
        assert not page.query_selector(f"body {tag}")
    page.wait_for_timeout(50)
    assert called == []
    assert page.foreign == []


def test_mathematics_becomes_mathml() -> None:
    html = markdown(
        "The cost is $6\\,N D$ and\n\n$$\\frac{a}{b} < c$$\n\nor $5 and $6."
    )
    assert html.count("<math") == 2
    assert "<mfrac>" in html
    assert "or $5 and $6" in html


def test_code_keeps_its_dollars_and_brackets() -> None:
    assert "<code>a $b$ &lt;c&gt;</code>" in markdown("`a $b$ <c>`")


def test_our_hints_and_tables_survive() -> None:
    html = markdown(
        "<details><summary>Hint</summary>\n\n**yes**\n\n</details>\n\n|a|\n|-|\n|1|"
    )
    for piece in (
        "<details>",
        "<summary>Hint</summary>",
        "<strong>yes</strong>",
        "<td>1",
    ):
        assert piece in html


def test_a_page_names_exercises_and_its_language() -> None:
    assert exercise_number("check-2-3") == "2.3"
    assert spoken_language("en") == "en"
