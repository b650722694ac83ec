"""EV2Gym's heuristics. The sessions come by its own way for given ones, a replay file.

Its batteries are rounded up to 0.01 kWh after each step, so that they fill with less than was drawn: `program` is `EV2Gym` as it
is, and `EV2Gym, unrounded` without that.
"""

import pickle
import sys
import tempfile
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import yaml
from cases import cases

# Its model of a distribution grid wants packages that it does not declare, and is not used here.
sys.modules["ev2gym.models.grid"] = SimpleNamespace(PowerGrid=None)

from ev2gym.baselines import heuristics
from ev2gym.models.ev import EV
from ev2gym.models.ev2gym_env import EV2Gym
from ev2gym.models.ev_charger import EV_Charger
from ev2gym.models.transformer import Transformer

POLICIES = {
    "uncontrolled": lambda env, limit_kw: heuristics.ChargeAsFastAsPossible(),
    "rotation": lambda env, limit_kw: heuristics.RoundRobin(env),
    "round robin, GF": lambda env, limit_kw: heuristics.RoundRobin_GF(env),
    "round robin, GF, off allowed": lambda env, limit_kw: heuristics.RoundRobin_GF_off_allowed(env),
    "as late as possible": lambda env, limit_kw: heuristics.ChargeAsLateAsPossible(),
}
V2G_POLICIES = {**POLICIES, "random, V2G": lambda env, limit_kw: heuristics.RandomAgent()}
LIMITED = ["rotation", "round robin, GF", "round robin, GF, off allowed"]
ROUNDED = EV.my_ceil


def config(case, length):
    """What it reads besides the replay."""
    without = {"include": False, "notification_of_event_minutes": 60}
    return {
        "simulation_length": length,
        "number_of_charging_stations": case.piles,
        "number_of_ports_per_cs": 1,
        "tr_seed": 1,
        "random_day": False,
        "v2g_enabled": case.v2g,
        "charging_network_topology": "None",
        "charging_station": {"voltage": case.volts, "phases": 1},
        "inflexible_loads": without,
        "solar_power": without,
        "demand_response": without,
    }


def environment(case, limit_kw, folder):
    # Vehicles come at its step 1 at the earliest, and charge in the step of their departure as well.
    length = case.periods + 3
    settings = config(case, length)
    around = np.zeros(length)
    sun, houses = around.copy(), around.copy()
    if case.v2g:
        sun[1 : case.periods + 1] = -np.array(case.saved["sun"]) * limit_kw
        houses[1 : case.periods + 1] = np.array(case.saved["houses"]) * limit_kw
    stub = SimpleNamespace(config=settings, simulation_length=length, timescale=case.period_min)
    chargers = [
        EV_Charger(
            pile,
            0,
            0,
            min_charge_current=case.least_a,
            max_charge_current=case.most_a,
            max_discharge_current=-case.most_a if case.v2g else 0,
            voltage=case.volts,
            n_ports=1,
            phases=1,
            timescale=case.period_min,
        )
        for pile in range(case.piles)
    ]
    vehicles = [
        EV(
            0,
            session["pile"],
            (session["target_kwh"] - session["kwh"]) / case.efficiency,
            session["arrival"] + 1,
            session["departure"],
            battery_capacity=session["target_kwh"] / case.efficiency,
            min_battery_capacity=session["floor_kwh"] / case.efficiency,
            max_ac_charge_power=case.pile_kw,
            max_discharge_power=-session["discharge_kw"],
            ev_phases=1,
            transition_soc=1,
            timescale=case.period_min,
        )
        for session in sorted(case.sessions, key=lambda session: session["arrival"])
    ]
    replay = SimpleNamespace(
        replay_path="replay_sessions.pkl",
        sim_date=datetime(2027, 7, 5),
        timescale=case.period_min,
        n_cs=case.piles,
        n_transformers=1,
        max_n_ports=1,
        scenario="workplace",
        heterogeneous_specs=False,
        simulate_grid=False,
        cs_transformers=[0] * case.piles,
        grid=None,
        transformers=[
            Transformer(
                0,
                stub,
                max_power=limit_kw,
                cs_ids=list(range(case.piles)),
                inflexible_load=houses,
                solar_power=sun,
                simulation_length=length,
            )
        ],
        charging_stations=chargers,
        EVs=vehicles,
        charge_prices=np.zeros((case.piles, length)),
        discharge_prices=np.zeros((case.piles, length)),
        power_setpoints=np.full(length, float(limit_kw)),
    )
    with open(f"{folder}/replay.pkl", "wb") as file:
        pickle.dump(replay, file)
    with open(f"{folder}/config.yaml", "w") as file:
        yaml.safe_dump(settings, file)
    env = EV2Gym(
        f"{folder}/config.yaml",
        load_from_replay_path=f"{folder}/replay.pkl",
        seed=1,
        state_function=lambda env: np.zeros(1),
        reward_function=lambda *_: 0.0,
    )
    env.lightweight_plots = True
    return env


def charge(case, limit_kw, policy):
    """What each pile drew in each period, kW; what the batteries say that they got of what they wanted."""
    with tempfile.TemporaryDirectory() as folder:
        env = environment(case, limit_kw, folder)
    agent = policy(env, limit_kw)
    power = np.zeros((case.piles, case.periods))
    # Nobody is there in the first step.
    env.step(np.zeros(case.piles))
    for period in range(case.periods):
        env.step(agent.get_action(env))
        power[:, period] = [charger.current_power_output for charger in env.charging_stations]
    wanted = sum(ev.battery_capacity - ev.battery_capacity_at_arrival for ev in env.EVs)
    got = sum(ev.current_capacity - ev.battery_capacity_at_arrival for ev in env.EVs)
    return power, got / wanted


for case in cases():
    policies = V2G_POLICIES if case.v2g else POLICIES
    for name, policy in policies.items():
        for program in ["EV2Gym", "EV2Gym, unrounded"] if name in ["uncontrolled", "rotation"] else ["EV2Gym"]:
            EV.my_ceil = ROUNDED if program == "EV2Gym" else lambda self, value, precision=2: value
            charged = None
            for limit_kw in case.limits_kw:
                # Those that know no limit do the same whatever it is.
                if charged is None or name in LIMITED:
                    charged = charge(case, limit_kw, policy)
                power, by_batteries = charged
                # Of those that only charge, vehicles that were rounded up beyond full seem to feed in.
                power = power if "V2G" in name else np.maximum(power, 0)
                case.row(name, limit_kw, power, program=program, delivered_share_by_its_batteries=by_batteries)
