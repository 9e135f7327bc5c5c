"""The example: a profile fitted in pandas, carried by an app in C."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import RAIN, REPO

EXAMPLE = Path(__file__).parents[1] / "example"
WEATHER = REPO / "examples/quickstart/weather.csv"


def test_a_profile_goes_from_pandas_to_an_app(tmp_path):
    profile = tmp_path / "rain.profile"
    fit = [sys.executable, EXAMPLE / "fit_profile.py", WEATHER, RAIN, profile]
    said = subprocess.run(fit, check=True, capture_output=True, text=True, timeout=120).stdout
    assert "of 1096 days\na year later: as it was\nelsewhere: temp_min" in said

    prefix, cc = os.environ.get("SELVEDGE_PREFIX"), shutil.which(os.environ.get("CC", "cc"))
    if not prefix or not cc:
        pytest.skip("the app was not built: no SELVEDGE_PREFIX, or no C compiler")
    app = tmp_path / "device"
    build = [cc, "-std=c99", "-Wall", "-Wextra", "-Werror", EXAMPLE / "device.c", f"-I{prefix}/include", "-o", app]
    subprocess.run([*build, f"-L{prefix}/lib", "-lselvedge", f"-Wl,-rpath,{prefix}/lib"], check=True, timeout=120)

    def device(city, years):
        with open(WEATHER, newline="") as file:
            days = [d for d in csv.reader(file) if d[0] == city and d[1][:4] in years]
        lines = "\n".join(" ".join(day[2:6]) for day in days)
        arguments = [app, RAIN, profile, tmp_path / city]
        return subprocess.run(arguments, input=lines, check=True, capture_output=True, text=True, timeout=120).stdout

    assert device("Seattle", ["2015"]) == ""
    assert "ALERT temp_min: out_of_range\n" in device("New York", ["2012"])
