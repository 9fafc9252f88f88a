"""Links between pages, and from pages to code and tests, lead somewhere."""

import pytest

from tests.docs.documents import ROOT, Page, pages

OUTSIDE = ("https://", "http://", "mailto:")


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_links_resolve(page: Page) -> None:
    broken = []
    for link in page.links():
        if link.startswith(OUTSIDE):
            continue
        target, _, fragment = link.partition("#")
        path = (page.path.parent / target).resolve() if target else page.path
        if not path.exists() or ROOT not in (path, *path.parents):
            broken.append(f"{page.name}: {link} leads nowhere")
        elif fragment and path.suffix == ".md" and fragment not in Page(path).anchors():
            broken.append(f"{page.name}: {link}: no heading gives #{fragment}")
    assert not broken, "\n".join(broken)


def test_every_page_is_reached_from_the_readme() -> None:
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in seen or path.suffix != ".md" or not path.is_file():
            continue
        seen.add(path)
        targets = (link.partition("#")[0] for link in Page(path).links() if not link.startswith(OUTSIDE))
        waiting += [(path.parent / target).resolve() for target in targets if target]
    lost = sorted(page.name for page in pages() if page.path not in seen)
    assert not lost, f"no link leads to {', '.join(lost)}"
