"""The builder: same source, same bytes; no answer is released; bad sources stop it."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner

from workshop.build import source
from workshop.build.cut import cut
from workshop.build.failures import SourceError
from workshop.cli import main

ROOT = Path(__file__).parents[2]
LABS = source.names()
NUMBERED = [name for name in LABS if name[:2].isdigit()]
LAB = "00_preflight"


def run(*arguments):
    return CliRunner().invoke(main, ["build", *map(str, arguments)])


def contents(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in files
    }


@pytest.fixture
def course(tmp_path):
    """A course folder with the sources alone."""
    (tmp_path / "course/solutions").mkdir(parents=True)
    for name in LABS:
        shutil.copy(ROOT / f"solutions/{name}.md", tmp_path / "course/solutions")
    return tmp_path / "course"


def spoil(course, old, new, name=LAB):
    """Change one place of a source."""
    path = course / f"solutions/{name}.md"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def refused(result, status, *words):
    """One sentence, no traceback, and the promised exit status."""
    assert result.exit_code == status, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    for word in words:
        assert word in result.stderr


# --- the same bytes, always


def test_what_is_committed_is_what_the_sources_give():
    assert run("--check").output == ""


def test_two_builds_give_the_same_bytes_whatever_the_hash_seed(course, tmp_path):
    folders = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        shutil.copytree(course, folder)
        code = "import sys; from workshop.cli import main; main(sys.argv[1:])"
        command = [sys.executable, "-c", code, "build", "--root", str(folder)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
        folders.append({name: data for name, (data, _at) in contents(folder).items()})
    assert folders[0] == folders[1]
    for name in LABS:
        assert f"labs/{name}/{name}.ipynb" in folders[0]
        assert f"solutions/{name}/{name}.ipynb" in folders[0]


def test_a_second_build_writes_nothing(course):
    assert run("--root", course).exit_code == 0
    before = contents(course)
    result = run("--root", course)
    assert (result.exit_code, result.output) == (0, "")
    assert contents(course) == before


def test_check_finds_a_stale_file_and_changes_nothing(course):
    run("--root", course)
    stale = course / f"labs/{LAB}/{LAB}.ipynb"
    stale.write_text(stale.read_text("utf-8") + "\n", "utf-8")
    before = contents(course)
    refused(run("--root", course, "--check"), 1, f"labs/{LAB}/{LAB}.ipynb")
    assert contents(course) == before


def test_check_finds_a_missing_file(course):
    refused(run("--root", course, "--check"), 1, f"labs/{LAB}/{LAB}.ipynb")
    assert list(course.iterdir()) == [course / "solutions"]


def test_a_notebook_without_a_source_is_found(course):
    run("--root", course)
    (course / "solutions/tour.md").unlink()
    refused(run("--root", course, "--check"), 1, "labs/tour/tour.ipynb", "Remove")


def test_words_for_a_picture_go_where_the_book_looks_for_them(course):
    spoil(
        course, "```{code-cell}\npico", "```{code-cell}\n:alt: Two lines.\npico", "tour"
    )
    assert run("--root", course, "tour").exit_code == 0
    built = nbformat.read(course / "labs/tour/tour.ipynb", as_version=4)
    told = [cell.metadata for cell in built.cells if "mystnb" in cell.metadata]
    assert told == [{"mystnb": {"image": {"alt": "Two lines."}}}]


def test_long_cells_are_counted_when_a_lab_is_written(course):
    result = run("--root", course, LAB)
    assert "00_preflight: code cells with more than 12 lines: 1." in result.stderr
    assert run("--root", course, LAB).stderr == ""


# --- bad sources


def test_an_unknown_lab_names_the_near_one(course):
    refused(run("--root", course, "00_preflihgt"), 2, LAB)
    assert list(course.iterdir()) == [course / "solutions"]


def test_an_unknown_lab_beside_a_known_one_stops_before_anything_is_written(course):
    refused(run("--root", course, LAB, "99_nothing"), 2, "99_nothing")
    assert list(course.iterdir()) == [course / "solutions"]


def test_a_folder_without_sources_is_said(tmp_path):
    refused(run("--root", tmp_path, LAB), 2, str(tmp_path / "solutions"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("cost.bill:footprint", "cost.bill:footprimt", ["footprimt", "footprint"]),
        ("cost.bill:footprint", "cost.bil:footprint", ["sparrow.cost.bil"]),
        ("cost.bill:footprint", "cost.bill.footprint", ["module:function"]),
        ('exercise: "0.3"', 'exercise: "0.2"', ["0.2", "twice"]),
        ('exercise: "0.3"', 'exercise: "1.3"', ["1.3", "0.1"]),
        ('exercise: "0.3"', "exercise: 0.3", ["quotes"]),
        ('exercise: "0.3"', 'exercise: "0.3"\nneeds: ["0.4"]', ["0.4", "before"]),
        ('exercise: "0.3"', 'exercise: "0.3"\nneeds: ["0.3"]', ["0.3", "before"]),
        ('exercise: "0.3"', 'exercise: "0.3"\ncolour: red', ["colour"]),
        ("kind: build", "kind: bulid", ["predict, build, break"]),
        ("points: 1", "points: -1", ["points"]),
        ("points: 1", "points: [", ["YAML"]),
        ("answer: guess_years", "answer: guess_yaers", ["guess_yaers"]),
        ("guess_years = 1000", "guess_years = = 1000", ["valid Python"]),
        ("  guess_years = None", "  guess_years = = None", ["valid Python"]),
        ('"rubric": [', '"rubric": [{}, ', ["rubric", "0.6"]),
        ('"rubric": [', '"rubric": [{"1": ""}, ', ["rubric", "0.6"]),
        ('"rubric": [', '"rubric": [{"1": "More."}, ', ["4 points", "has 3"]),
        (f'lab: "{LAB}"', 'lab: "01_other"', [LAB]),
        ("minutes: 60", "minutes: long", ["minutes"]),
        ("---\n", "", ["---"]),
    ],
)
def test_a_broken_source_is_one_sentence_and_nothing_is_written(
    course, old, new, words
):
    spoil(course, old, new)
    refused(run("--root", course, LAB), 1, f"{LAB}", *words)
    assert list(course.iterdir()) == [course / "solutions"]


def test_a_broken_lab_leaves_its_old_notebooks_and_the_others_are_made(course):
    run("--root", course)
    before = contents(course / "labs")
    spoil(course, "cost.bill:footprint", "cost.bill:footprimt")
    spoil(course, "# A short tour", "# A shorter tour", name="tour")
    result = run("--root", course)
    assert result.exit_code == 1
    assert "footprimt" in result.stderr.splitlines()[-1]
    after = contents(course / "labs")
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"tour/tour.ipynb"}


def test_a_source_that_is_no_text_is_one_sentence(course):
    (course / f"solutions/{LAB}.md").write_bytes(b"---\n\xff\xfe")
    refused(run("--root", course, LAB), 1, LAB)


def test_a_folder_that_cannot_be_written_is_one_sentence(course):
    (course / "labs").write_text("a file where a folder should be")
    refused(run("--root", course, "tour"), 1, str(course / "labs"))


# --- the cut

LIBRARY = '''"""A library to cut from."""

import math
import os.path as paths
from collections import Counter, OrderedDict
from functools import cache

SCALE = 2
UNUSED = 3


def helper(x):
    return x * SCALE


@cache
def area(radius: float, *, half: bool = False) -> float:
    """The area of a disc.

    Shapes:
        a number, not a tensor.
    """
    # a remark that is no step
    # 1. Square it,
    #    which takes one line.
    square = radius**2  # this one stays with the whole
    # another remark
    if half:
        # 2. Take the half.
        square /= 2
    # 3. Multiply.
    return helper(math.pi * square)


class Bag:
    """A class."""

    @staticmethod
    def count(words: list[str]) -> Counter:
        """How often each word comes."""
        # 1. Count.
        return Counter(words)


def no_steps(x):
    """A function without steps."""
    return x


def no_docstring(x):
    # 1. A step.
    return x
'''


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A folder with one module to cut from; what is cut can import it."""
    (tmp_path / "toy_library.py").write_text(LIBRARY, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "toy_library", raising=False)
    return tmp_path


