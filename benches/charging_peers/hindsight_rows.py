"""What anybody could do who had known all sessions, sun and houses beforehand: the most energy, and with that energy the least
cost, without and with V2G. With V2G by quarters of an hour: what is done in shorter periods can be done in them too, so that it is
a bound."""

import json

import numpy as np
from cases import cases
from scipy.optimize import linprog
from scipy.sparse import coo_matrix

QUARTER_MIN = 15
# CNY for each kWh delivered: more than any costs.
WORTH = 10.0


class Rows:
    """A sparse matrix row by row, with what each row must not exceed."""

    def __init__(self):
        self.at, self.columns, self.values, self.most = [], [], [], []

    def add(self, columns, values, most):
        self.at += [len(self.most)] * len(columns)
        self.columns += columns
        self.values += values
        self.most.append(most)

    def matrix(self, count):
        return coo_matrix((self.values, (self.at, self.columns)), shape=(len(self.most), count)).tocsr()


def least_cost(case, limit_kw, v2g):
    each = QUARTER_MIN // case.period_min if v2g else 1
    quarters = -(-case.periods // each)
    mean = lambda values: np.array([values[q * each : (q + 1) * each].mean() for q in range(quarters)])
    drawn, fed_in = mean(case.drawn), mean(case.fed_in)
    room = case.room(limit_kw)
    draw = mean(np.minimum(room[0][0], room[1][0]))
    feed = mean(np.minimum(room[0][1], room[1][1]))
    hours, efficiency = each * case.hours, case.efficiency
    cost, most, below, equal = [], [], Rows(), Rows()
    in_quarter = [([], []) for _ in range(quarters)]

    def column(price, bounds):
        cost.append(price)
        most.append(bounds)
        return len(cost) - 1

    for session in case.sessions:
        available = max(session["target_kwh"] - session["kwh"] - session["floor_kwh"], 0)
        discharge = session["discharge_kw"] if v2g else 0
        before, taken = None, []
        for quarter in range(session["arrival"] // each, -(-session["departure"] // each)):
            start, end = max(session["arrival"], quarter * each), min(session["departure"], (quarter + 1) * each)
            part = (end - start) / each
            charged = column((drawn[quarter] - WORTH * efficiency) * hours, (0, case.pile_kw * part))
            in_quarter[quarter][0].append(charged)
            taken.append(charged)
            if discharge == 0:
                continue
            given = column((WORTH / efficiency - fed_in[quarter]) * hours, (0, discharge * part))
            in_quarter[quarter][1].append(given)
            # In the end more than it wants is of no use.
            leaves = (quarter + 1) * each >= session["departure"]
            spare = 0 if leaves else session["spare_kwh"]
            stored = column(0, (-available, session["kwh"] + spare))
            columns, values = [stored, charged, given], [1, -efficiency * hours, hours / efficiency]
            if before is not None:
                columns, values = columns + [before], values + [-1]
            equal.add(columns, values, 0)
            before = stored
        if discharge == 0:
            below.add(taken, [efficiency * hours] * len(taken), session["kwh"])
    for quarter, (charged, given) in enumerate(in_quarter):
        columns = charged + given
        if columns:
            values = [1] * len(charged) + [-1] * len(given)
            below.add(columns, values, draw[quarter])
            if given:
                below.add(columns, [-value for value in values], feed[quarter])
    count = len(cost)
    more = {"A_eq": equal.matrix(count), "b_eq": equal.most} if equal.most else {}
    solved = linprog(
        cost, A_ub=below.matrix(count), b_ub=below.most, bounds=most, method="highs-ipm" if v2g else "highs", **more
    )
    assert solved.status == 0, solved.message
    charged = [c for quarter in in_quarter for c in quarter[0]]
    given = [c for quarter in in_quarter for c in quarter[1]]
    delivered = (solved.x[charged].sum() * efficiency - solved.x[given].sum() / efficiency) * hours
    bill = sum(solved.x[quarter[0]].sum() * drawn[q] for q, quarter in enumerate(in_quarter)) * hours
    revenue = sum(solved.x[quarter[1]].sum() * fed_in[q] for q, quarter in enumerate(in_quarter)) * hours
    asked = sum(session["kwh"] for session in case.sessions)
    row = {
        "case": case.name,
        "policy": "hindsight, V2G" if v2g else "hindsight",
        "program": "linear program",
        "limit_kw": limit_kw,
        "sessions": len(case.sessions),
        "delivered_share": delivered / asked,
        "cost_cny": bill - revenue,
        "cost_cny_per_kwh": (bill - revenue) / delivered,
        "v2g_revenue_cny": revenue,
    }
    print(json.dumps(row), flush=True)


for case in cases():
    for limit_kw in case.limits_kw:
        least_cost(case, limit_kw, False)
        if case.v2g:
            least_cost(case, limit_kw, True)
