"""The linter of English finds each phrase in each place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.prose import __main__ as prose
from tests.prose.rules import RULES, Kind, findings


def phrases(kind: Kind, text: str) -> list[str]:
    return [phrase for _, phrase, _ in findings(kind, text)]


def found(tmp_path: Path, name: str, source: str) -> list[tuple[int, str]]:
    path = tmp_path / name
    path.write_text(source)
    return [(line, phrase) for line, phrase, _ in prose.lint(path)]


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("What it keeps.", "What"),
        ("\n    Whether it runs.", "Whether"),
        ("Says where it is.", "Says"),
        ("How long it may take.", "How"),
        ("When it began.", "When"),
        ("Which of them it is.", "Which"),
        ("A process, told of it.", "told"),
        ("Waits until nobody uses it.", "nobody"),
        ("Frees it, whoever holds it.", "whoever"),
        ("Finds the worker who holds it.", "worker who"),
        ("The process is told of it.", "is told"),
        ("Repeats a call whose answer was lost.", "answer was lost"),
        ("A claim that is made again.", "is made again"),
        ("A lease so old that it ran out.", "so old"),
    ],
)
def test_a_phrase_is_found_in_a_docstring(text: str, phrase: str) -> None:
    assert phrases(Kind.DOC, text) == [phrase]


@pytest.mark.parametrize(
    "text",
    [
        "The user who owns the job, and people who watch it.",
        "Waits for the process whose lease ran out.",
        "The number of lines, and what they cost.",
        "Returns whether it runs.",
        "Themes of this kind; a fortune teller; a soothsayer.",
    ],
)
def test_plain_sentences_pass(text: str) -> None:
    assert phrases(Kind.DOC, text) == []


def test_a_comment_or_a_message_may_begin_with_a_question_word() -> None:
    assert phrases(Kind.PROSE, "What follows is atomic.") == []


@pytest.mark.parametrize("name", ["_nobody_waits", "say_goodbye", "Shown", "_passing", "test_a_worker_is_told"])
def test_a_name_is_checked_by_its_words(name: str) -> None:
    assert len(phrases(Kind.NAME, name)) == 1


@pytest.mark.parametrize("name", ["foretells", "essays", "Shownames", "surpassing", "wishlist"])
def test_a_part_of_a_word_is_no_finding(name: str) -> None:
    assert phrases(Kind.NAME, name) == []


def test_every_text_of_python_is_read_with_its_line(tmp_path: Path) -> None:
    source = (
        '"""Says a thing."""\n'
        "x = 1  # for nobody\n"
        "\n"
        "# of the process which is\n"
        "# told of it\n"
        "def tells():\n"
        '    log.warning("the server says %s", x)\n'
        '    raise Bad(f"{x} says so")\n'
        "\n"
        'field = Field(description="For whoever\\n asks.")\n'
    )
    assert sorted(found(tmp_path, "a.py", source)) == [
        (1, "Says"),
        (2, "nobody"),
        (4, "is told"),
        (6, "tells"),
        (7, "says"),
        (8, "says"),
        (10, "whoever"),
    ]


def test_strings_that_are_data_and_code_in_backticks_are_not_read(tmp_path: Path) -> None:
    assert found(tmp_path, "b.py", '"""`ok` when all is well."""\n') == []
    assert found(tmp_path, "a.py", 'x = "nobody says so"\ny = 1  # the user `nobody` of Debian\n') == []


def test_contracts_documents_and_build_files_are_read(tmp_path: Path) -> None:
    assert found(tmp_path, "a.proto", "message A {\n  // Whether it runs.\n  bool b = 1;\n}\n") == [(2, "Whether")]
    assert found(tmp_path, "a.md", "# A\n\n```sh\necho nobody\n```\n\nNobody does.\n") == [(7, "Nobody")]
    assert found(tmp_path, "Makefile", "all: ## Build for nobody\n\techo nobody\n") == [(1, "nobody")]


def test_a_finding_in_a_given_path_fails_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prose, "_files", lambda paths: paths)
    for name, source in (("bad.py", '"""Says it."""\n'), ("good.py", '"""The name."""\n')):
        (tmp_path / name).write_text(source)
    monkeypatch.setattr(sys, "argv", ["prose", str(tmp_path / "good.py")])
    prose.main()
    monkeypatch.setattr(sys, "argv", ["prose", str(tmp_path / "bad.py")])
    with pytest.raises(SystemExit):
        prose.main()


def test_every_rule_has_advice() -> None:
    assert all(rule.advice and rule.kinds for rule in RULES)
