"""Every block of README.md, executed as it is printed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import CORPUS, RAIN, REPO

README = (Path(__file__).parents[1] / "README.md").read_text()


def block(heading):
    ((language, text),) = [(language, text) for title, language, text in sections() if title == heading]
    assert language == "python"
    return text


def sections():
    for section in README.split("\n## ")[1:]:
        title = section.partition("\n")[0]
        for language, text in re.findall(r"^```(\w+)\n(.*?)^```", section, re.M | re.S):
            if language == "python":
                yield title, language, text


def run(folder, *blocks):
    path = Path(folder, "app.py")
    path.write_text("\n".join(blocks))
    done = subprocess.run([sys.executable, path], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path):
    shutil.copy(RAIN, tmp_path)
    shutil.copy(REPO / "examples/quickstart/weather.csv", tmp_path)
    return tmp_path


def test_the_first_answer_takes_three_steps_and_ten_lines(folder):
    install = re.search(r"^```sh\n(.*?)^```", README, re.M | re.S)[1]
    wheel = os.environ.get("SELVEDGE_WHEEL")
    if wheel:
        shutil.copy(wheel, folder)
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        subprocess.run(
            ["bash", "-ec", install], cwd=folder, env=environment, check=True, capture_output=True, timeout=300
        )
    text = block("First answer")
    assert len(install.splitlines()) + len(text.splitlines()) <= 10
    assert abs(float(run(folder, text).strip().strip("[]")) - 0.585324) < 1e-5


def test_the_first_alert_takes_ten_lines_more(folder):
    text = block("First drift alert")
    assert len([line for line in text.splitlines() if line and not line.startswith("import")]) <= 10
    said = run(folder, block("First answer"), text, block("Sending"))
    assert "Alert(event='raised'" in said and "feature='temp_min'" in said
    assert "POST /v1/metrics" in said


def test_text_is_streamed(folder):
    if not CORPUS:
        pytest.skip("SELVEDGE_CORPUS is not set")
    (folder / "model.gguf").symlink_to(f"{CORPUS}/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    said = run(folder, "import selvedge", block("Text"), block("Tools"))
    assert said.startswith(" Paris") and "clock {'zone': " in said and said.endswith("\n1\n")
