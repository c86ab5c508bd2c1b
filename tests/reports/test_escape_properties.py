"""Thousands of made-up hostile texts, read back by the readers that a page, a table or a terminal meets."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import logging
import re
import unicodedata
from collections.abc import Callable, Iterator
from html.parser import HTMLParser

import markdown as python_markdown  # type: ignore[import-untyped]
import numpy as np
import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt

from prefbench.api import Grid, PrefbenchError, plain, printable
from prefbench.cli.main import main
from prefbench.cli.screen import Screen
from prefbench.cli.show import show
from prefbench.files import json_text
from prefbench.reports.shared.escape import code_block, csv_cell, latex, markdown, slug
from prefbench.reports.shared.grid import to_latex, to_markdown

PIECES = (
    "1. ", "2) ", "- ", "+ ", "* ", "---", "===", "***", "___", "# ", "> ", "    code", "\t", "```", "~~~", "|",
    "| a | b |", ":-", "::: x", "!!! note", "??? x", "/// y", "=== \"t\"", "--8<-- \"f\"", ": d", "%%",
    "[a](http://e.vil)", "![i](x.png)", "[1]: http://e.vil", "[^1]: n", "*[A]: b", "<b>", "<script>alert(1)</script>",
    "<!-- c -->", "&lt;", "&#60;", "{: .c }", "{{ x }}", "{% x %}", "$x$", "$$", "\\(", "\\", "\\\\", "\n", "\r",
    "\n\n", "\x0b", "\x85", "\u2028", "\u00a0", "\u3000", "\u202e", "\u2066", "\u200b", "\ufeff", "\ud800", "\x00",
    "\x1b[31m", "\x1b]0;owned\x07", "\x9b31m", "\x7f", "[red]", "[/red]", "[link=http://e.vil]x[/link]", ":smile:",
    "=", "=1+1", "+1", "-1", "-1.5", "1.5", "@SUM(A1)", "\uff1d1", "\uff0b1", "\u22121", "'", "\"", ",", ";", "%",
    "&", "_", "#", "~", "^", "{", "}", "[", "[2cm]", "]", "*", "`", "``", "www.e.vil", "WWW.e.vil", "http://e.vil",
    "a@b.c", "word", "two words", "\u732b", "\U0001f600", "\u0301", "e\u0301",
)  # fmt: skip


def texts(n: int = 4000) -> Iterator[str]:
    """Every piece alone, every piece before a word, then pieces in any order."""
    rng = np.random.default_rng(15)
    yield from PIECES
    yield from (f"{piece}x" for piece in PIECES)
    for length in rng.integers(1, 7, n):
        yield "".join(rng.choice(PIECES, length))


class Tags(HTMLParser):
    """The tags and the text of a page, as a browser finds them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag + "".join(f" {name}" for name, _ in attrs if name != "style"))

    def handle_comment(self, data: str) -> None:
        self.tags.append(f"comment {data}")

    def handle_data(self, data: str) -> None:
        self.text += data


PYTHON_MARKDOWN = ["tables", "footnotes", "def_list", "abbr", "attr_list", "admonition", "fenced_code", "sane_lists"]
READERS: dict[str, Callable[[str], str]] = {
    "CommonMark": MarkdownIt("commonmark").render,
    "with tables": MarkdownIt("commonmark").enable(["table", "strikethrough"]).render,
    "Python-Markdown": lambda text: python_markdown.markdown(text, extensions=PYTHON_MARKDOWN),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("before", ["", "a paragraph\n", "- an item\n\n"])
@pytest.mark.slow
def test_a_text_is_a_paragraph_wherever_a_line_begins_with_it(reader: str, before: str) -> None:
    render, outside = READERS[reader], ["p", "ul", "li"]
    for text in texts(1500):
        page = Tags(render(before + markdown(text)))
        assert [tag for tag in page.tags if tag not in outside] == [], repr(text)
        assert page.tags == Tags(render(f"{before}word")).tags or not markdown(text), repr(text)


@pytest.mark.slow
def test_a_reader_of_markdown_sees_the_text_itself() -> None:
    for text in texts():
        page = Tags(MarkdownIt("commonmark").render(markdown(text)))
        assert page.text.rstrip("\n") == plain(text), repr(text)


@pytest.mark.parametrize("reader", ["with tables", "Python-Markdown"])
@pytest.mark.slow
def test_a_text_stays_in_its_cell_of_a_markdown_table(reader: str) -> None:
    for text in texts(1500):
        grid = Grid("t", ("method", "n"), [[(text.replace("\n", " "), "1")]], [text])
        page = Tags(READERS[reader](to_markdown(grid)))
        cells = ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]
        assert page.tags == [*cells, *(["p"] if plain(text) else [])], repr(text)


@pytest.mark.slow
def test_a_code_block_holds_its_line_and_ends() -> None:
    for text in texts():
        page = Tags(MarkdownIt("commonmark").render(f"{code_block(text)}\n\nafter"))
        assert page.tags == ["pre", "code", "p"], repr(text)


