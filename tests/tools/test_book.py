"""The book builds offline, keeps the answers of labs, and loads nothing foreign."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner

import sparrow
from tests.tools.book_project import LAB, REAL, lab_cells, make_project, write_lab
from workshop import book, lab_pages, page_audit

ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    root = make_project(tmp_path_factory.mktemp("project"))
    return book.build(root)


@pytest.fixture
def lab(tmp_path):
    write_lab(tmp_path)
    [found] = lab_pages.find_labs(tmp_path)
    return found


def text_of(html: Path, page: str) -> str:
    return (html / page).read_text("utf-8")


def test_every_page_of_the_contents_is_there(built):
    for page in ("index", "how-to-use", "labs", "notation", "glossary", "papers"):
        assert (built / f"{page}.html").is_file()
    assert (built / "developer/decisions/book-engine.html").is_file()
    assert "Sparrow: a small reasoning model, whole" in text_of(built, "index.html")


def test_no_page_loads_from_another_host_and_every_link_has_a_target(built):
    assert page_audit.audit(built) == []


def test_the_first_page_weighs_less_than_its_budget(built):
    kb = page_audit.weight_bytes(built / "index.html") / 1000
    assert 5 < kb < book.FIRST_PAGE_KB
    assert kb < 15, "the decision record promises less; mend the page or the record"


def test_reading_pages_carry_no_script(built):
    for path in built.rglob("*.html"):
        assert ("<script" in path.read_text("utf-8")) == (path.name == "search.html")


def test_mathematics_is_mathml_with_its_latex_as_text(built):
    page = text_of(built, f"labs/{LAB}.html")
    assert '<math alttext="C = 6\\,N\\,D"' in page
    assert page_audit.read_page(built / "notation.html").formulas > 20


def test_a_lab_page_shows_outputs_but_neither_answers_nor_verdicts(built):
    page = text_of(built, f"labs/{LAB}.html")
    assert "shown 42" in page
    assert "NotImplementedError" in page
    assert "6 * 7" not in re.sub("<[^>]+>", "", page)
    assert "passed by 42" not in page
    assert "tag_exercise" in page
    assert "tag_check" in page


def test_a_lab_page_links_to_the_book_and_offers_its_notebook(built):
    page = page_audit.read_page(built / "labs" / f"{LAB}.html")
    assert "../glossary.html#latent" in page.links
    assert f"../notebooks/{LAB}.ipynb" in page.links
    assert (built / "notebooks" / f"{LAB}.ipynb").is_file()


def test_a_widget_becomes_a_still_picture(built):
    page = text_of(built, f"labs/{LAB}.html")
    assert 'alt="A red dot."' in page
    assert "<script" not in page


def test_a_widget_without_a_still_picture_is_refused(lab):
    finished = nbformat.v4.new_notebook(cells=lab_cells(is_full=True))
    data = {lab_pages.WIDGET_VIEW: {"model_id": "x"}, "text/plain": "Knobs()"}
    finished.cells[-1].outputs = [
        nbformat.v4.new_output("display_data", data=data),
    ]
    with pytest.raises(lab_pages.BookError, match="no still picture"):
        lab_pages.page(lab, finished)


def test_a_stale_learner_notebook_is_refused(lab):
    finished = nbformat.v4.new_notebook(cells=lab_cells(is_full=True)[:-1])
    with pytest.raises(lab_pages.BookError, match='"c007" is not in the full'):
        lab_pages.page(lab, finished)


def test_a_second_build_does_not_run_the_lab_again(lab, tmp_path, monkeypatch):
    runs = []

    def run(lab):
        runs.append(lab.name)
        return lab_pages.read_notebook(lab.full)

    monkeypatch.setattr(lab_pages, "_run", run)
    cache = tmp_path / "cache"
    for sources in ("same", "same", "changed"):
        lab_pages.executed(lab, sources, cache)
    assert runs == [LAB, LAB]
    assert len(list(cache.iterdir())) == 1


def test_a_lab_that_fails_is_named_in_one_sentence(tmp_path):
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("1 / 0", id="c001")]
    )
    path = tmp_path / "labs" / "tour" / "tour.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text(nbformat.writes(notebook))
    [tour] = lab_pages.find_labs(tmp_path)
    assert tour.full == tour.learner
    with pytest.raises(lab_pages.BookError, match="lab tour .*ZeroDivisionError"):
        lab_pages.executed(tour, "", tmp_path / "cache")


def test_a_lab_whose_weights_cannot_be_fetched_is_shown_without_outputs(
    lab, tmp_path, capsys
):
    cells = lab_cells(is_full=True)
    failing = "from sparrow.errors import AssetError\nraise AssetError('No network.')"
    cells[2].source = failing
    notebook = nbformat.v4.new_notebook(cells=cells)
    lab.full.write_text(nbformat.writes(notebook), "utf-8")
    finished = book._finished(lab, "", tmp_path / "cache")
    assert "no outputs: AssetError: No network. Build again" in capsys.readouterr().err
    assert not any(cell.get("outputs") for cell in finished.cells)


def test_a_file_that_is_no_notebook_is_named(tmp_path):
    path = tmp_path / "broken.ipynb"
    path.write_text('{"cells": [')
    with pytest.raises(lab_pages.BookError, match="broken.ipynb is not a notebook"):
        lab_pages.read_notebook(path)


def test_labs_come_in_order_with_the_tour_first(tmp_path):
    for name in ("10_serving", "02_latent_attention", "tour"):
        write_lab(tmp_path, name)
    (tmp_path / "labs" / "unbuilt").mkdir()
    found = [lab.name for lab in lab_pages.find_labs(tmp_path)]
    assert found == ["tour", "02_latent_attention", "10_serving"]


def test_without_labs_a_warning_stops_the_build_and_keeps_the_old_book(tmp_path):
    root = make_project(tmp_path)
    for folder in ("labs", "solutions"):
        (root / folder / LAB).rename(root / folder / "away")
    html = book.build(root)
    assert not (html / "notebooks").exists()
    page = root / "book" / "labs.md"
    page.write_text("# The labs\n\nSee [nothing](nowhere.md).\n")
    with pytest.raises(lab_pages.BookError, match="labs.md.*nowhere.md"):
        book.build(root)
    assert "One small model" in text_of(html, "labs.html")


def test_the_command_reports_findings_and_exits_with_1(tmp_path, monkeypatch):
    (tmp_path / "index.html").write_text('<img alt="x" src="https://a.example/x.png">')
    monkeypatch.setattr(book, "build", lambda root: tmp_path)
    done = CliRunner().invoke(book.book, ["--check"])
    assert done.exit_code == 1
    assert "index.html loads https://a.example/x.png from another host" in done.stdout


def test_a_folder_without_a_book_is_refused(tmp_path):
    with pytest.raises(lab_pages.BookError, match="There is no book in"):
        book.build(tmp_path)


@pytest.mark.parametrize(
    "markup",
    [
        '<script src="//cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="https://cdn.example/x.css">',
        '<div style="background: url(https://cdn.example/x.png)"></div>',
        '<style>@import "https://cdn.example/x.css";</style>',
        '<iframe src="http://cdn.example"></iframe>',
        '<img alt="x" srcset="a.png 1x, https://cdn.example/b.png 2x">',
        '<svg><use href="https://cdn.example/icons.svg#a"></use></svg>',
        '<meta http-equiv="Refresh" content="0; url=https://cdn.example">',
        '<object data="ftp://cdn.example/x"></object>',
    ],
)
def test_the_audit_finds_what_would_load_from_another_host(tmp_path, markup):
    (tmp_path / "a.png").touch()
    (tmp_path / "x.html").write_text(f"<article>{markup}</article>")
    [finding] = page_audit.audit(tmp_path)
    assert "cdn.example" in finding


def test_the_audit_finds_broken_links_and_pictures_without_words(tmp_path):
    (tmp_path / "sheet.css").write_text("@import url('https://cdn.example/f.css');")
    (tmp_path / "x.html").write_text(
        '<link rel="stylesheet" href="sheet.css"><a href="#no">a</a>'
        '<a href="gone.html">b</a><a href="https://arxiv.org">fine</a>'
        '<article id="yes"><img src="gone.png"><a href="x.html#yes">c</a></article>'
        '<img alt="" src="sheet.css">'
    )
    findings = "\n".join(page_audit.audit(tmp_path))
    assert "sheet.css loads https://cdn.example/f.css from another" in findings
    assert "links to #no, which does not exist" in findings
    assert "links to gone.html, which does not exist" in findings
    assert "loads gone.png, which does not exist" in findings
    assert "x.html has 1 pictures without alternative text" in findings
    assert len(findings.splitlines()) == 5


def test_every_cited_paper_is_in_the_bibliography():
    listed = set(ARXIV.findall((REAL / "book/papers.md").read_text("utf-8")))
    sources = [
        *Path(sparrow.__file__).parent.rglob("*.py"),
        *(REAL / "solutions").glob("*.md"),
        *(REAL / "book").glob("*.md"),
    ]
    for path in sources:
        cited = set(ARXIV.findall(path.read_text("utf-8")))
        assert cited <= listed, f"add {cited - listed}, cited in {path.name}"


def test_the_architecture_page_names_every_part_of_the_library():
    page = (REAL / "book/developer/architecture.md").read_text("utf-8")
    src = Path(sparrow.__file__).parent
    parts = {path.stem for path in src.iterdir() if path.suffix == ".py"}
    parts |= {path.parent.name for path in src.glob("*/__init__.py")}
    for part in parts - {"__init__"}:
        assert re.search(rf"\b{part}\b", page), f"{part} is in no layer of the page"


def test_every_name_of_the_configuration_is_in_the_notation():
    from dataclasses import fields

    page = (REAL / "book/notation.md").read_text("utf-8")
    unitless = {"attention", "feed_forward", "yarn", "norm_topk_prob"}
    unitless |= {"initializer_range", "tie_word_embeddings"}
    unitless |= {"bos_token_id", "eos_token_id"}
    for each in fields(sparrow.Config):
        assert each.name in unitless or f"`{each.name}`" in page, each.name


def test_importing_the_command_does_not_import_jupyter():
    code = "import workshop.book, sys; print('nbformat' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