def test_the_whole_function_keeps_comments_and_decorators(library):
    whole = cut("toy_library:area", "7.1", library).whole
    assert "square = radius**2  # this one stays with the whole" in whole
    assert "@cache\ndef area(radius: float, *, half: bool = False) -> float:" in whole
    space = {}
    exec(whole, space)
    assert space["area"](1.0, half=True) == pytest.approx(3.14159, rel=1e-4)


def test_only_needed_imports_come_along(library):
    whole = cut("toy_library:area", "7.1", library).whole
    head = whole[: whole.index("@cache")].split("\n")
    assert [line for line in head if line] == [
        "import math",
        "from functools import cache",
        "from toy_library import helper",
    ]


def test_the_stub_keeps_signature_docstring_and_steps_and_raises(library):
    stub = cut("toy_library:area", "7.1", library).stub
    assert stub[stub.index("@cache") :] == (
        "@cache\n"
        "def area(radius: float, *, half: bool = False) -> float:\n"
        '    """The area of a disc.\n\n'
        "    Shapes:\n"
        "        a number, not a tensor.\n"
        '    """\n'
        "    # 1. Square it,\n"
        "    #    which takes one line.\n"
        "        # 2. Take the half.\n"
        "    # 3. Multiply.\n"
        '    raise NotImplementedError("Exercise 7.1: write area")'
    )


