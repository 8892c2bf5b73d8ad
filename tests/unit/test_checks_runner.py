"""In the notebook a check is quick, calm, and says the learner's own line."""

import sys
import time
import types

import pytest

from sparrow import language
from sparrow.checks import check, display, on_pass, runner
from sparrow.checks.judging import GroupResult, Outcome
from sparrow.checks.protocol import Case, Check, Verdict


@pytest.fixture(autouse=True)
def lab_97(monkeypatch):
    """Exercise 97.1: `f(x)` is x + 1, in two groups; 97.2: any number."""
    module = types.ModuleType("sparrow.checks.lab97")

    def compare(case, want, got):
        return Verdict(got == want, "" if got == want else f"{case.group} is off")

    module.CHECKS = {
        "97.1": Check(
            exercise="97.1",
            groups={"even": 0.5, "odd": 0.5},
            cases=lambda generator, hidden: [
                Case("2", "even", {"x": 2}),
                Case("3", "odd", {"x": 3}),
            ],
            expected=lambda case: case.inputs["x"] + 1,
            compare=compare,
        ),
        "97.2": Check(
            exercise="97.2",
            groups={"guess": 1.0},
            cases=lambda generator, hidden: [Case("guess", "guess", {})],
            expected=lambda case: None,
            compare=lambda case, want, got: Verdict(got is not None, "no guess yet"),
            driver="value",
        ),
    }
    monkeypatch.setitem(sys.modules, "sparrow.checks.lab97", module)


def test_a_right_function_passes_and_is_kept(capsys, monkeypatch):
    kept = []
    monkeypatch.setattr(runner, "on_pass", [lambda *found: kept.append(found)])

    def plus_one(x):
        return x + 1

    result = check("97.1", plus_one)
    assert result.passed
    assert result.points_frac == 1
    assert kept == [("97.1", plus_one)]
    assert capsys.readouterr().out == "Exercise 97.1 passes.\n  ✓ even\n  ✓ odd\n"


def test_a_half_right_function_shows_which_half(capsys, monkeypatch):
    monkeypatch.setattr(runner, "on_pass", [lambda *_found: pytest.fail("not passed")])
    result = check("97.1", lambda x: 3)
    assert not result.passed
    assert result.points_frac == 0.5
    out = capsys.readouterr().out
    assert "1 of 2 parts are right" in out
    assert "✗ odd   odd is off" in out


def test_a_value_is_checked_as_it_is(capsys):
    assert check("97.2", 5).passed
    assert not check("97.2", None).passed
    assert "no guess yet" in capsys.readouterr().out


def stub(x):
    raise NotImplementedError("Exercise 97.1: …")


def broken(x):
    y = x + 1
    return y / 0


def torch_not_implemented(x):
    import torch

    return torch.ones(2, device="meta").cpu()


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (stub, "Not written yet"),
        (broken, "`return y / 0`: ZeroDivisionError: division by zero."),
        (torch_not_implemented, "NotImplementedError"),
        (lambda: 3, "unexpected keyword argument"),
        (5, "'int' object is not callable"),
        (lambda x: sys.exit(0), "SystemExit"),
        (lambda x: {1}, "holds something of type set"),
        (lambda x: torch_not_implemented, "holds something of type function"),
    ],
)
def test_what_stops_the_code_is_one_sentence(capsys, function, words):
    check("97.1", function)
    out = capsys.readouterr().out
    assert words in out
    assert "Traceback" not in out
    assert len(out.splitlines()) == 3


def test_the_same_sentence_is_not_said_twice(capsys):
    check("97.1", stub)
    assert capsys.readouterr().out.count("Not written yet") == 1


def test_a_function_without_an_end_is_stopped():
    def forever(x):
        while True:
            try:
                while True:
                    pass
            except Exception:
                pass

    started = time.monotonic()
    checked = runner.find("97.1")
    outcome = runner.run_public(checked, forever, seconds=0.2)
    assert time.monotonic() - started < 2
    assert "took too long" in outcome.groups[0].message


def test_an_interrupt_by_the_learner_goes_through():
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check("97.1", interrupted)


def test_the_result_is_silent_as_the_last_line_of_a_cell():
    result = runner.Result(Outcome("97.1", ()))
    assert result._ipython_display_() is None
    assert repr(result) == "<97.1: 0%>"


def test_html_and_text_say_the_same_and_escape():
    groups = (
        GroupResult("even", 0.5, True),
        GroupResult("odd", 0.5, False, "a <b> & c"),
    )
    outcome = Outcome("97.1", groups)
    html, text = display.as_html(outcome), display.as_text(outcome)
    assert "a &lt;b&gt; &amp; c" in html
    assert "a <b> & c" in text
    for word in ("97.1", "even", "odd", "✓", "✗"):
        assert word in html
        assert word in text
    assert "\x1b[32m✓" in display.as_text(outcome, colour=True)


def test_every_sentence_is_translated(capsys):
    language.use(language.PSEUDO)
    try:
        check("97.1", stub)
    finally:
        language.use("en")
    for line in capsys.readouterr().out.splitlines():
        assert "⟦" in line


def test_on_pass_is_public():
    assert on_pass is runner.on_pass