def test_no_cell_of_a_csv_file_is_a_formula() -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    given = list(texts())
    writer.writerows([csv_cell(text), "end"] for text in given)
    rows = list(csv.reader(io.StringIO(stream.getvalue())))
    assert len(rows) == len(given)
    for (cell, end), text in zip(rows, given, strict=True):
        assert end == "end"
        seen = "".join(c for c in unicodedata.normalize("NFKC", cell) if c.isprintable() and not c.isspace())
        assert not re.match(r"[=+\-@\u2212]", seen), repr(text)
        assert cell in (plain(text), f"'{plain(text)}"), "nothing else is changed"
    assert [csv_cell(value) for value in (-1.5, 2, None, True)] == [-1.5, 2, None, True]


TOKEN = re.compile(r"\\[a-zA-Z]+ *|\\[^a-zA-Z]|[^\\]", re.DOTALL)
WRITTEN_OUT = {
    r"\textbackslash", r"\textasciitilde", r"\textasciicircum", r"\textless", r"\textgreater", r"\textbar",
    r"\dag", r"\ddag", r"\S", r"\P", r"\ldots", r"\ss", r"\ae", r"\AE", r"\o", r"\O", r"\oe", r"\OE", r"\l", r"\L",
    r"\i", r"\&", r"\%", r"\$", r"\#", r"\_", r"\{", r"\}",
}  # fmt: skip
SIGN = re.compile(r"\$(?:\\[A-Za-z]+|-)\$")
ACCENTED = re.compile(r"(?<!\\)\\[`'^~=.\"urHvck]\{[A-Za-z]\}")


def test_latex_reads_every_text_as_text() -> None:
    for text in texts():
        written = latex(text)
        assert written.isascii(), "what follows is the same in every engine"
        written = ACCENTED.sub("", SIGN.sub("", written))
        tokens = [token.strip() or token for token in TOKEN.findall(written)]
        assert "".join(TOKEN.findall(written)) == written
        for i, token in enumerate(tokens):
            if token.startswith("\\"):
                assert token in WRITTEN_OUT, repr(text)
                is_word = token[1].isalpha()
                assert not is_word or tokens[i + 1 : i + 3] == ["{", "}"], "a command would eat the blank behind it"
            else:
                assert token not in "&%$#_~^<>|", repr(text)
        bare = [token for token in tokens if token in ("{", "}")]
        assert bare == ["{", "}"] * (len(bare) // 2), repr(text)


def test_no_row_of_a_latex_table_is_read_as_the_option_of_the_one_before() -> None:
    for text in texts():
        rows = [(text.replace("\n", " "), "1"), (text.replace("\n", " "), "2")]
        table = to_latex(Grid(text, ("method", "n"), [rows, rows]))
        assert not re.search(r"(?:\\\\|\\midrule|\\toprule)\s*[\[*]", table.partition("\n")[2]), repr(text)
        assert len(table.splitlines()) == 12, repr(text)


def test_a_terminal_obeys_no_text_and_shows_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.setenv(variable, "1")
    for text in texts():
        stream = io.StringIO()
        with contextlib.redirect_stdout(stream):
            Screen().line(text)
        assert stream.getvalue() == f"{printable(text)}\n", repr(text)
        shown = printable(text)
        assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")], repr(text)
        assert shown.encode().decode() == shown, "it can be written as UTF-8"


def test_json_is_valid_whatever_it_holds() -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    content = {"texts": list(texts()), "numbers": [float("nan"), float("inf"), {"a": (-float("inf"), 1.5)}]}
    read = json.loads(json_text(content), parse_constant=refuse)
    assert read["texts"] == content["texts"]
    assert read["numbers"] == [None, None, {"a": [None, 1.5]}]


def test_file_names_are_short_plain_and_never_a_path() -> None:
    for text in [*texts(), "x" * 300, "../../outside", "a/b", "..", ".", "", "CON\u202e"]:
        assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,58}[a-z0-9])?", slug(text)), repr(text)


@pytest.fixture
def hostile_verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], str]:
    """What the terminal is sent when a verb ends in an error."""

    def end(error: BaseException) -> str:
        def fail(*_: object, **__: object) -> None:
            logging.getLogger("prefbench").warning("a warning: %s", error)
            raise error

        monkeypatch.setattr(show, "callback", fail)
        monkeypatch.setattr(logging.getLogger(), "handlers", [])  # the command's own, as at a terminal
        outcome = CliRunner().invoke(main, ["show", "x"])
        return outcome.stderr

    return end


def test_an_error_is_one_printable_line(hostile_verb: Callable[[BaseException], str]) -> None:
    for text in texts(300):
        sent = hostile_verb(PrefbenchError(f"{text}: no such thing"))
        lines = [line for line in sent.splitlines() if line.startswith("prefbench: ")]
        assert len(lines) == 1, repr(text)
        assert sent.startswith("WARNING a warning: "), repr(text)
        assert printable(sent, kept="\n") == sent, repr(text)