def test_a_stub_is_valid_python_and_runs_until_it_is_called(library):
    space = {}
    exec(compile(cut("toy_library:area", "7.1", library).stub, "stub", "exec"), space)
    with pytest.raises(NotImplementedError, match=r"Exercise 7\.1"):
        space["area"](1.0)


def test_a_method_is_cut_out_of_its_class(library):
    part = cut("toy_library:Bag.count", "7.2", library)
    assert part.name == "count"
    space = {}
    exec(part.whole, space)
    assert space["count"](["a", "a"]) == {"a": 2}
    assert "return" not in part.stub
    assert "from collections import Counter\n" in part.stub


@pytest.mark.parametrize(
    ("symbol", "words"),
    [
        ("toy_library:aera", ["aera", "near it are: toy_library:area"]),
        ("toy_library:Bag.cuont", ["cuont", "count"]),
        ("toy_library:Bga.count", ["Bga", "Bag"]),
        ("toy_libary:area", ["toy_libary"]),
        ("toy_library:no_steps", ["numbered steps"]),
        ("toy_library:no_docstring", ["docstring"]),
    ],
)
def test_what_cannot_be_cut_is_said(library, symbol, words):
    with pytest.raises(SourceError) as caught:
        cut(symbol, "7.1", library)
    for word in words:
        assert word in str(caught.value)


# --- what is released


def lab_of(name):
    return source.read(source.find(name))


def learners(name):
    return nbformat.read(ROOT / f"labs/{name}/{name}.ipynb", as_version=4)


def code_lines(text):
    """The stripped lines of code: no comment, no docstring, nothing trivial."""
    tree = ast.parse(text)
    docstrings = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            first = node.body[0]
            docstrings |= set(range(first.lineno, first.end_lineno + 1))
    lines = enumerate(text.splitlines(), start=1)
    stripped = [line.strip() for at, line in lines if at not in docstrings]
    trivial = ("#", "with ")
    return {line for line in stripped if len(line) > 7 and not line.startswith(trivial)}


def solution_lines(name):
    """Exercise -> the lines that only its solution has."""
    found = {}
    for cell in lab_of(name).exercises:
        told = cell.metadata
        if told["kind"] == "explain":
            found[cell.exercise] = {line for line in cell.text.splitlines() if line}
        elif "solution" in told:
            part = cut(told["solution"], cell.exercise)
            found[cell.exercise] = code_lines(part.whole) - code_lines(part.stub)
        else:
            found[cell.exercise] = code_lines(cell.text) - code_lines(told["stub"])
    return found


