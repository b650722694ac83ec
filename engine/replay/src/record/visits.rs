//! Who came and went in a quarter of an hour that is over, beside what was expected of it.

use vpp_dispatch::PastVisits;
use vpp_results::{Text, rows};

/// A row for each aggregator. That of all stations together can be added up but for what was expected, which cannot.
pub(super) fn rows(past: &[PastVisits]) -> impl Iterator<Item = rows::Visits> + '_ {
    past.iter().filter_map(|past| {
        let aggregator: Text = past.aggregator.as_ref()?.as_str().into();
        let expected = past.expected.as_ref();
        let arrivals = expected.map(|expected| expected.arrivals);
        let departures = expected.map(|expected| expected.departures);
        let energy = expected.map(|expected| expected.energy_kwh);
        Some(rows::Visits {
            start: past.at,
            aggregator,
            arrivals: past.actual.arrivals.into(),
            departures: past.actual.departures.into(),
            energy_needed_kwh: past.actual.energy_needed.as_kilowatt_hours(),
            expected_arrivals_p10: arrivals.map(|[low, _, _]| low),
            expected_arrivals_p50: arrivals.map(|[_, middle, _]| middle),
            expected_arrivals_p90: arrivals.map(|[_, _, high]| high),
            expected_departures_p10: departures.map(|[low, _, _]| low),
            expected_departures_p50: departures.map(|[_, middle, _]| middle),
            expected_departures_p90: departures.map(|[_, _, high]| high),
            expected_energy_p10_kwh: energy.map(|[low, _, _]| low),
            expected_energy_p50_kwh: energy.map(|[_, middle, _]| middle),
            expected_energy_p90_kwh: energy.map(|[_, _, high]| high),
        })
    })
}
