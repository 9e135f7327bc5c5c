"""Where the data is: fits the profile of a model, for apps to carry beside it.

python fit_profile.py WEATHER.CSV MODEL PROFILE
"""

import sys

import pandas

import selvedge

COLUMNS = ["precipitation", "temp_max", "temp_min", "wind"]


def main(weather, model, target):
    days = pandas.read_csv(weather, parse_dates=["date"])
    # What the model was trained on, in the order of time: that a day is like the day before is seen and allowed for.
    made_for = days[(days.location == "Seattle") & (days.date < "2015")]
    with selvedge.open(model) as engine:
        digest = engine.spec["provenance"]["digest"]
    profile = selvedge.Profile.fit(made_for[COLUMNS], bins=8, sha256=digest)
    profile.save(target)
    print(f"{target}: {len(profile.encode())} bytes, of {profile.json['rows']} days")

    later = days[(days.location == "Seattle") & (days.date >= "2015")]
    elsewhere = days[(days.location == "New York") & (days.date < "2013")]
    for where, rows in [("a year later", later), ("elsewhere", elsewhere)]:
        found = profile.compare(rows[COLUMNS])
        drifted = [f"{f['name']} (psi {f['psi']:.2f})" for f in found["features"] if f["drifted"]]
        print(f"{where}: {', '.join(drifted) or 'as it was'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
