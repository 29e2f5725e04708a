"""The site that `make docs` built, in a browser: every page, on a desktop and on a phone."""

import http.server
import importlib
import re
import shutil
import threading
from unittest.mock import Mock

import pytest

from benchmarks import records
from docs.check_links import BASE, faults
from tests.test_house import ROOT

SITE = ROOT / "build/docs"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}

BROKEN_PICTURES = """
    async () => {
        const pictures = [...document.images];
        pictures.forEach(picture => picture.loading = "eager");
        await Promise.all(pictures.map(picture => picture.decode().catch(() => null)));
        return pictures.filter(picture => !picture.naturalWidth).map(picture => picture.src);
    }
"""

# A page can be as wide as the window although words of it are not seen.
CUT_OFF = """
    () => [...document.querySelectorAll("article :is(h1, h2, h3, p, li)")]
        .filter(block => block.scrollWidth > block.clientWidth + 1 && block.clientWidth)
        .map(block => block.innerText)
"""

# Texts whose colour and background differ by less than 4.5 to 1 (WCAG 2, AA).
FAINT = """
    () => {
        const read = text => {
            const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
            return [r, g, b, a];
        };
        const over = ([r, g, b, a], below) =>
            [r, g, b].map((value, i) => a * value + (1 - a) * below[i]);
        const background = element => {
            if (!element) return [255, 255, 255];
            const own = read(getComputedStyle(element).backgroundColor);
            return own[3] === 1 ? own.slice(0, 3) : over(own, background(element.parentElement));
        };
        const luminance = color => {
            const [r, g, b] = color.map(value => value / 255)
                .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const faint = new Set();
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const element = walker.currentNode.parentElement;
            const text = walker.currentNode.textContent.trim();
            const seen = {opacityProperty: true, visibilityProperty: true};
            if (!text || !element.checkVisibility(seen))
                continue;
            const below = background(element);
            const color = over(read(getComputedStyle(element).color), below);
            const [dark, light] = [luminance(color), luminance(below)].sort((a, b) => a - b);
            const ratio = (light + 0.05) / (dark + 0.05);
            if (ratio < 4.5) faint.add(`${ratio.toFixed(1)}: ${text.slice(0, 40)}`);
        }
        return [...faint];
    }
"""


def test_the_figures_that_pages_quote_are_there():
    for page in ROOT.glob("docs/**/*.md"):
        assert not records.QUOTE.search(records.fill(page.read_text(encoding="utf-8")))


def test_a_quote_of_a_figure_that_is_not_there_ends_the_build(monkeypatch):
    errors = pytest.importorskip("sphinx.errors")
    monkeypatch.syspath_prepend(ROOT / "docs/_ext")
    read = importlib.import_module("figures").read
    app, source = Mock(), ["magpylib takes {{ demag.matrix_ratio }} times as long"]
    app.env.doc2path.return_value = "docs/page.md"
    read(app, "page", source)
    assert re.fullmatch(r"magpylib takes [\d.]+ \[[\d.]+, [\d.]+\] times as long", source[0])
    app.env.note_dependency.assert_called_once_with(str(records.FOLDER / "demag.json"))
    with pytest.raises(errors.ExtensionError, match=r"^page.md: benchmarks/results has no file"):
        read(app, "page", ["{{ no.x }}"])


def test_links_that_lead_nowhere_are_found(tmp_path):
    (tmp_path / "a.html").write_text('<p id="x"><a href="b.html#y"><a href="#x"><img src="a.html">')
    (tmp_path / "b.html").write_text(
        '<a href="c.html"><a href="a.html#x"><img alt="First loop" src="sphx_first_loop_001.png">'
        '<img alt="A loop, twice" src="a.html">'
    )
    (tmp_path / "llms.txt").write_text(f"[a]({BASE}a.html) [b](b.html) [no]({BASE}no.html)")
    assert [sentence.partition(",")[0] for sentence in faults(tmp_path)] == [
        "a.html: the picture a.html has no alt text of its own.",
        "a.html links to b.html#y",
        "b.html: the picture sphx_first_loop_001.png has no alt text of its own.",
        "b.html links to c.html",
        "b.html links to sphx_first_loop_001.png",
        "llms.txt links to b.html",
        f"llms.txt links to {BASE}no.html",
    ]


@pytest.mark.slow
def test_the_program_of_llms_txt_runs():
    lines = (ROOT / "docs/llms.txt").read_text(encoding="utf-8").splitlines()
    program = [line[4:] for line in lines if line.startswith("    ")]
    assert "import numpy as np" in program
    exec("\n".join(program), {})


@pytest.fixture(scope="module")
def browser():
    """Chromium, and the address at which the site is served."""
    if not (SITE / "index.html").exists():
        pytest.skip("`make docs` has not built the site")
    if BROWSER is None:
        pytest.skip("there is no Chromium")
    playwright = pytest.importorskip("playwright.sync_api")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=SITE)

        def log_message(self, *args):
            pass

    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server,
        playwright.sync_playwright() as driver,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        chromium = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield chromium, f"http://127.0.0.1:{server.server_port}"
        chromium.close()
        server.shutdown()


def pages():
    """Return the files of all pages of the site."""
    files = sorted(file for file in SITE.rglob("*.html") if "_static" not in file.parts)
    assert len(files) > 50
    return files


@pytest.mark.integration
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_page_is_shown(browser, size):
    chromium, address = browser
    page = chromium.new_page(viewport=size)
    complaints = []
    page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    # Nothing of another site is fetched.
    page.route(lambda url: not url.startswith(address), lambda route: route.abort())
    for file in pages():
        name = file.relative_to(SITE).as_posix()
        page.goto(f"{address}/{name}")
        assert page.evaluate(BROKEN_PICTURES) == [], name
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= size["width"], f"{name} is {width} pixels wide"
        assert page.evaluate(CUT_OFF) == [], name
        assert complaints == [], name
    page.close()


@pytest.mark.integration
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(browser, scheme):
    chromium, address = browser
    page = chromium.new_page(viewport=DESKTOP, color_scheme=scheme)
    page.route(lambda url: not url.startswith(address), lambda route: route.abort())
    for file in pages():
        name = file.relative_to(SITE).as_posix()
        page.goto(f"{address}/{name}")
        assert page.evaluate(FAINT) == [], name
    page.close()


@pytest.mark.integration
def test_the_search_finds_pages(browser):
    chromium, address = browser
    page = chromium.new_page(viewport=DESKTOP)
    page.goto(f"{address}/search.html?q=coercivity")
    page.wait_for_selector("ul.search a")
    assert "api/keras_micromag.physics.Hysteresis.html" in page.inner_html("ul.search")
    page.close()
