"""Every sentence that code shows to a person can be translated.

Not looked at: the help of commands, which click reads while a module is imported,
before any language is known; and tools/start.py, which runs before Sparrow is there.
"""

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import sparrow
from sparrow import Config, checks, lab, language
from sparrow.cli import main as sparrow_command
from sparrow.errors import ConfigError
from workshop import translate
from workshop.cli import main as workshop_command

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path
    for folder in (ROOT / "src/sparrow", ROOT / "tools/workshop")
    for path in folder.rglob("*.py")
)
# What shows words -> which positional arguments are words; keywords by their name.
SHOWS = {
    "echo": (0,),
    "print": (0, 1, 2, 3),
    "Table": (0, 1, 2, 3),
    "add_column": (0,),
    "add_row": tuple(range(9)),
    "set_xlabel": (0,),
    "set_ylabel": (0,),
    "set_title": (0,),
    "suptitle": (0,),
    "annotate": (0,),
    "conclude": (1, 2),
    "label_right": (3,),
    "dot": (3,),
}
WORDS_IN = {
    "title",
    "header",
    "xlabel",
    "ylabel",
    "label",
    "alt",
    "text",
    "description",
}
ON_TEXT = {"get", "join", "strftime", "removeprefix", "split"}
# "file: message of `_`" -> why it is no literal.
NO_LITERAL = {
    "checks/display.py: each.name": "names of groups; the catalogue has them from labs",
    "grading/report.py: each.name": "the same",
    "lab/session.py: about.title": "a lab's title; the catalogue has it from labs.json",
    "lab/session.py: about.question": "the same",
    "classroom/cards.py: sentence": "a page's; the catalogue reads those",
    "board/events.py: template": "a check's; it stands there",
    "grading/render.py: sentence": "the pages of feedback; the catalogue reads those",
}
# "file: words" -> why they need no translation.
NO_SENTENCE = {
    "cli/reproduce.py: sparrow": "the name of the command",
    "viz/lab02.py: GiB": "a unit, the same in all languages",
}


# The checks of a lab: names of groups, which the catalogue has, and of cases, which
# nobody sees.
LAB_DATA = re.compile(r"lab\d\d/")
# Sentences that stand outside `_`: "file: first words" -> why.
NO_TALK = {
    "board/plots.py": "the markup of pictures",
    "checks/power_cut.py": "what the system says of a full disk",
    "text/chat.py": "a template, which models read",
    "text/passages.py": "the same sentences in many languages",
    "train/power_cut.py": "a line of Python",
    "train/recipe.py": "what `--help` says, as on other commands",
    "train/settings.py": "the same",
    "train/sft.py": "the same, and tags",
    "rl/recipe.py": "the same",
    "distill/recipe.py": "the same",
    "cli/reproduce.py": "a line of Python, and a command",
    "evaluate/__init__.py": "Python's message for a name that is not there",
    "viz/reinforcement.py": "styles of a page",
    "evaluate/run.py": "what a language model reads",
    "workshop/checkpoints.py": "a line of Python",
    "checks/display.py": "styles of a page",
    "serve/http.py": "what a browser may do on a page",
    "serve/metrics.py": "what a monitoring program reads",
    "viz/chat.py": "styles of a page",
    "checks/failures.py": "a piece of PyTorch's message, to know it by",
    "checks/wire.py": "read by the next line alone, which says its own sentence",
    "lab/keep.py": "the head of a Python file",
    "workshop/architecture.py": "the picture's words; the book's pages are English",
    "rehearsal/conduct.py": "a few lines of Python",
    "workshop/reference.py": "pages of the book, which are English",
    "data/kinship.py": "the words of reasoning-gym's stories",
    "data/filtering.py": "the words of reasoning-gym's questions",
    "hub/authenticator.py": "a line of the hub's log",
    "hub/install.py": "a line of Python",
    "workshop/book.py": "a command, and another program's message to know it by",
    "workshop/book_server.py": "the frame of a page",
    "workshop/translate.py": "the head of the template",
    "classroom/settings.py": "the comments of workshop.toml, as in `--help`",
    "classroom/tables.py": "the same",
    "build/notebooks.py": "a lab's text, which is translated with the lab",
    "doctor/surroundings.py": "commands to type",
    "sandbox/bubblewrap.py": "a command",
    "start/environment.py": "commands",
    "start/failures.py": "pieces of pip's messages, to know them by",
    "start/install.py": "a command",
    "lint/prose.py": "words to look for",
    "start/pip.py": "a piece of pip's message, to know it by",
}


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in FILES:
        yield "/".join(path.parts[-2:]), ast.parse(path.read_text("utf-8"))


