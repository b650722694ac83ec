"""The month of `vpp-benches settle-month`, settled with DuckDB: the same files, the same rules, the same figures.

DuckDB reads the readings and adds them up; prices, payments and shares are whole numbers and decimals in Python. Prints
how many lines there are and how many differ from `ours/lines.csv`.
"""

import csv
import json
import sys
import tomllib
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

import duckdb

with open("month.toml", "rb") as file:
    month = tomllib.load(file)
with open("prices.json") as file:
    hours = json.load(file)
first = date.fromisoformat(month["month"] + "-01")


def fen(wh, price):
    """An energy at a price, rounded half away from zero; neither is negative."""
    return int((Decimal(wh) / 1000 * Decimal(price) * 100).quantize(Decimal(1), ROUND_HALF_UP))


def split(total, weights):
    """Largest remainders."""
    if not any(weights):
        weights = [1] * len(weights)
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda at: (-(total * weights[at] % whole), at))
    for at in order[: total - sum(shares)]:
        shares[at] += 1
    return shares


db = duckdb.connect()
db.execute("SET threads = 2")
db.execute(
    """CREATE TABLE readings AS SELECT station, CAST(start AS DATE) AS date, CAST(hour(start) AS INTEGER) AS hour,
    CAST(hour(start) * 4 + minute(start) / 15 AS INTEGER) AS slot, gate_in_wh, gate_out_wh, pile_discharge_wh, sun_out_wh,
    storage_out_wh FROM read_csv('readings.csv', header = true, columns = {'station': 'VARCHAR', 'start': 'TIMESTAMP',
    'gate_in_wh': 'BIGINT', 'gate_out_wh': 'BIGINT', 'pile_discharge_wh': 'BIGINT', 'sun_out_wh': 'BIGINT',
    'storage_out_wh': 'BIGINT'}, timestampformat = '%Y-%m-%dT%H:%M')"""
)
db.execute("CREATE TABLE stations AS SELECT station, aggregator FROM read_csv('stations.csv', header = true)")
aggregator_of = dict(db.execute("SELECT station, aggregator FROM stations").fetchall())
lines = {}

# Energy by period and what vehicles fed in.
db.execute("CREATE TABLE hours (hour INTEGER, period VARCHAR)")
db.executemany("INSERT INTO hours VALUES (?, ?)", [(hour, about["period"]) for hour, about in enumerate(hours)])
price_of = {about["period"]: about for about in hours}
sums = db.execute(
    """SELECT station, period, CAST(sum(gate_in_wh) AS BIGINT),
    CAST(sum(least(pile_discharge_wh, greatest(0, gate_out_wh - sun_out_wh - storage_out_wh))) AS BIGINT)
    FROM readings JOIN hours USING (hour) WHERE date >= ? GROUP BY station, period ORDER BY station""",
    [first],
).fetchall()
fed_in = {}
for station, period, drawn, fed in sums:
    batch = f"month/{month['month']}/{aggregator_of[station]}"
    if drawn:
        lines[batch, station, f"energy/{period}"] = -fen(drawn, price_of[period]["price"])
    if fed:
        lines[batch, station, f"feed-in/{period}"] = fen(fed, price_of[period]["feed_in"])
        fed_in[station] = fed_in.get(station, 0) + fed
left = 20_000_000 * 100
for station in sorted(fed_in):
    # 5 CNY for each kWh.
    granted = min(left, fen(fed_in[station], "5"))
    left -= granted
    lines[f"month/{month['month']}/{aggregator_of[station]}", station, "subsidy/discharge"] = granted

# Events: the mean of the last five workdays without an event before the day of the invitation.
events = month["event"]
event_days = {(event["aggregator"], event["date"]) for event in events}
windows, days = [], []
for number, event in enumerate(events):
    begin, end = ([int(part) for part in event[of].split(":")] for of in ("from", "to"))
    slots = begin[0] * 4 + begin[1] // 15, end[0] * 4 + end[1] // 15
    windows.append((number, event["aggregator"], event["date"], *slots))
    day, found = min(event["invited_on"], event["date"]) - timedelta(days=1), 0
    while found < 5:
        if day.weekday() < 5 and (event["aggregator"], day) not in event_days:
            days.append((number, day))
            found += 1
        day -= timedelta(days=1)
db.execute("CREATE TABLE windows (event INTEGER, aggregator VARCHAR, date DATE, begin_slot INTEGER, end_slot INTEGER)")
db.executemany("INSERT INTO windows VALUES (?, ?, ?, ?, ?)", windows)
db.execute("CREATE TABLE days (event INTEGER, date DATE)")
db.executemany("INSERT INTO days VALUES (?, ?)", days)
# Watts are rounded to the nearest; watt-hours of a quarter are whole.
db.execute(
    """CREATE TABLE delivered AS WITH
    parts AS (SELECT station, slot, date, gate_in_wh - gate_out_wh AS net, aggregator FROM readings JOIN stations USING (station)),
    means AS (SELECT event, station, slot, sum(4 * net) AS watts FROM windows JOIN days USING (event)
        JOIN parts ON parts.date = days.date AND parts.aggregator = windows.aggregator
        AND slot >= begin_slot AND slot < end_slot GROUP BY event, station, slot),
    expected AS (SELECT event, station, slot,
        CAST(trunc(trunc((watts + 2 * sign(watts)) / 5.0) / 4.0) AS BIGINT) AS wh FROM means)
    SELECT event, expected.station AS station, expected.slot AS slot, wh AS expected, net AS actual
    FROM expected JOIN windows USING (event)
    JOIN parts ON parts.station = expected.station AND parts.slot = expected.slot AND parts.date = windows.date"""
)
by_event = {number: [] for number in range(len(events))}
rows = "SELECT event, station, CAST(sum(greatest(0, expected - actual)) AS BIGINT) FROM delivered GROUP BY event, station"
for number, station, wh in db.execute(rows + " ORDER BY event, station").fetchall():
    by_event[number].append((station, wh))
totals = """SELECT event, CAST(sum(greatest(0, less)) AS BIGINT) FROM
    (SELECT event, slot, sum(expected) - sum(actual) AS less FROM delivered GROUP BY event, slot) GROUP BY event"""
for number, delivered in db.execute(totals).fetchall():
    event = events[number]
    _, _, _, begin_slot, end_slot = windows[number]
    cleared = round(event["cleared_kw"] * 250) * (end_slot - begin_slot)
    price = event["price_cny_per_kwh"]
    ratio = Decimal(delivered) / Decimal(cleared)
    penalty_factor = Decimal("1.5") if ratio < Decimal("0.7") else Decimal(1) if ratio < Decimal("0.9") else Decimal(0)
    gross = fen(min(delivered, cleared), price)
    penalty = fen(Decimal(max(0, cleared - delivered)) * penalty_factor, price)
    batch = f"event/{event['event']}/{event['aggregator']}"
    lines[batch, "", "payment"] = gross
    lines[batch, "", "penalty"] = -penalty
    parts = by_event[number]
    shares = split(max(0, gross - penalty), [wh for _, wh in parts])
    for (station, _), share in zip(parts, shares):
        lines[batch, station, "response"] = share

ours = {}
with open("ours/lines.csv", newline="") as file:
    for row in csv.DictReader(file):
        ours[row["batch"], row["station"], row["item"]] = int(row["fen"])
differ = [key for key in ours.keys() | lines.keys() if ours.get(key) != lines.get(key)]
for key in sorted(differ)[:10]:


    print(key, ours.get(key), lines.get(key), file=sys.stderr)
print(json.dumps({"version": duckdb.__version__, "lines": len(ours), "differ": len(differ)}))
