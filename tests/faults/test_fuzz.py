"""Broken objects and PDUs: no crash, no hang, no unbounded memory, a proper status, and good objects all the while.

This is the short run, with every kind of bomb in it; `make fuzz` makes the long one.
"""

import os
from pathlib import Path

import pytest

from tests.faults.fuzz import run_fuzz

INPUTS = int(os.environ.get("FUZZ_INPUTS", "300"))
SEED = int(os.environ.get("FUZZ_SEED", "5"))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_broken_objects_and_pdus_do_no_harm(tmp_path: Path) -> None:
    result = run_fuzz(tmp_path, inputs=INPUTS, seed=SEED)
    assert result.wrong == []
    assert result.inputs == INPUTS
    assert result.good > INPUTS // 50
    assert result.status["classified"] == result.status["received"] >= result.good
    assert {"0000", "A900", "C210"} <= set(result.answers)
