"""A reader opens the book in a browser, by http and from a folder, with no network."""

import gzip
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.tools.book_project import LAB, make_project
from workshop import book

SCREENSHOTS = Path(__file__).parent / "screenshots"
PAGES = ("index", f"labs/{LAB}", "notation")
SIZES = {"desktop": (1400, 950), "phone": (390, 800)}
pytestmark = pytest.mark.needs_chromium


class CompressingHandler(SimpleHTTPRequestHandler):
    """Serve files as a static host does: compressed."""

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        body = gzip.compress(path.read_bytes(), 6)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """Say nothing."""


class Reader:
    """A browser page that remembers what went wrong and how much came in."""

    def __init__(self, page, home):
        self.page, self.home = page, home
        self.trouble, self.sizes = [], []
        page.on("requestfailed", self._fail)
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on("console", self._hear)
        page.on("request", self._watch)
        page.on("response", self._judge)

    def _fail(self, request):
        if request.failure != "net::ERR_ABORTED":  # the reader went on to another page
            self.trouble.append(f"{request.failure}: {request.url}")

    def _hear(self, message):
        if message.type in ("error", "warning"):
            self.trouble.append(message.text)

    def _watch(self, request):
        if not request.url.startswith((self.home, "data:")):
            self.trouble.append(f"foreign: {request.url}")

    def _judge(self, response):
        if response.status >= 400:
            self.trouble.append(f"{response.status}: {response.url}")
        if "content-length" in response.headers:
            self.sizes.append(int(response.headers["content-length"]))

    def open(self, address):
        self.page.goto(f"{self.home}/{address}", wait_until="load")


def cut_network(context, home):
    """Let nothing through but the book itself."""
    context.route(
        lambda url: url.startswith("http") and not url.startswith(home),
        lambda route: route.abort(),
    )


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    return book.build(make_project(tmp_path_factory.mktemp("project")))


@pytest.fixture(scope="module")
def served(html):
    handler = partial(CompressingHandler, directory=str(html))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(params=["http", "file"])
def home(request, html, served):
    return served if request.param == "http" else html.as_uri()


@pytest.fixture
def reader(chromium, home):
    with chromium.new_context() as context:
        cut_network(context, home)
        yield Reader(context.new_page(), home)


def test_pages_open_with_nothing_failed_and_nothing_foreign(reader):
    for address in PAGES:
        reader.open(f"{address}.html")
        assert reader.page.locator("h1").is_visible()
    assert reader.trouble == []


def test_the_browser_fetches_less_than_the_budget_for_the_first_page(chromium, served):
    with chromium.new_context() as context:
        reader = Reader(context.new_page(), served)
        reader.open("index.html")
    assert len(reader.sizes) >= 4
    assert sum(reader.sizes) / 1000 < book.FIRST_PAGE_KB


def test_formulas_are_drawn_by_the_browser(reader):
    reader.open(f"labs/{LAB}.html")
    formula = reader.page.locator("math[display=block]")
    assert formula.evaluate("it => it.namespaceURI").endswith("MathML")
    box = formula.bounding_box()
    assert box["width"] > 40
    assert box["height"] > 10


def test_the_search_finds_a_word_and_leads_to_its_page(reader):
    reader.open("index.html")
    field = reader.page.get_by_role("searchbox")
    field.fill("zebrafinch")
    field.press("Enter")
    found = reader.page.locator("#search-results a")
    found.first.wait_for()
    assert found.count() == 1
    found.first.click()
    reader.page.wait_for_load_state()
    assert f"labs/{LAB}.html" in reader.page.url
    assert reader.trouble == []


def test_the_keyboard_reaches_the_text_first(reader):
    reader.open("index.html")
    reader.page.keyboard.press("Tab")
    focused = reader.page.locator(":focus")
    assert focused.inner_text() == "Skip to the text"
    assert focused.bounding_box()["y"] >= 0
    reader.page.keyboard.press("Enter")
    assert reader.page.url.endswith("#main")


def test_a_phone_opens_the_contents_and_never_scrolls_sideways(reader):
    reader.page.set_viewport_size({"width": 390, "height": 800})
    for address in (*PAGES, "search", "developer/decisions/book-engine"):
        reader.open(f"{address}.html")
        width = reader.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, address
    contents = reader.page.get_by_role("navigation", name="Contents")
    assert not contents.is_visible()
    reader.page.get_by_role("button", name="Contents").click()
    assert contents.is_visible()
    reader.page.keyboard.press("Escape")
    assert not contents.is_visible()


def test_a_page_reads_without_scripts(chromium, html):
    with chromium.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{html.as_uri()}/labs/{LAB}.html")
        page.get_by_text("Think").click()
        assert page.get_by_text("What is six by seven?").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(chromium, html, scheme):
    with chromium.new_context(color_scheme=scheme) as context:
        page = context.new_page()
        page.goto(f"{html.as_uri()}/labs/{LAB}.html")
        faint = page.evaluate(FAINT_TEXT)
        assert faint == []


def test_screenshots_are_there_to_look_at(chromium, html):
    SCREENSHOTS.mkdir(exist_ok=True)
    for size, (width, height) in SIZES.items():
        for scheme in ("light", "dark") if size == "desktop" else ("light",):
            viewport = {"width": width, "height": height}
            with chromium.new_context(
                viewport=viewport, color_scheme=scheme
            ) as context:
                page = context.new_page()
                for address in PAGES:
                    page.goto(f"{html.as_uri()}/{address}.html")
                    name = f"book-{Path(address).name}-{size}-{scheme}.png"
                    page.screenshot(path=SCREENSHOTS / name)
                    assert (SCREENSHOTS / name).stat().st_size > 5000


# WCAG 2.1, success criterion 1.4.3: at least 4.5 to 1 for text of ordinary size.
FAINT_TEXT = """() => {
  const channels = colour => colour.match(/[\\d.]+/g).map(Number);
  const luminance = colour => {
    const [r, g, b] = channels(colour).slice(0, 3).map(c => {
      c /= 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = element => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      const alpha = channels(colour)[3];
      if (alpha === undefined || alpha === 1) return colour;
    }
    return getComputedStyle(document.documentElement).backgroundColor;
  };
  const faint = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility({
      opacityProperty: true, visibilityProperty: true})) continue;
    const [a, b] = [getComputedStyle(element).color, ground(element)].map(luminance);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.add(
      `${walker.currentNode.data.trim()}: ${ratio.toFixed(1)} ${element.className}`);
  }
  return [...faint];
}"""
