//! What a run measured, as far as a plan asks for it.

use chrono::NaiveDate;

/// What a run measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// Name of the scenario.
    pub name: String,
    /// First local day.
    pub first_day: NaiveDate,
    /// Length, days.
    pub days: f64,
    /// Charging stations.
    pub charging_stations: u64,
    /// Swap stations.
    pub swap_stations: u64,
    /// Piles; with the slots of swap stations where the run does not tell them apart.
    pub piles: u64,
    /// Piles and slots that can export.
    pub v2g_piles: u64,
    /// Aggregators.
    pub aggregators: u64,
    /// Connections added up, MVA.
    pub connection_mva: f64,
    /// Greatest mean draw of all stations in an interval, MW.
    pub peak_mw: f64,
    /// The most that could be called to draw less in an interval, MW; none where it was not asked.
    pub callable_mw: Option<f64>,
    /// The stations, each with what it did.
    pub places: Vec<Place>,
    /// Calls for demand response.
    pub responses: Vec<Response>,
    /// How regulation was followed; none without a signal.
    pub regulated: Option<Regulated>,
    /// Subsidy on energy discharged, CNY.
    pub subsidy_cny: f64,
}

/// A station over the whole run. Energies in kWh, by period of the tariff: sharp, peak, flat, valley.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// Its name.
    pub id: String,
    /// Kind of facility.
    pub profile: String,
    /// Who operates it.
    pub aggregator: String,
    /// Drawn through the gate.
    pub import_kwh: [f64; 4],
    /// Fed back through the gate, as a magnitude.
    pub export_kwh: [f64; 4],
    /// Given by its piles, as a magnitude, also what others at the station drew of it; none where the run does not tell.
    pub pile_kwh: Option<f64>,
    /// Stays in which a vehicle fed back.
    pub v2g_vehicles: u64,
    /// What the scenario says of it; none without the scenario.
    pub built: Option<Built>,
}

/// What a scenario says of a station.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Built {
    /// Piles; none at a swap station.
    pub piles: u64,
    /// Piles and slots that can export.
    pub v2g_piles: u64,
    /// What its piles and slots may draw together, within the connection, kW.
    pub connected_kw: f64,
    /// Whether it is enrolled in regulation.
    pub regulates: bool,
}

/// A call for demand response, over all aggregators.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    /// Its name.
    pub id: String,
    /// Length, h.
    pub hours: f64,
    /// Aggregators that promised.
    pub aggregators: Vec<String>,
    /// Asked for, MW.
    pub asked_mw: f64,
    /// Promised, MW.
    pub promised_mw: f64,
    /// Delivered against the baseline, MWh.
    pub delivered_mwh: f64,
}

impl Response {
    /// Mean power delivered, MW.
    #[must_use]
    pub fn mean_mw(&self) -> f64 {
        match self.hours > 0.0 {
            true => self.delivered_mwh / self.hours,
            false => 0.0,
        }
    }

    /// Delivered over asked for.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let asked_mwh = self.asked_mw * self.hours;
        (asked_mwh > 0.0).then(|| self.delivered_mwh / asked_mwh)
    }
}

/// How a regulation signal was followed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Regulated {
    /// Awards: stretches of the signal without a gap.
    pub awards: u64,
    /// Values of the signal.
    pub values: u64,
    /// Mean composite index of the awards, and by which rules; none where no command counted.
    pub composite: Option<(f64, String)>,
    /// Mean performance score of the awards, 0 to 1, and by which rules; none where an award is too short.
    pub performance: Option<(f64, String)>,
}

impl Measured {
    /// The stations whose id begins so.
    pub fn named<'a>(&'a self, beginning: &'a str) -> impl Iterator<Item = &'a Place> {
        let places = self.places.iter();
        places.filter(move |place| place.id.starts_with(beginning))
    }

    /// The call for demand response that delivered most power.
    #[must_use]
    pub fn strongest(&self) -> Option<&Response> {
        let all = self.responses.iter();
        all.max_by(|a, b| a.mean_mw().total_cmp(&b.mean_mw()).then(b.id.cmp(&a.id)))
    }
}

impl Place {
    /// Fed back through the gate in all periods, kWh.
    #[must_use]
    pub fn exported_kwh(&self) -> f64 {
        self.export_kwh.iter().sum()
    }
}
