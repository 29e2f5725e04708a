"""Checks that every link and picture within the built site leads somewhere, anchors included.

Every picture has an alt text that says more than its file name.

    python docs/check_links.py build/docs

Addresses of other sites are not fetched.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

BASE = "https://keras-micromag.github.io/keras-micromag/"


class Page(HTMLParser):
    """Collects the anchors of a page, what it refers to, and pictures without a description."""

    def __init__(self, file: Path):
        super().__init__()
        self.anchors, self.targets, self.undescribed = {"", "top"}, set(), set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        """Note what a tag defines and what it refers to."""
        attributes = dict(attrs)
        self.anchors |= {attributes[name] for name in ("id", "name") if attributes.get(name)}
        self.targets |= {attributes[name] for name in ("href", "src") if attributes.get(name)}
        if tag == "img":
            source = attributes.get("src") or ""
            alt = attributes.get("alt") or ""
            named = words(alt) and words(alt) in words(Path(urlsplit(source).path).stem)
            if not alt.strip() or named:
                self.undescribed.add(source)


def words(text: str) -> str:
    """Return the letters of a text, without case and what stands between words."""
    return re.sub(r"[\W_]", "", text).lower()


def faults(site: Path) -> list[str]:
    """Return a sentence for each link that leads nowhere and each picture without a description."""
    pages = {
        file.resolve(): Page(file)
        for file in sorted(site.rglob("*.html"))
        if "_static" not in file.parts
    }
    sentences = []
    for file, page in pages.items():
        name = file.relative_to(site.resolve())
        sentences += [
            f"{name}: the picture {src} has no alt text of its own."
            for src in sorted(page.undescribed)
        ]
        for target in sorted(page.targets):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            linked = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            linked = linked / "index.html" if linked.is_dir() else linked
            anchors = pages[linked].anchors if linked in pages else {unquote(parts.fragment)}
            if not linked.exists() or unquote(parts.fragment) not in anchors:
                sentences.append(f"{name} links to {target}, which is not there.")
    index = site / "llms.txt"
    links = re.findall(r"\]\((\S+?)\)", index.read_text(encoding="utf-8")) if index.exists() else []
    for link in links:
        page = link.removeprefix(BASE)
        if page == link or not (site / page).is_file():
            sentences.append(f"llms.txt links to {link}, which is not there.")
    return sentences


if __name__ == "__main__":
    found = faults(Path(sys.argv[1]))
    print(*found, f"{len(found)} faults", sep="\n")
    sys.exit(bool(found))
