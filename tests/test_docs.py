"""The pages: links lead somewhere, all pages can be found from the README, and what they show runs."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from gala import datasets

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")])


def name_of(page):
    return str(page.relative_to(ROOT))


def text_of(page):
    """Return a page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def links(page):
    """Yield the targets of the links of a page that lead to files."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if "://" not in target and not target.startswith("mailto:"):
            yield target


def anchors(page):
    """Return what the headings of a page are called in links."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links__lead_to_files_and_headings_that_are_there(page):
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_readme__leads_to_every_page():
    found, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        found.add(page)
        targets = [(page.parent / target.partition("#")[0]).resolve() for target in links(page)]
        pages = {file for target in targets for file in (target.glob("*.md") if target.is_dir() else [target])}
        waiting += [file for file in pages - found if file.suffix == ".md" and file.exists()]
    assert [name_of(page) for page in PAGES if page.resolve() not in found] == []


@pytest.mark.parametrize("page", [page for page in PAGES if ">>> " in page.read_text()], ids=name_of)
def test_examples__of_pages_give_what_they_show(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testfile(str(page), module_relative=False, optionflags=options).failed == 0


@pytest.mark.compiled
def test_examples__of_the_readme_run_one_after_the_other(tmp_path, monkeypatch):
    datasets.write_example(tmp_path, shape=(16, 48, 48))
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) > 1
    names = {}
    for block in blocks:
        exec(block, names)
        if "ws_test" in names:
            names |= {"labels": names["ws_test"], "boundary_map": names["pr_test"]}
    assert names["segmentation"].shape == names["coarse"].shape == names["fine"].shape == (16, 48, 48)
    assert (tmp_path / "tree.npz").exists()
