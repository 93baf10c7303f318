"""The list of mutations holds, and two of them, executed, are noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutations import runner
from tests.mutations.catalogue import MUTATIONS, QUICK
from tests.mutations.mutation import Mutation
from tests.mutations.runner import ROOT, check, copied_tree, run_tests


def test_every_mutation_still_finds_its_snippet_and_its_tests() -> None:
    assert [problem for mutation in MUTATIONS for problem in mutation.problems(ROOT)] == []
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)


def test_every_mutation_changes_code_that_can_be_read(tmp_path: Path) -> None:
    for mutation in MUTATIONS:
        copy = tmp_path / mutation.file
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((ROOT / mutation.file).read_bytes())
        mutation.apply(tmp_path)
        assert copy.read_bytes() != (ROOT / mutation.file).read_bytes()


@pytest.mark.parametrize("name", QUICK)
def test_a_mutation_is_noticed(name: str) -> None:
    (mutation,) = (mutation for mutation in MUTATIONS if mutation.name == name)
    assert check(mutation) == []


def test_a_mutation_that_changes_nothing_is_reported_to_survive() -> None:
    harmless = Mutation(
        "nothing",
        "services/orchestrator/policy/fitting.py",
        "GAP_MS = 50\n",
        "GAP_MS = 25 + 25\n",
        ("tests/unit/orchestrator/test_fitting.py::test_a_line_that_fits_starts_at_its_onset_at_natural_speed",),
    )
    assert check(harmless) == [f"nothing: not noticed by {harmless.tests[0]}"]


def test_tests_that_do_not_import_the_mutated_file_prove_nothing() -> None:
    test = "tests/unit/orchestrator/test_fitting.py::test_a_line_that_fits_starts_at_its_onset_at_natural_speed"
    with copied_tree() as root:
        assert not run_tests(root, [test], "services/billing/ledger.py").imported


def test_a_mutation_whose_tests_do_not_end_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    (mutation,) = (mutation for mutation in MUTATIONS if mutation.name == QUICK[0])
    monkeypatch.setattr(runner, "_TIME_LIMIT_S", 0.0)
    (problem,) = check(mutation)
    assert problem.startswith(f"{mutation.name}: The tests gave no result within 0 s.")
