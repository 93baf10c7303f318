"""The texts of a file that people read: docstrings, comments, messages, names, the prose of contracts and documents."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from .rules import Kind

Text = tuple[int, Kind, str]
"""Line, kind and text."""
_MESSAGE_KEYWORDS = {"description", "summary", "title", "detail", "help", "message"}
_LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"``?[^`\n]+``?|https?://\S+")


def texts(path: Path) -> Iterator[Text]:
    """Every text of a file; code in backticks and addresses are replaced by a word of the same length."""
    source = path.read_text(encoding="utf-8")
    for line, kind, text in _READERS[path.suffix](source):
        yield line, kind, _CODE.sub(lambda code: "x" * len(code.group()), text) if kind is not Kind.NAME else text


def _python(source: str) -> Iterator[Text]:
    yield from _comments(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, Kind.DOC, node.value.value
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.lineno, Kind.NAME, node.name
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield from _strings(*node.exc.args)
        elif isinstance(node, ast.Call):
            yield from _messages(node)


def _comments(source: str) -> Iterator[Text]:
    """Comments; those of neighbouring lines are one text, so that a phrase across a line break is found."""
    block: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if token.start[0] != last + 1 and block:
            yield first, Kind.PROSE, "\n".join(block)
            block = []
        first = first if block else token.start[0]
        last = token.start[0]
        block.append(token.string.lstrip("#"))
    if block:
        yield first, Kind.PROSE, "\n".join(block)


def _messages(call: ast.Call) -> Iterator[Text]:
    if isinstance(call.func, ast.Attribute) and call.func.attr in _LOG_METHODS:
        yield from _strings(*call.args[:1])
    yield from _strings(*(keyword.value for keyword in call.keywords if keyword.arg in _MESSAGE_KEYWORDS))


def _strings(*nodes: ast.expr) -> Iterator[Text]:
    """String literals with at least two words; the gaps of an f-string are an ellipsis."""
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, Kind.PROSE, node.value
        elif isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
            yield node.lineno, Kind.PROSE, "".join(map(str, parts))


def _proto(source: str) -> Iterator[Text]:
    """Blocks of `//` comments, each a doc of the element below."""
    for block in re.finditer(r"(?:^[ \t]*//.*\n?)+", source, re.MULTILINE):
        text = re.sub(r"^[ \t]*//", "", block.group(), flags=re.MULTILINE)
        yield source.count("\n", 0, block.start()) + 1, Kind.DOC, text


def _markdown(source: str) -> Iterator[Text]:
    """The document without its code blocks."""
    yield 1, Kind.PROSE, _FENCED.sub(lambda code: "\n" * code.group().count("\n"), source)


def _hashes(source: str) -> Iterator[Text]:
    """Comments of a Makefile, shell script, YAML or TOML file."""
    for number, line in enumerate(source.splitlines(), 1):
        if match := re.search(r"(?:^|\s)#+ (.*)", line):
            yield number, Kind.PROSE, match.group(1)


_READERS = {".py": _python, ".proto": _proto, ".md": _markdown} | dict.fromkeys(
    ("", ".mk", ".sh", ".yaml", ".yml", ".toml"), _hashes
)
SUFFIXES = frozenset(_READERS)
