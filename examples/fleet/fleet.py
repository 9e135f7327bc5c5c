#!/usr/bin/env python3
"""The drift of a whole fleet, in SQL, from what a Collector wrote.

    fleet.py FOLDER      metrics*.jsonl from the Collector, and truth.csv, statistics.csv and start from the example

Bins are exact and additive: the fleet's counts are the sum of the devices' growth within each week. They are held against
what the example counted from the raw rows of all devices, and the statistics against those of the library.
"""

import sys
from pathlib import Path

import duckdb

# The points of one metric, one row each; a copy of a point is dropped here, since it says the same.
POINTS = """
create table requests as
    select unnest(from_json(resourceMetrics, '["json"]')) as resource
    from read_json('{folder}/metrics*.jsonl', format = 'newline_delimited', columns = {{resourceMetrics: 'json'}},
                   maximum_object_size = 67108864);

create macro attribute(attributes, name) as
    list_extract(json_extract_string(attributes, '$[*].value.stringValue'),
                 list_position(json_extract_string(attributes, '$[*].key'), name));

create table metrics as
    select attribute(resource -> '$.resource.attributes', 'app.installation.id') as device,
           attribute(resource -> '$.resource.attributes', 'selvedge.model.version') as version,
           unnest(from_json(resource -> '$.scopeMetrics[0].metrics', '["json"]')) as metric
    from requests;

create table points as
    select device, version, metric ->> '$.name' as name,
           unnest(from_json(coalesce(metric -> '$.histogram.dataPoints', metric -> '$.sum.dataPoints'), '["json"]')) as point
    from metrics where metric ->> '$.name' in ('selvedge.feature', 'selvedge.feature.category', 'selvedge.feature.missing');

-- One row per bin: its total at a time. The label is that of truth.csv, `position:name`, cut to the position.
create table totals as
    with named as (
        select distinct device, version, name, (point ->> '$.timeUnixNano')::ubigint as time,
               (point ->> '$.startTimeUnixNano')::ubigint as start,
               attribute(point -> '$.attributes', 'selvedge.feature.name') as feature,
               attribute(point -> '$.attributes', 'selvedge.category') as category,
               coalesce((point ->> '$.asInt')::bigint, 0) as value,
               json_extract_string(point, '$.bucketCounts[*]')::bigint[] as buckets
        from points)
    select device, version, feature, start, time, unnest(range(len(buckets)))::varchar as bin, unnest(buckets) as total
    from named where name = 'selvedge.feature'
    union all
    select device, version, feature, start, time, category, value from named where name = 'selvedge.feature.category'
    union all
    select device, version, feature, start, time, 'missing', value from named where name = 'selvedge.feature.missing';
"""

# What each bin grew by in each week, over the whole fleet.
FLEET = """
create table fleet as
    with weekly as (
        select device, version, feature, bin, start, ((time - {start}) // 604800000000000)::int as week,
               max(total) as total
        from totals group by all),
    growth as (
        select version, feature, bin, week,
               total - coalesce(lag(total) over (partition by device, version, feature, bin, start order by week), 0) as rows
        from weekly)
    select version, week, feature, bin, sum(rows)::bigint as rows from growth group by all;

create table truth as
    select version, week, feature, reference, rows,
           case when split_part(bin, ':', 2) = 'missing' then 'missing'
                when feature = 'sky' then split_part(bin, ':', 2) else split_part(bin, ':', 1) end as bin
    from read_csv('{folder}/truth.csv', header = true, types = {{version: 'varchar', bin: 'varchar'}});
"""

STATISTICS = """
create table statistics as
    with bins as (
        select t.version, t.week, t.feature, t.reference::double as r, coalesce(f.rows, 0)::double as w
        from truth t left join fleet f using (version, week, feature, bin)),
    sums as (
        select *, sum(r) over feature as r_all, sum(w) over feature as w_all, count(*) over feature as bins
        from bins window feature as (partition by version, week, feature)),
    shares as (
        select *, (r + 0.5) / (r_all + 0.5 * bins) as p, (w + 0.5) / (w_all + 0.5 * bins) as q from sums)
    select version, week, feature, max(w_all)::bigint as rows, sum((q - p) * ln(q / p)) as psi,
           sum(case when r + w > 0 then (w * sqrt(r_all / w_all) - r * sqrt(w_all / r_all)) ** 2 / (r + w) else 0 end) as chi2
    from shares group by all;
"""


def main():
    folder = Path(sys.argv[1])
    start = int((folder / "start").read_text())
    db = duckdb.connect()
    for script in (POINTS, FLEET, STATISTICS):
        db.execute(script.format(folder=folder, start=start))

    wrong = """
        select * from (select version, week, feature, bin, rows from truth where rows > 0) t
        full join (select * from fleet where rows > 0) f using (version, week, feature, bin)
        where t.rows is distinct from f.rows"""
    if found := db.execute(wrong).fetchall():
        print(*found[:20], sep="\n")
        sys.exit("fleet: the merged bins are not those of the pooled rows")
    bins = db.execute("select count(*), sum(rows) from fleet where rows > 0").fetchall()[0]
    print(f"{bins[0]} bins, {bins[1]} values: as counted from the pooled raw rows, to the last one")

    db.execute(f"""
        create table library as select * from read_csv('{folder}/statistics.csv', header = true, types = {{version: 'varchar'}});
        create table compared as
            select s.*, abs(s.psi - l.psi) / (1e-9 + l.psi) as psi_apart, abs(s.chi2 - l.chi2) / (1e-9 + l.chi2) as chi2_apart
            from statistics s join library l using (version, week, feature)""")
    expected = db.execute("select count(*) from library").fetchall()[0][0]
    rows, apart = db.execute("select count(*), max(greatest(psi_apart, chi2_apart)) from compared").fetchall()[0]
    if rows != expected or apart > 1e-9:
        sys.exit(f"fleet: {rows} of {expected} statistics, apart by up to {apart}")
    print(f"{rows} statistics: as the library's on the pooled rows, within {apart:.1e} of each")
    db.sql("select version, week, feature, rows, round(psi, 5) as psi, round(chi2, 1) as chi2 from compared "
           "order by version, feature, week").show(max_rows=100)


if __name__ == "__main__":
    main()
