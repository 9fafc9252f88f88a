"""The reading of pages itself: what it finds, on a page of its own."""

from pathlib import Path

from tests.docs.documents import Page, anchor

TEXT = """# One `code` of *two*, three

```python
print("a")
```
```text
a
```

A [link](other.md#part), ![no link](picture.png).

```text
not printed
```

```python title="file.py"
raise SystemExit
```

```python

print("[not](a-link)")
```
"""


def a_page(folder: Path) -> Page:
    path = folder / "page.md"
    path.write_text(TEXT)
    return Page(path)


def test_a_script_keeps_the_lines_of_its_page(tmp_path: Path) -> None:
    page = a_page(tmp_path)
    script = page.script().splitlines()
    assert {number: line for number, line in enumerate(script) if line} == {
        number: line for number, line in enumerate(TEXT.splitlines()) if line.startswith("print")
    }


def test_what_is_printed_stands_right_behind_the_script(tmp_path: Path) -> None:
    assert a_page(tmp_path).printed() == "a\n"


def test_a_block_with_a_title_is_a_file(tmp_path: Path) -> None:
    assert [block.title for block in a_page(tmp_path).blocks() if block.title] == ["file.py"]


def test_links_are_those_of_the_prose(tmp_path: Path) -> None:
    assert list(a_page(tmp_path).links()) == ["other.md#part"]


def test_headings_give_anchors() -> None:
    assert anchor("One `code` of [two](x.md), three: `a_b`") == "one-code-of-two-three-a_b"