def errors() -> set[str]:
    """The names of all errors that people are meant to read."""
    known = {"SparrowError"}
    bases = {
        node.name: {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        for _file, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    while new := {name for name, of in bases.items() if of & known} - known:
        known |= new
    return known


def called(node: ast.AST) -> str:
    """The last name of what is called."""
    if not isinstance(node, ast.Call):
        return ""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def shown(node: ast.Call) -> list[ast.expr]:
    """The arguments that people read."""
    places = SHOWS.get(called(node), (0,))
    words = [each for at, each in enumerate(node.args) if at in places]
    return words + [each.value for each in node.keywords if each.arg in WORDS_IN]


def bare_words(node: ast.AST) -> Iterator[str]:
    """Words in an expression that do not pass through `_`."""
    if called(node) == "_" or isinstance(node, ast.FormattedValue | ast.Compare):
        return
    if called(node) in ON_TEXT and isinstance(node.func, ast.Attribute):
        for each in node.args:
            if not isinstance(each, ast.Constant):
                yield from bare_words(each)
        return
    if isinstance(node, ast.Subscript):
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        plain = re.sub(r"\[/?[a-z ]*\]|\x1b\[[\d;]*m", "", node.value)  # styles
        if re.search(r"[^\W\d_]{2,}", plain):
            yield plain.strip()
    for each in ast.iter_child_nodes(node):
        yield from bare_words(each)


def test_every_error_that_people_read_passes_through_the_catalogue():
    known, bare = errors(), []
    assert {"ConfigError", "SourceError", "LabError"} <= known
    for file, tree in trees():
        for node in ast.walk(tree):
            if called(node) in known:
                bare += [
                    f"{file}: {words}" for a in node.args for words in bare_words(a)
                ]
    assert bare == []


def test_everything_that_is_shown_passes_through_the_catalogue():
    bare = []
    for file, tree in trees():
        for node in ast.walk(tree):
            if called(node) in SHOWS:
                for words in (w for each in shown(node) for w in bare_words(each)):
                    bare.append(f"{file}: {words}")
    assert sorted(set(bare) - set(NO_SENTENCE)) == []
    assert set(NO_SENTENCE) <= set(bare), "an exception that is needed no more"


def sentences_outside(tree: ast.AST) -> Iterator[str]:
    """What reads like a sentence and is neither in `_`, nor a docstring, nor help.

    An assertion holds what we believe impossible: nobody is meant to read it.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Assert):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.keyword) and node.arg == "help":
            continue
        if called(node) == "_":
            for each in node.keywords:
                yield from sentences_outside(each)
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = re.findall(r"[^\W\d_]{2,}", node.value)
            if len(words) >= 3 and re.search(r"[a-z]+ [a-z]+", node.value):
                yield node.value
        yield from sentences_outside(node)


def test_no_sentence_stands_outside_the_catalogue_wherever_it_goes():
    found = {}
    for file, tree in trees():
        told = list(sentences_outside(tree))
        if told and not LAB_DATA.match(file):
            found[file] = told
    assert {file: found[file] for file in found if file not in NO_TALK} == {}
    assert set(NO_TALK) <= set(found), "an exception that is needed no more"


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ('x = "Now do it at once."', 1),
        ('x = f"Now do it {n} times."', 1),
        ('_("Do {x}.", x="Now do it at once.")', 1),
        ('_("Now do it at once.")', 0),
        ('"""Now do it at once."""', 0),
        ('option(help="Now do it at once.")', 0),
        ('x = "two words"', 0),
    ],
)
def test_the_search_for_sentences_finds_them(code, count):
    assert len(list(sentences_outside(ast.parse(code)))) == count


def test_every_sentence_is_a_literal_with_named_placeholders():
    wrong, excused = [], set()
    for file, tree in trees():
        for node in ast.walk(tree):
            if not (called(node) == "_" and isinstance(node.func, ast.Name)):
                continue
            where = f"{file}: {ast.unparse(node.args[0])}"
            if not isinstance(node.args[0], ast.Constant):
                excused.add(where)
            elif problem := placeholder_problem(node):
                wrong.append(f"{where}: {problem}")
    assert wrong == []
    assert excused == set(NO_LITERAL)


def placeholder_problem(node: ast.Call) -> str:
    given = {each.arg for each in node.keywords}
    try:
        parsed = list(string.Formatter().parse(node.args[0].value))
    except ValueError as error:
        return str(error) if given else ""
    fields = {
        re.split(r"[.\[]", name)[0] for _t, name, _f, _c in parsed if name is not None
    }
    if len(node.args) > 1:
        return "values must have names"
    if None in given:  # `**values`: they are known only when it runs
        return ""
    if given != fields and (given or any(name.isidentifier() for name in fields)):
        return f"placeholders {sorted(fields)}, values {sorted(map(str, given))}"
    return ""


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ('echo("Two words.")', ["Two words."]),
        ('echo(f"{n} words.")', ["words."]),
        ('echo("  " + _("Two words."))', []),
        ('echo(_("Two {n}.", n="words"))', []),
        ('echo("Two" if n else _("More."))', ["Two"]),
        ('echo(f"{n:>8} · {m}")', []),
        ('echo("\\n".join(lines))', []),
    ],
)
def test_the_search_for_bare_words_finds_them(code, words):
    node = ast.parse(code, mode="eval").body
    assert [w for each in shown(node) for w in bare_words(each)] == words


# --- the pseudo language: what was forgotten has no brackets


@pytest.fixture
def pseudo(monkeypatch):
    monkeypatch.setenv("SPARROW_LANGUAGE", language.PSEUDO)
    language.use(language.PSEUDO)
    yield
    language.use("en")


def forgotten(text: str, *data: str) -> list[str]:
    """Words outside ⟦…⟧ that are no numbers, paths or given data."""
    while "⟦" in text and (inner := re.sub(r"⟦[^⟦⟧]*⟧", " ", text)) != text:
        text = inner
    for each in data:
        text = text.replace(each, " ")
    text = re.sub(r"\S*[/\\]\S*|\d[\w.+]*", " ", text)  # paths, numbers, versions
    return re.findall(r"[^\W\d_]{2,}", text)


def test_the_bracket_search_finds_a_bare_word():
    assert forgotten("⟦Machine: ⟦CPU⟧⟧ bare 2.13.0+cpu /a/b") == ["bare"]


def test_a_lab_begins_in_the_learners_language(pseudo, capsys):
    lab.start("00_preflight")
    lab.start("tour")
    shown = capsys.readouterr().out
    assert "⟦What will you build?⟧" in shown
    assert forgotten(shown) == []


def test_a_check_speaks_the_learners_language(pseudo, capsys):
    from sparrow.cost import bill

    assert checks.check("0.2", bill.training_effort).passed
    assert not checks.check("0.1", None).passed
    assert not checks.check("0.2", lambda **_given: 1).passed
    assert not checks.check("2.2", lambda x, weight, eps: x).passed
    shown = capsys.readouterr().out
    assert "✓" in shown
    assert "✗" in shown
    assert forgotten(shown) == []


@pytest.mark.parametrize(
    ("command", "arguments", "data"),
    [
        (sparrow_command, ["assets", "list"], ["smollm2", "Apache"]),
        (sparrow_command, ["assets", "get", "nothing"], []),
        (workshop_command, ["build", "nothing"], []),
        # a command to type is the same in all languages
        (workshop_command, ["doctor"], ["sparrow assets get smollm2"]),
    ],
)
def test_a_command_speaks_the_learners_language(pseudo, command, arguments, data):
    result = CliRunner(env={"COLUMNS": "300"}).invoke(command, arguments)
    assert "⟦" in result.output
    assert forgotten(result.output, *data, "SmolLM2-135M-Instruct, 4-bit (Q4_1)") == []


def test_an_error_of_a_configuration_is_translated(pseudo):
    with pytest.raises(ConfigError) as caught:
        Config.preset("pcio")
    assert forgotten(str(caught.value)) == []
    with pytest.raises(ConfigError) as caught:
        Config.preset("pico").replace(num_attention_heads=0)
    assert forgotten(str(caught.value)) == []


# --- the template for translators


def test_the_template_is_fresh_and_the_same_twice():
    made = translate.template()
    assert made == translate.template()
    assert made == translate.TEMPLATE.read_bytes()
    assert b"POT-Creation-Date" not in made
    assert not re.search(rb"^#: .*:\d", made, re.MULTILINE)


def test_a_stale_template_is_found_and_left_alone(tmp_path, monkeypatch):
    stale = tmp_path / "sparrow.pot"
    stale.write_text("old", "utf-8")
    monkeypatch.setattr(translate, "ROOT", tmp_path)
    monkeypatch.setattr(translate, "TEMPLATE", stale)
    monkeypatch.setattr(translate, "template", lambda: b"new")
    result = CliRunner().invoke(workshop_command, ["translate", "--check"])
    assert result.exit_code == 1
    assert result.stderr == "sparrow.pot is stale; run: workshop translate\n"
    assert stale.read_text("utf-8") == "old"
    assert CliRunner().invoke(workshop_command, ["translate"]).exit_code == 0
    assert stale.read_bytes() == b"new"


def test_the_template_has_every_sentence_once_with_its_placeholders():
    import polib

    entries = polib.pofile(str(translate.TEMPLATE))
    said = [entry.msgid for entry in entries]
    assert len(said) == len(set(said))
    for words in ("Handed in. Your receipt: {path}", "not graded yet", "the latent"):
        assert words in said
    brace = [each for each in entries if each.msgid.startswith("Handed in.")]
    assert brace[0].flags == ["python-brace-format"]


# --- speaking


def test_a_language_without_a_catalogue_falls_back_to_english():
    language.use("xx")
    assert language._("Wrote {n} files.", n=3) == "Wrote 3 files."
    language.use("en")


def test_english_is_always_there():
    assert "en" in language.available()
    assert Path(sparrow.__file__).parent / "locales" == language.LOCALES
