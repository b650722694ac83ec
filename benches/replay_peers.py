"""How many piles a simulator moves by a quarter of an hour in a second: EV2Gym beside `vpp replay`, in one run.

Usage: python3 benches/replay_peers.py [--stations 100] [--piles 25] [--days 1] [--venv FOLDER] [--vpp PROGRAM]

Both have the same number of stations, piles and steps; EV2Gym has its simplest controller. `vpp` has none (`agreements`: nothing
is planned without a programme), then plans every station's charging at every step (`all`): with the vehicles of its own scenario,
four times as many, then with as many as EV2Gym's. Each is run three times, and three times as long as well; the least counts.

- `ratio`: all of `vpp` (reading the scenario, drawing the vehicles, 36 hours of warm-up, tables, summary and report) against
  EV2Gym's steps alone;
- `ratio_with_vehicles`: the same against its steps and the drawing of its vehicles;
- `ratio_whole`: the same against all of EV2Gym, its construction too: what a user waits for;
- `ratio_of_steps`: steps alone: what `vpp` takes longer for each further run of so many days (its vehicles, drawn as they come, and its
  tables are in it) against EV2Gym's steps;
- `ratio_of_steps_with_vehicles`: the same against its steps and the drawing of its vehicles: the same work on both sides.

Installs ev2gym from PyPI in a virtual environment first. One JSON object a row.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# EV2Gym imports `pkg_resources`, which newer setuptools do not have.
PACKAGES = ["ev2gym==2.0.0", "setuptools<81"]
SCENARIO = """\
include = "{base}"
event = []
[scenario]
name = "as-many-piles"
start = 2025-07-14T00:00:00+08:00
duration_minutes = {minutes}
[dispatch]
orderly = "{orderly}"
cycle_s = 900
step_s = 900
[sessions.public]
arrivals_per_ac_pile_day = {arrivals}
[fleet]
stations = []
generate = [
  {{
    id = "s", stations = {stations}, regulates_share = 0.02, ac = [{piles}, {piles}], dc = [0, 0],
    aggregators = {{ agg-a = 0.5, agg-b = 0.5 }}, place = [[113.2, 23.0], [113.6, 23.3]],
    grid = {{ stations_per_feeder = 10, feeders_per_substation = 10, base_load_kw = 0, feeder_share = 1, substation_share = 1, export_share = 1 }},
  }},
]
"""

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--stations", type=int, default=100)
parser.add_argument("--piles", type=int, default=25)
parser.add_argument("--days", type=int, default=1)
parser.add_argument("--venv", default="target/charging-venv")
parser.add_argument("--vpp", default=str(ROOT / "target/release/vpp"))
asked = parser.parse_args()

python = Path(asked.venv).absolute() / "bin" / "python"
if not python.exists():
    subprocess.run([sys.executable, "-m", "venv", asked.venv], check=True)
subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True, stdout=sys.stderr)
size = ["--stations", str(asked.stations), "--piles", str(asked.piles), "--steps", str(96 * asked.days)]
theirs = subprocess.run(
    [python, "-W", "ignore", ROOT / "benches/charging_peers/ev2gym_steps.py", *size],
    check=True,
    capture_output=True,
    text=True,
    env={**os.environ, "OMP_NUM_THREADS": "1"},
)
theirs = json.loads(theirs.stdout.splitlines()[-1])
print(json.dumps(theirs), flush=True)
as_many = theirs["vehicles"] / theirs["piles"] / asked.days


def replay(arrivals, orderly, days):
    """Least of three runs, s, and what the run says of itself."""
    least = float("inf")
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            Path(f"{folder}/scenario.toml").write_text(
                SCENARIO.format(
                    base=ROOT / "scenarios/fleet-small.toml",
                    minutes=1440 * days,
                    stations=asked.stations,
                    piles=asked.piles,
                    orderly=orderly,
                    arrivals=arrivals,
                )
            )
            began = time.perf_counter()
            ours = subprocess.run(
                [asked.vpp, "replay", f"{folder}/scenario.toml", "--out", f"{folder}/out", "--json"],
                check=True,
                capture_output=True,
                text=True,
            )
            least = min(least, time.perf_counter() - began)
    return least, json.loads(ours.stdout)


steps = 96 * asked.days
of_vehicles, of_construction = theirs["vehicles_s"], theirs["construction_s"]
for arrivals, orderly in [(n, orderly) for n in [4, as_many] for orderly in ["agreements", "all"]]:
    spent, summary = replay(arrivals, orderly, asked.days)
    longer, _ = replay(arrivals, orderly, 3 * asked.days)
    of_steps = theirs["seconds"] / max((longer - spent) / 2, 1e-9)
    with_vehicles = 1 + of_vehicles / theirs["seconds"]
    piles = summary["scenario"]["piles"]
    ratio = theirs["seconds"] / spent
    row = {
        "program": f"vpp replay, {orderly}",
        "stations": summary["scenario"]["stations"],
        "piles": piles,
        "steps": steps,
        "vehicles": summary["vehicles"]["arrivals"],
        "seconds": round(spent, 3),
        "pile_steps_per_s": round(piles * steps / spent),
        "ratio": round(ratio, 1),
        "ratio_with_vehicles": round(ratio * with_vehicles, 1),
        "ratio_whole": round(ratio * (1 + (of_vehicles + of_construction) / theirs["seconds"]), 1),
        "ratio_of_steps": round(of_steps, 1),
        "ratio_of_steps_with_vehicles": round(of_steps * with_vehicles, 1),
    }
    print(json.dumps(row), flush=True)
