"""Read every built page, and find what would load from another host or is missing."""

import gzip
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sparrow.language import _

__all__ = ["Page", "audit", "read_page", "weight_bytes"]

# What a browser loads by itself. Links that a person clicks are not among them.
LOADED = {
    "audio": ("src",),
    "embed": ("src",),
    "feimage": ("href", "xlink:href"),
    "iframe": ("src",),
    "image": ("href", "xlink:href"),
    "img": ("src", "srcset"),
    "input": ("src",),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "use": ("href", "xlink:href"),
    "video": ("src", "poster"),
}
IN_STYLES = re.compile(
    r"""(?:@import\s+(?:url\(\s*)?|url\(\s*)['"]?([^'")\s;]+)""", re.IGNORECASE
)


@dataclass(eq=False)
class Page(HTMLParser):
    """What one page loads, where it links to, and what it can be linked by."""

    path: Path
    loaded: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    pictures_without_words: int = 0
    formulas: int = 0
    _in_article: bool = False
    _in_style: bool = False

    def __post_init__(self) -> None:
        """Read the file."""
        super().__init__()
        self.feed(self.path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what this element loads, links to and is named."""
        given = {name: value or "" for name, value in attrs}
        for name in LOADED.get(tag, ()):
            if name == "srcset":
                self.loaded += [
                    each.split()[0]
                    for each in given.get(name, "").split(",")
                    if each.strip()
                ]
            elif name in given:
                self.loaded.append(given[name])
        self.loaded += IN_STYLES.findall(given.get("style", ""))
        if tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            self.loaded.append(given.get("content", "").partition("=")[2])
        if tag == "form":
            self.links.append(given.get("action", ""))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if "id" in given:
            self.anchors.add(given["id"])
        self._in_article = self._in_article or tag == "article"
        self._in_style = tag == "style"
        self.formulas += tag == "math"
        if tag == "img":  # an empty text marks decoration, which a text has none of
            has_words = bool(given.get("alt")) if self._in_article else "alt" in given
            self.pictures_without_words += not has_words

    def handle_endtag(self, tag: str) -> None:
        """Leave the text, or a style sheet inside the page."""
        self._in_article = self._in_article and tag != "article"
        self._in_style = False

    def handle_data(self, data: str) -> None:
        """Read a style sheet inside the page."""
        if self._in_style:
            self.loaded += IN_STYLES.findall(data)


def read_page(path: Path) -> Page:
    """Parse one page."""
    return Page(path)


def is_foreign(address: str) -> bool:
    """Whether an address names another host; `data:` carries itself."""
    parts = urlsplit(address.strip())
    return bool(parts.netloc) or parts.scheme not in ("", "data")


def local_files(page: Page) -> list[Path]:
    """The files that the page loads from its own folder, style sheets' own included."""
    found: list[Path] = []
    waiting = [(page.path, address) for address in page.loaded]
    while waiting:
        base, address = waiting.pop()
        if is_foreign(address) or address.startswith(("data:", "#")):
            continue
        path = (base.parent / unquote(urlsplit(address).path)).resolve()
        if path in found:
            continue
        found.append(path)
        if path.suffix == ".css" and path.is_file():
            sheet = path.read_text("utf-8")
            waiting += [(path, each) for each in IN_STYLES.findall(sheet)]
    return found


def weight_bytes(path: Path) -> int:
    """Bytes that a browser fetches for a page, compressed as a static host does."""
    files = [path, *local_files(read_page(path))]
    return sum(len(gzip.compress(each.read_bytes(), 6)) for each in files)


def audit(html: Path) -> list[str]:
    """One sentence for each finding in the pages below `html`; none is good."""
    pages = {path.resolve(): read_page(path) for path in sorted(html.rglob("*.html"))}
    findings = []
    for path, page in pages.items():
        name = path.relative_to(html.resolve()).as_posix()
        findings += [
            _("{page} loads {address} from another host.", page=name, address=each)
            for each in page.loaded
            if is_foreign(each)
        ]
        findings += [
            _("{page} loads {file}, which does not exist.", page=name, file=each.name)
            for each in local_files(page)
            if not each.is_file()
        ]
        findings += [
            _(
                "{page} links to {address}, which does not exist.",
                page=name,
                address=each,
            )
            for each in page.links
            if not _leads_somewhere(each, page, pages)
        ]
        if page.pictures_without_words:
            findings.append(
                _(
                    "{page} has {n} pictures without alternative text.",
                    page=name,
                    n=page.pictures_without_words,
                )
            )
    for sheet in sorted(html.rglob("*.css")):
        findings += [
            _(
                "{file} loads {address} from another host.",
                file=sheet.name,
                address=each,
            )
            for each in IN_STYLES.findall(sheet.read_text("utf-8"))
            if is_foreign(each)
        ]
    return findings


def _leads_somewhere(address: str, page: Page, pages: dict[Path, Page]) -> bool:
    """Whether a link inside the book has a target; other hosts are not asked."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return True
    target = page.path
    if parts.path:
        target = (page.path.parent / unquote(parts.path)).resolve()
    if target.resolve() not in pages:
        return target.is_file()
    return (
        not parts.fragment or unquote(parts.fragment) in pages[target.resolve()].anchors
    )
