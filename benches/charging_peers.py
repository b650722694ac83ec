"""The sessions of `vpp-benches charging --save FILE`, charged by other programs: the same sessions, the same limits.

Usage: python3 benches/charging_peers.py FILE [--venv FOLDER] [--only acnportal,ev2gym,hindsight] > peers.json

Installs acnportal and ev2gym from PyPI in a virtual environment first. Prints one JSON object a row, with the names of
`vpp-benches charging --json`:
- acnportal's sorted schedulers, and EV2Gym's heuristics, each in its own simulator;
- the bounds of anybody who had known all sessions, sun and houses beforehand (linear programs).
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

# EV2Gym imports `pkg_resources`, which newer setuptools do not have.
PACKAGES = ["acnportal==0.3.3", "ev2gym==2.0.0", "setuptools<81"]
SCRIPTS = Path(__file__).resolve().parent / "charging_peers"

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("file")
parser.add_argument("--venv", default="target/charging-venv")
parser.add_argument("--only", default="acnportal,ev2gym,hindsight")
asked = parser.parse_args()

python = Path(asked.venv).absolute() / "bin" / "python"
if not python.exists():
    subprocess.run([sys.executable, "-m", "venv", asked.venv], check=True)
subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True, stdout=sys.stderr)
for name in asked.only.split(","):
    script = SCRIPTS / f"{name}_rows.py"
    if not script.exists():
        sys.exit(f"--only: {name!r} is none of acnportal, ev2gym, hindsight")
    # One thread each: these programs are small, and others work beside them.
    subprocess.run([python, "-W", "ignore", script, asked.file], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
