"""A newcomer starts the workshop, opens the tour in a browser, and runs all of it."""

import re

import pytest

from tests.e2e import lab_server
from tests.e2e.lab_server import errors_of, text_of
from workshop import book_server

pytestmark = pytest.mark.needs_chromium


@pytest.fixture(scope="module")
def server(tmp_path_factory, smollm2):
    checkout = lab_server.copy_checkout(tmp_path_factory.mktemp("tour") / "checkout")
    with lab_server.opened(checkout, SPARROW_CACHE=str(smollm2.parent)) as running:
        yield running


def output_after(cells, words):
    """What the cell with these words in its source showed."""
    [cell] = [each for each in cells if words in "".join(each["source"])]
    return text_of(cell)


def test_the_tour_runs_in_a_browser_from_the_first_cell_to_the_last(server, page):
    assert server.first == "/lab/tree/labs/tour/tour.ipynb"
    notebook = server.open(page)
    notebook.picture("tour-1-open")
    notebook.run_all()
    cells = notebook.code_cells()
    assert errors_of(cells) == []
    assert all(each["execution_count"] for each in cells)
    assert "parameters" in output_after(cells, "smollm2.count_parameters()")

    answer = output_after(cells, "What is a sparrow?")
    assert re.search(r"[Ss]parrow\b.*\bbird", answer, re.DOTALL), answer
    notebook.cell("What is a sparrow? Answer").locator("text=bird").wait_for()
    notebook.picture("tour-2-answer")

    plot = notebook.cell("plot_cache_growth").locator(".jp-OutputArea-output img")
    assert plot.evaluate("it => it.naturalWidth") > 400
    plot.scroll_into_view_if_needed()
    notebook.picture("tour-3-plot")
    notebook.cell("You have a working machine")
    notebook.picture("tour-4-end")
    assert page.foreign == []


def test_the_book_is_beside_the_labs_on_the_same_server(server, page):
    answer = page.goto(f"{server.home}/book/")
    if (book_server.HTML / "index.html").exists():
        assert answer.status == 200
        assert page.locator("h1").is_visible()
    else:
        assert page.get_by_text("Run: make book").is_visible()
    assert page.foreign == []
