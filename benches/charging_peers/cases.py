"""The cases of `vpp-benches charging --save`, and what came of charging one: from what each pile drew to a row."""

import json
import sys

import numpy as np

TOLERANCE_KW = 1e-3


class Case:
    def __init__(self, saved):
        self.name = saved["name"]
        self.volts, self.period_min = saved["volts"], saved["period_min"]
        self.most_a, self.least_a = saved["most_a"], saved["least_a"]
        self.piles, self.efficiency = saved["piles"], saved["efficiency"]
        self.sessions, self.limits_kw = saved["sessions"], saved["limits_kw"]
        self.drawn = np.array(saved["drawn_cny_per_kwh"])
        self.fed_in = np.array(saved["fed_in_cny_per_kwh"])
        self.periods = len(self.drawn)
        self.hours = self.period_min / 60
        self.pile_kw = self.most_a * self.volts / 1000
        self.v2g = saved["sun"] is not None
        self.saved = saved

    def room(self, limit_kw):
        """What vehicles may draw and feed in together, kW, in each period: by the transformer, and by the feeder."""
        if not self.v2g:
            endless = np.full(self.periods, np.inf)
            return [(np.full(self.periods, limit_kw), np.zeros(self.periods)), (endless, endless)]
        sun = np.array(self.saved["sun"]) * limit_kw
        houses = np.array(self.saved["houses"]) * limit_kw
        export, draw, feed = (
            self.saved[key] * limit_kw for key in ["transformer_export", "feeder_import", "feeder_export"]
        )
        return [(limit_kw + sun, export - sun), (draw + sun - houses, feed - sun + houses)]

    def row(self, policy, limit_kw, power, **more):
        """`power`: what each pile drew in each period, kW."""
        stored = np.where(power > 0, power * self.efficiency, power / self.efficiency) * self.hours
        got = np.array([stored[s["pile"], s["arrival"] : s["departure"]].sum() for s in self.sessions])
        asked = np.array([s["kwh"] for s in self.sessions])
        total = power.sum(axis=0)
        shares, worst = np.sort(got / asked), max(len(asked) // 20, 1)
        bill = (np.maximum(power, 0) * self.drawn).sum() * self.hours
        revenue = (np.maximum(-power, 0) * self.fed_in).sum() * self.hours
        over = [(total > draw + TOLERANCE_KW) | (-total > feed + TOLERANCE_KW) for draw, feed in self.room(limit_kw)]
        connector = (np.abs(power) > self.pile_kw + TOLERANCE_KW).any(axis=0)
        row = {
            "case": self.name,
            "policy": policy,
            "limit_kw": limit_kw,
            "sessions": len(asked),
            "delivered_share": got.sum() / asked.sum(),
            "short_share": float(np.mean(asked - got > 0.01 * asked + 1e-3)),
            "worst_twentieth": shares[:worst].mean(),
            "peak_kw": total.max(),
            "cost_cny": bill - revenue,
            "cost_cny_per_kwh": (bill - revenue) / got.sum() if got.sum() > 0 else None,
            "fed_in_kwh": np.maximum(-power, 0).sum() * self.hours,
            "v2g_revenue_cny": revenue,
            "periods": self.periods,
            "over_connector": int(connector.sum()),
            "over_transformer": int(over[0].sum()),
            "over_feeder": int(over[1].sum()),
            **more,
        }
        print(json.dumps(row), flush=True)


def cases():
    with open(sys.argv[1]) as file:
        return [Case(saved) for saved in json.load(file)["cases"]]
