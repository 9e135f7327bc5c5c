"""The cases that every binding runs."""

import json

import pytest

import conformance
from conftest import REPO

CASES = json.loads((REPO / "bindings/conformance/cases.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_case(case):
    if lacks := conformance.lacks(case):
        pytest.skip(f"needs {', '.join(lacks)}")
    conformance.run(REPO, case)


def test_a_wrong_expectation_is_noticed():
    case = next(case for case in CASES if case["name"] == "tensors: the ten days of the trainer")
    case = json.loads(json.dumps(case))
    case["steps"][1]["expect"][0]["data"][3] += 1e-3
    with pytest.raises(AssertionError, match=r"data\[3\]"):
        conformance.run(REPO, case)
