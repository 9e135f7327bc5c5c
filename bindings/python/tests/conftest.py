"""Where things are, for all tests."""

import os
from pathlib import Path

import pytest

import selvedge

REPO = Path(__file__).resolve().parents[3]
RAIN = REPO / "examples/quickstart/rain.onnx"
DAY = [[2.5, 4.4, 2.2, 2.2]]
SEATTLE = 0.585324  # what the trainer says of that day
CORPUS = os.environ.get("SELVEDGE_CORPUS")


@pytest.fixture
def rain():
    with selvedge.open(RAIN) as engine:
        yield engine


@pytest.fixture(scope="session")
def llm():
    """A small language model of the corpus; without it, the test says so and passes over."""
    if not CORPUS or "llama" not in selvedge.features():
        pytest.skip("SELVEDGE_CORPUS is not set, or the library has no llama")
    with selvedge.open(f"{CORPUS}/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf") as engine:
        yield engine
