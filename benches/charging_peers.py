"""The garage of `vpp-benches charging --save FILE`, charged by acnportal's sorted schedulers: the same sessions, the same limits.

Usage: python benches/charging_peers.py FILE (after `pip install acnportal`). Prints one JSON object a row, with the same names
as `vpp-benches charging --json`. The row `hindsight` is the most energy that anybody could deliver who knew all sessions
beforehand: a linear program.
"""

import json
import sys
import warnings
from datetime import datetime

warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
from acnportal import acnsim, algorithms  # noqa: E402
from scipy.optimize import linprog  # noqa: E402
from scipy.sparse import coo_matrix  # noqa: E402

with open(sys.argv[1]) as file:
    garage = json.load(file)
volts, period = garage["volts"], garage["period_min"]
sessions = garage["sessions"]


def simulator(scheduler, limit_kw):
    network = acnsim.ChargingNetwork()
    piles = [f"pile-{pile}" for pile in range(garage["piles"])]
    for pile in piles:
        if garage["least_a"] > 0:
            evse = acnsim.DeadbandEVSE(pile, deadband_end=garage["least_a"], max_rate=garage["most_a"])
        else:
            evse = acnsim.EVSE(pile, max_rate=garage["most_a"])
        network.register_evse(evse, volts, 0)
    # Without a limit: one that never binds.
    amperes = 1e6 if limit_kw is None else limit_kw * 1000 / volts
    network.add_constraint(acnsim.Current(piles), amperes, name="garage")
    events = acnsim.EventQueue()
    for number, session in enumerate(sessions):
        battery = acnsim.Battery(session["kwh"], 0, garage["most_a"] * volts / 1000)
        vehicle = acnsim.EV(
            session["arrival"], session["departure"], session["kwh"], f"pile-{session['pile']}", str(number), battery
        )
        events.add_event(acnsim.PluginEvent(session["arrival"], vehicle))
    return acnsim.Simulator(network, scheduler, events, datetime(2027, 1, 1), period=period, verbose=False)


POLICIES = {
    "uncontrolled": lambda: algorithms.UncontrolledCharging(),
    "round robin": lambda: algorithms.RoundRobin(algorithms.first_come_first_served, continuous_inc=1),
    "first come, first served": lambda: algorithms.SortedSchedulingAlgo(algorithms.first_come_first_served),
    "earliest deadline first": lambda: algorithms.SortedSchedulingAlgo(algorithms.earliest_deadline_first),
    "least laxity first": lambda: algorithms.SortedSchedulingAlgo(algorithms.least_laxity_first),
}



def hindsight(limit_kw):
    """The most that can be delivered, as a share of what was asked for."""
    hours = period / 60
    rows, columns = [], []
    periods = max(session["departure"] for session in sessions)
    for number, session in enumerate(sessions):
        for at in range(session["arrival"], session["departure"]):
            column = len(rows) // 2
            rows += [at, periods + number]
            columns += [column, column]
    energies = [limit_kw * hours] * periods + [session["kwh"] for session in sessions]
    count = len(rows) // 2
    matrix = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(energies), count)).tocsr()
    most = garage["most_a"] * volts / 1000 * hours
    solved = linprog(-np.ones(count), A_ub=matrix, b_ub=energies, bounds=(0, most), method="highs")
    return -solved.fun / sum(session["kwh"] for session in sessions)


for limit_kw in garage["limits_kw"]:
    row = {"policy": "hindsight", "limit_kw": limit_kw, "sessions": len(sessions), "delivered_share": hindsight(limit_kw)}
    print(json.dumps(row), flush=True)
    for name, policy in POLICIES.items():
        sim = simulator(policy(), None if name == "uncontrolled" else limit_kw)
        sim.run()
        asked = sum(vehicle.requested_energy for vehicle in sim.ev_history.values())
        delivered = sum(vehicle.energy_delivered for vehicle in sim.ev_history.values())
        shares = sorted(v.energy_delivered / v.requested_energy for v in sim.ev_history.values())
        missing = [v.requested_energy - v.energy_delivered for v in sim.ev_history.values()]
        short = sum(m > 0.01 * v.requested_energy + 1e-3 for m, v in zip(missing, sim.ev_history.values()))
        worst = max(len(shares) // 20, 1)
        peak = acnsim.aggregate_current(sim).max() * volts / 1000
        row = {
            "policy": name,
            "limit_kw": limit_kw,
            "sessions": len(shares),
            "delivered_share": delivered / asked,
            "short_share": short / len(shares),
            "worst_twentieth": sum(shares[:worst]) / worst,
            "peak_kw": float(peak),
            "worst_excess_kw": max(float(peak) - limit_kw, 0.0),
        }
        print(json.dumps(row), flush=True)
