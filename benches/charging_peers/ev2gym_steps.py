"""EV2Gym's simulator with its simplest controller: how many piles it moves by a step in a second. One JSON object."""

import argparse
import json
import os
import sys
import tempfile
import time
from types import SimpleNamespace

import numpy as np
import yaml

# Its model of a distribution grid wants packages that it does not declare, and is not used here.
sys.modules["ev2gym.models.grid"] = SimpleNamespace(PowerGrid=None)

import ev2gym
from ev2gym.baselines.heuristics import ChargeAsFastAsPossible
from ev2gym.models.ev2gym_env import EV2Gym

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--stations", type=int, required=True)
parser.add_argument("--piles", type=int, required=True, help="at each station")
parser.add_argument("--steps", type=int, required=True, help="of 15 minutes")
asked = parser.parse_args()

with open(f"{os.path.dirname(ev2gym.__file__)}/example_config_files/PublicPST.yaml") as file:
    config = yaml.safe_load(file)
config |= {
    "simulation_length": asked.steps,
    "number_of_charging_stations": asked.stations,
    "number_of_ports_per_cs": asked.piles,
    "random_day": False,
    "heterogeneous_ev_specs": False,
}
# A station's limit is the sum of its ports', so that the simplest controller breaks none.
config["charging_station"]["max_charge_current"] *= 1.1 * asked.piles
with tempfile.TemporaryDirectory() as folder:
    with open(f"{folder}/config.yaml", "w") as file:
        yaml.safe_dump(config, file)
    began = time.perf_counter()
    env = EV2Gym(
        f"{folder}/config.yaml", seed=1, state_function=lambda env: np.zeros(1), reward_function=lambda *_: 0.0
    )
    env.lightweight_plots = True
    # Draws the vehicles of the run; until then nothing of it is there.
    made = time.perf_counter()
    env.reset()
agent = ChargeAsFastAsPossible()
ready = time.perf_counter()
done, steps = False, 0
while not done:
    _, _, done, _, _ = env.step(agent.get_action(env))
    steps += 1
spent = time.perf_counter() - ready
piles = asked.stations * asked.piles
print(
    json.dumps(
        {
            "program": "EV2Gym, as fast as possible",
            "stations": asked.stations,
            "piles": piles,
            "steps": steps,
            "vehicles": len(env.EVs),
            "construction_s": round(made - began, 3),
            "vehicles_s": round(ready - made, 3),
            "seconds": round(spent, 3),
            "pile_steps_per_s": round(piles * steps / spent),
        }
    )
)
