"""acnportal's sorted schedulers. It knows no discharging, no sun and no houses: where there are any, it keeps the transformer's
limit on its own vehicles."""

from datetime import datetime

import numpy as np
from acnportal import acnsim, algorithms
from cases import cases


def simulator(case, scheduler, limit_kw):
    network = acnsim.ChargingNetwork()
    piles = [f"pile-{pile}" for pile in range(case.piles)]
    for pile in piles:
        if case.least_a > 0:
            evse = acnsim.DeadbandEVSE(pile, deadband_end=case.least_a, max_rate=case.most_a)
        else:
            evse = acnsim.EVSE(pile, max_rate=case.most_a)
        network.register_evse(evse, case.volts, 0)
    # Without a limit: one that never binds.
    amperes = 1e6 if limit_kw is None else limit_kw * 1000 / case.volts
    network.add_constraint(acnsim.Current(piles), amperes, name="garage")
    events = acnsim.EventQueue()
    for number, session in enumerate(case.sessions):
        # Its batteries lose nothing: what is lost is wanted as well.
        kwh = session["kwh"] / case.efficiency
        battery = acnsim.Battery(kwh, 0, case.pile_kw)
        vehicle = acnsim.EV(
            session["arrival"], session["departure"], kwh, f"pile-{session['pile']}", str(number), battery
        )
        events.add_event(acnsim.PluginEvent(session["arrival"], vehicle))
    return acnsim.Simulator(
        network, scheduler, events, datetime(2027, 7, 5), period=case.period_min, verbose=False
    )


SORTED = algorithms.SortedSchedulingAlgo
POLICIES = {
    "uncontrolled": lambda: algorithms.UncontrolledCharging(),
    "round robin": lambda: algorithms.RoundRobin(algorithms.first_come_first_served, continuous_inc=1),
    "first come, first served": lambda: SORTED(algorithms.first_come_first_served),
    "earliest deadline first": lambda: SORTED(algorithms.earliest_deadline_first),
    "least laxity first": lambda: SORTED(algorithms.least_laxity_first),
}


for case in cases():
    for limit_kw in case.limits_kw:
        for name, policy in POLICIES.items():
            sim = simulator(case, policy(), None if name == "uncontrolled" else limit_kw)
            sim.run()
            rates = np.zeros((case.piles, max(case.periods, sim.charging_rates.shape[1])))
            for at, pile in enumerate(sim.network.station_ids):
                rates[int(pile.split("-")[1]), : sim.charging_rates.shape[1]] = sim.charging_rates[at]
            case.row(name, limit_kw, rates[:, : case.periods] * case.volts / 1000, program="acnportal")