@pytest.mark.parametrize("name", LABS)
def test_no_released_notebook_holds_a_line_of_a_solution(name):
    notebook = learners(name)
    code = {
        line.strip()
        for cell in notebook.cells
        if cell.cell_type == "code"
        for line in cell.source.splitlines()
    }
    rest = [json.dumps(cell.metadata) for cell in notebook.cells]
    prose = [c.source for c in notebook.cells if c.cell_type == "markdown"]
    for number, lines in solution_lines(name).items():
        assert lines, f"exercise {number} has a solution"
        assert not lines & code, f"exercise {number} is in a code cell"
        for line in lines:
            assert not any(line in text for text in rest), f"{number}: in metadata"
        # the hint "Line" shows one line of a solution, never more
        told = [line for line in lines if any(line in text for text in prose)]
        assert len(told) <= 1, f"the text gives exercise {number} away: {told}"


@pytest.mark.parametrize("name", NUMBERED)
def test_each_written_answer_has_a_rubric_and_no_learner_gets_it(name):
    told = [
        each for each in lab_of(name).exercises if each.metadata["kind"] == "explain"
    ]
    assert told
    path = f"{name}/{name}.ipynb"
    labs, solutions = (
        (ROOT / folder / path).read_text("utf-8") for folder in ("labs", "solutions")
    )
    for each in told:
        for criterion in each.metadata["rubric"]:
            assert len(criterion) > 1, "full points, and at least one step below"
            for words in criterion.values():
                written = json.dumps(words, ensure_ascii=False)
                assert written in solutions
                assert written not in labs


@pytest.mark.parametrize("name", LABS)
def test_a_released_notebook_has_no_outputs(name):
    for cell in learners(name).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.parametrize("name", NUMBERED)
def test_every_stub_in_a_lab_is_valid_python(name):
    for cell in learners(name).cells:
        if cell.cell_type == "code":
            ast.parse(cell.source)


@pytest.mark.parametrize("name", NUMBERED)
def test_every_stub_that_was_cut_defines_its_function_and_raises(name):
    for cell in learners(name).cells:
        told = cell.metadata.get("sparrow", {})
        if told.get("role") == "answer" and told.get("solution"):
            space = {}
            exec(cell.source, space)
            assert callable(space[told["name"]])
            assert f'NotImplementedError("Exercise {told["exercise"]}:' in cell.source


@pytest.mark.parametrize("name", LABS)
@pytest.mark.parametrize("folder", ["solutions", "labs"])
def test_nbgrader_metadata_is_valid_and_each_exercise_has_its_points(name, folder):
    from nbgrader.nbgraderformat import MetadataValidator

    path = ROOT / f"{folder}/{name}/{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    MetadataValidator().validate_nb(notebook)
    graded = {}
    for cell in notebook.cells:
        told = cell.metadata.get("nbgrader")
        if told and told["grade"]:
            graded[cell.metadata["sparrow"]["exercise"]] = told["points"]
    want = {each.exercise: each.metadata["points"] for each in lab_of(name).exercises}
    assert graded == want


@pytest.mark.parametrize("name", NUMBERED)
def test_nbgrader_generates_byte_for_byte_what_is_committed(name, tmp_path):
    course = tmp_path / "course"
    shutil.copytree(ROOT / f"solutions/{name}", course / f"solutions/{name}")
    shutil.copy(ROOT / "nbgrader_config.py", course)
    code = (
        "import sys; from nbgrader.apps.nbgraderapp import main;"
        f"sys.argv = ['nbgrader', 'generate_assignment', {name!r}, '--create']; main()"
    )
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=course,
        env={**os.environ, "PATH": programs},  # nbgrader calls alembic by its name
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    made = course / f"labs/{name}/{name}.ipynb"
    assert made.read_bytes() == (ROOT / f"labs/{name}/{name}.ipynb").read_bytes()
