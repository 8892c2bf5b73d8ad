"""The pictures of lab 01: titles are computed, and rows are sorted by what is paid."""

from matplotlib.axes import Axes

from sparrow.text.languages import Ratio
from sparrow.viz import lab01
from sparrow.viz.style import COLOURS, show

ONE = Ratio(1.0, 1.0, 1.0, 300)
TAXES = {
    "en": ONE,
    "hi": Ratio(4.44, 4.18, 4.73, 300),
    "fr": Ratio(1.47, 1.39, 1.57, 300),
}
FAIRER = {
    "en": ONE,
    "hi": Ratio(1.62, 1.55, 1.69, 300),
    "fr": Ratio(1.70, 1.62, 1.80, 300),
}


def title_of(ax: Axes) -> str:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return " ".join(figure.get_suptitle().split())


def rows_of(ax: Axes) -> list[str]:
    """From the bottom to the top."""
    return [label.get_text() for label in ax.get_yticklabels()]


def test_rows_are_sorted_and_named_in_english_words() -> None:
    assert rows_of(lab01.tax_plot(TAXES, "SmolLM2")) == ["English", "French", "Hindi"]


def test_the_title_says_who_pays_most_with_interval_and_n() -> None:
    assert title_of(lab01.tax_plot(TAXES, "SmolLM2")) == (
        "SmolLM2: Hindi pays most, 4.44 times the tokens of English "
        "(95 % interval 4.18 to 4.73, n = 300)"
    )
    without = {code: ratio for code, ratio in TAXES.items() if code != "hi"}
    assert "French pays most" in title_of(lab01.tax_plot(without, "SmolLM2"))


def test_where_english_pays_most_the_title_says_so() -> None:
    cheap = {"en": ONE, "sw": Ratio(0.88, 0.75, 1.03, 5)}
    title = title_of(lab01.tax_plot(cheap, "mixture"))
    assert "no language here pays more than English; Swahili pays 0.88" in title


def test_every_row_has_its_value_beside_it_and_in_the_words() -> None:
    ax = lab01.tax_plot(TAXES, "SmolLM2")
    assert [text.get_text() for text in ax.texts] == ["1.00", "1.47", "4.44"]
    alt = show(ax).alt
    assert "Hindi: 4.44 (4.18 to 4.73); French: 1.47 (1.39 to 1.57)" in alt


def test_only_the_one_that_pays_most_is_orange() -> None:
    ax = lab01.tax_plot(TAXES, "SmolLM2")
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    orange = [dot.get_ydata()[0] for dot in dots if dot.get_color() != COLOURS["blue"]]
    assert orange == [2]


def test_english_is_a_line_with_a_tick_of_its_own() -> None:
    for taxes in (TAXES, {"en": ONE, "fr": Ratio(1.07, 1.04, 1.11, 300)}):
        ax = lab01.tax_plot(taxes, "bytes")
        assert "1" in [label.get_text() for label in ax.get_xticklabels()]
        assert any(set(line.get_xdata()) == {1} for line in ax.lines)


def test_two_taxes_count_who_gains_and_who_loses() -> None:
    ax = lab01.two_taxes(TAXES, FAIRER, names=("English", "mixture"))
    assert title_of(ax) == (
        "From “English” to “mixture”, against English: clearly fewer tokens for 1 of "
        "2 languages, clearly more for 1; Hindi 1.62 instead of 4.44 times (n = 300)"
    )


def test_intervals_that_touch_are_no_clear_change() -> None:
    near = {**FAIRER, "fr": Ratio(1.50, 1.40, 1.60, 300)}
    assert "clearly more for 0" in title_of(lab01.two_taxes(TAXES, near))


def test_an_arrow_only_where_there_is_way_to_go() -> None:
    ax = lab01.two_taxes(TAXES, {**FAIRER, "fr": TAXES["fr"]})
    arrows = [text for text in ax.texts if text.arrow_patch is not None]
    assert [(arrow.xy, arrow.get_position()) for arrow in arrows] == [
        ((1.62, 2), (4.44, 2))
    ]


def test_labels_that_would_touch_stand_above_each_other() -> None:
    def heights(after: float) -> set[float]:
        changed = {"en": ONE, "hi": Ratio(after, after - 0.1, after + 0.1, 300)}
        before = {code: TAXES[code] for code in changed}
        texts = lab01.two_taxes(before, changed).texts
        return {text.get_position()[1] for text in texts if text.arrow_patch is None}

    assert len(heights(1.6)) == 1
    assert len(heights(4.0)) == 2


def test_languages_in_one_of_the_two_only_are_left_out() -> None:
    some = {"en": ONE, "hi": FAIRER["hi"], "sw": ONE}
    assert rows_of(lab01.two_taxes(TAXES, some)) == ["English", "Hindi"]
