//! A month of readings: what each station draws and feeds in by the tariff's periods, its subsidy, and its part of every
//! event. Stations are measured one by one, in any order and from several threads; what needs all of them, the events'
//! payments and a budget that may end, is worked out at the end. So only one station's readings need be held at a time.

mod timetable;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike as _, NaiveDate, NaiveTime, TimeDelta};
use chrono_tz::Tz;
use vpp_core::{AggregatorId, Interval, Invalid, Price, RequestId, StationId, Timestamp};
use vpp_market_adapters::response::SLOTS;
use vpp_market_adapters::response::baseline::{Calendar, History};
use vpp_market_adapters::subsidy::{Budget, Claim, Grant, SubsidyRules};
use vpp_market_adapters::tariff::Period;
use vpp_market_adapters::{PackId, RulePack};

use crate::event::{Cleared, Settlement, StationLine, Terms};
use crate::metering::{Gate, QUARTER, Readings, Registers};
use timetable::Timetable;

/// By which rules a month is settled.
pub struct MonthRules<'a> {
    /// Prices of what is drawn and fed in.
    pub tariff: &'a RulePack,
    /// Local days that were declared hot.
    pub hot_days: &'a BTreeSet<NaiveDate>,
    /// The subsidies, where there are any.
    pub subsidies: Option<&'a SubsidyRules>,
}

/// An event of the month, for one aggregator.
pub struct MonthEvent<'a> {
    /// What was cleared.
    pub cleared: Cleared,
    /// How it is settled.
    pub terms: Terms<'a>,
    /// The stations that took part; none: all of the aggregator.
    pub stations: Option<BTreeSet<StationId>>,
}

/// A subsidy that is claimed for what was bought, rather than for energy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// What tells it from all others, in any month: an invoice, say.
    pub id: RequestId,
    /// Who claims.
    pub aggregator: AggregatorId,
    /// For which station; none: for the aggregator itself.
    pub station: Option<StationId>,
    /// What was paid, and what is asked for of it.
    pub claim: Claim,
}

/// A month to settle.
pub struct Month<'a> {
    rules: MonthRules<'a>,
    events: Vec<MonthEvent<'a>>,
    purchases: Vec<Purchase>,
    interval: Interval,
    first: NaiveDate,
    timetable: Timetable,
}

/// A station as it is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Which.
    pub station: StationId,
    /// Who operates it.
    pub aggregator: AggregatorId,
    /// What is behind its gate.
    pub gate: Gate,
}

/// Energy at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnergyLine {
    /// The tariff's period.
    pub period: Period,
    /// Whether it was fed in by vehicles, rather than drawn.
    pub fed_in: bool,
    /// How much, Wh.
    pub wh: i64,
    /// For each kWh.
    pub price: Price,
    /// What it comes to for the station, fen: negative when bought. Rounded once.
    pub fen: i64,
}

/// A station's month; the events' shares and the subsidy stand in [`MonthSettlement`].
#[derive(Clone, Debug, PartialEq)]
pub struct StationMonth {
    /// Whose.
    pub account: Account,
    /// The four registers in both directions.
    pub registers: Registers,
    /// Quarters of the month.
    pub quarters: usize,
    /// What tells the readings that it was worked out of from others ([`Readings::fingerprint`]).
    pub readings: String,
    /// What they come to.
    pub energy: Vec<EnergyLine>,
    /// Its part in each event that it took part in, by the event's place in the list.
    events: Vec<(usize, StationLine)>,
}

/// A settled month.
#[derive(Clone, Debug, PartialEq)]
pub struct MonthSettlement {
    /// Its first day.
    pub first: NaiveDate,
    /// Whose prices.
    pub tariff_pack: PackId,
    /// The subsidies' pack, where there are any.
    pub subsidy_pack: Option<PackId>,
    /// Each station, by its name.
    pub stations: Vec<StationMonth>,
    /// What was bought, and what was granted of it, in the order in which it was claimed.
    pub purchases: Vec<(Purchase, Grant)>,
    /// What each station was granted for what its vehicles fed in, in the same order; none where nothing was claimed.
    pub grants: Vec<Option<Grant>>,
    /// The events, in the order given.
    pub events: Vec<Settlement>,
}

/// What was granted for what was bought, and for energy to each station.
type Grants = (Vec<(Purchase, Grant)>, Vec<Option<Grant>>);

impl<'a> Month<'a> {
    /// A month that begins on a local day `first`, the first of it.
    ///
    /// # Errors
    /// A day that is not the first, a tariff or an event's rules that are not in force throughout, an event outside the month,
    /// twice for an aggregator, in an hour that the clock shows twice or not at all, or at the same time as another of the
    /// same stations.
    pub fn new(
        first: NaiveDate,
        rules: MonthRules<'a>,
        events: Vec<MonthEvent<'a>>,
    ) -> Result<Month<'a>, Invalid> {
        let tariff = rules.tariff.tariff();
        let next = first.checked_add_months(chrono::Months::new(1));
        let (Some(next), 1) = (next, first.day()) else {
            return Err(Invalid::new(
                "month",
                format!("{first} does not begin a month"),
            ));
        };
        let midnight = |day: NaiveDate| {
            let local = day
                .and_time(NaiveTime::MIN)
                .and_local_timezone(tariff.zone());
            let local = local.earliest().map(|at| at.to_utc());
            local.ok_or_else(|| Invalid::new("month", format!("{day} has no midnight")))
        };
        let interval = Interval::new(midnight(first)?, midnight(next)?)?;
        for at in [interval.start(), interval.end() - QUARTER] {
            tariff.require_in_force(at)?;
        }
        let mut seen = BTreeSet::new();
        for event in &events {
            let cleared = &event.cleared;
            let name = format!("events[{}]", cleared.event);
            if cleared.window.date < first || cleared.window.date >= next {
                let problem = format!("{} is not in the month", cleared.window.date);
                return Err(Invalid::new(name, problem));
            }
            if !seen.insert((&cleared.event, &cleared.aggregator)) {
                let problem = format!("is there twice for {}", cleared.aggregator);
                return Err(Invalid::new(name, problem));
            }
        }
        for event in &events {
            event.check_rules(tariff.zone())?;
        }
        for (at, event) in events.iter().enumerate() {
            if let Some(other) = events[..at]
                .iter()
                .find(|other| event.shares_energy_with(other))
            {
                let (event, other) = (&event.cleared, &other.cleared);
                let problem = format!(
                    "is at the same time as {}, and stations of {} take part in both: what they deliver would be paid twice; \
                     name the stations of each event",
                    other.event, event.aggregator
                );
                return Err(Invalid::new(format!("events[{}]", event.event), problem));
            }
        }
        let timetable = Timetable::new(&rules, interval);
        Ok(Month {
            rules,
            events,
            purchases: Vec::new(),
            interval,
            first,
            timetable,
        })
    }

    /// The same with claims for what was bought. They come before those for energy, in the order given.
    ///
    /// # Errors
    /// Claims without subsidies; one that is there twice, or is for energy.
    pub fn with_purchases(mut self, purchases: Vec<Purchase>) -> Result<Month<'a>, Invalid> {
        let mut seen = BTreeSet::new();
        for purchase in &purchases {
            let problem = if self.rules.subsidies.is_none() {
                "there are no subsidies"
            } else if matches!(purchase.claim, Claim::Discharge { .. }) {
                "energy is claimed for by its readings"
            } else if !seen.insert(&purchase.id) {
                "is there twice"
            } else {
                continue;
            };
            let field = format!("claims[{}]", purchase.id);
            return Err(Invalid::new(field, problem));
        }
        self.purchases = purchases;
        Ok(self)
    }

    /// From its first midnight to its last.
    #[must_use]
    pub fn interval(&self) -> Interval {
        self.interval
    }

    /// Whose days they are.
    #[must_use]
    pub fn zone(&self) -> Tz {
        self.rules.tariff.tariff().zone()
    }

    /// Works out all of a station that does not depend on others.
    ///
    /// # Errors
    /// Figures beyond belief.
    pub fn measure(&self, account: Account, readings: &Readings) -> Result<StationMonth, Invalid> {
        let quarters = readings.settle(account.gate, self.interval)?;
        let (energy, registers) = self.timetable.bill(&quarters)?;
        let mine = |event: &MonthEvent<'_>| {
            event.cleared.aggregator == account.aggregator
                && (event.stations.as_ref()).is_none_or(|some| some.contains(&account.station))
        };
        let mut events = Vec::new();
        if self.events.iter().any(mine) {
            let history = readings.net_draws(self.rules.tariff.tariff().zone());
            for (at, event) in self
                .events
                .iter()
                .enumerate()
                .filter(|(_, event)| mine(event))
            {
                events.push((at, event.measure(&account.station, &history)?));
            }
        }
        Ok(StationMonth {
            account,
            registers,
            quarters: quarters.len(),
            readings: readings.fingerprint(self.interval),
            energy,
            events,
        })
    }

    /// Pays the events, and grants subsidies out of what is left of the year's budget: first for what was bought, then for
    /// energy, station by station in the order of their names. Stations may come in any order.
    ///
    /// # Errors
    /// A station that is there twice, figures beyond belief, a budget of another year, a claim for a station that is not
    /// there or not the claimant's. Of the budget nothing is granted then.
    pub fn close(
        &self,
        mut stations: Vec<StationMonth>,
        budget: Option<&mut Budget>,
    ) -> Result<MonthSettlement, Invalid> {
        stations.sort_by(|a, b| a.account.station.cmp(&b.account.station));
        let twice = |pair: &&[StationMonth]| pair[0].account.station == pair[1].account.station;
        if let Some(pair) = stations.windows(2).find(twice) {
            let problem = format!("{} is there twice", pair[0].account.station);
            return Err(Invalid::new("stations", problem));
        }
        let mut lines: Vec<Vec<StationLine>> = self.events.iter().map(|_| Vec::new()).collect();
        for station in &mut stations {
            for (at, line) in station.events.drain(..) {
                lines[at].push(line);
            }
        }
        for (event, lines) in self.events.iter().zip(&lines) {
            event.check(lines)?;
        }
        let events = self.events.iter().zip(lines);
        let events = events
            .map(|(event, lines)| event.cleared.pay(lines, &event.terms))
            .collect::<Result<_, _>>()?;
        let (purchases, grants) = match (self.rules.subsidies, budget) {
            (Some(rules), Some(budget)) => self.grant(rules, budget, &stations)?,
            _ if !self.purchases.is_empty() => {
                return Err(Invalid::new(
                    "claims",
                    "there is no budget to grant them of",
                ));
            }
            _ => (Vec::new(), vec![None; stations.len()]),
        };
        Ok(MonthSettlement {
            first: self.first,
            tariff_pack: self.rules.tariff.id().clone(),
            subsidy_pack: self.rules.subsidies.map(|rules| rules.pack.clone()),
            stations,
            purchases,
            grants,
            events,
        })
    }

    fn grant(
        &self,
        rules: &SubsidyRules,
        budget: &mut Budget,
        stations: &[StationMonth],
    ) -> Result<Grants, Invalid> {
        let mut after = budget.clone();
        let mut purchases = Vec::with_capacity(self.purchases.len());
        for purchase in &self.purchases {
            let about = format!("claims[{}]", purchase.id);
            let known = |station: &StationId| {
                let found = stations.binary_search_by(|one| one.account.station.cmp(station));
                found.is_ok_and(|at| stations[at].account.aggregator == purchase.aggregator)
            };
            if let Some(station) = purchase.station.as_ref().filter(|station| !known(station)) {
                let problem = format!(
                    "{station} is not there, or not operated by {}",
                    purchase.aggregator
                );
                return Err(Invalid::new(about, problem));
            }
            let grant = after.grant(rules, self.first, purchase.claim);
            purchases.push((
                purchase.clone(),
                grant.map_err(|invalid| invalid.within(&about))?,
            ));
        }
        let mut grants = Vec::with_capacity(stations.len());
        for station in stations {
            let wh: i64 = station.registers.reverse_wh.iter().sum();
            let claim = Claim::Discharge {
                wh,
                rate: rules.discharge_rate(),
            };
            let grant = (wh > 0).then(|| after.grant(rules, self.first, claim));
            grants.push(grant.transpose()?);
        }
        *budget = after;
        Ok((purchases, grants))
    }
}

impl MonthEvent<'_> {
    /// That its rules hold, and that each quarter of its window is there once.
    fn check_rules(&self, zone: Tz) -> Result<(), Invalid> {
        let (cleared, field) = (&self.cleared, format!("events[{}]", self.cleared.event));
        let window = &cleared.window;
        (self.terms.require_in_force(window.date)).map_err(|invalid| invalid.within(&field))?;
        let instants: Option<Vec<Timestamp>> = (window.first..window.first + window.slots)
            .map(|slot| instant(zone, window.date, slot))
            .collect();
        let steady = |instants: Vec<Timestamp>| {
            let mut pairs = instants.windows(2);
            pairs.all(|pair| pair[1] - pair[0] == QUARTER)
        };
        if instants.is_some_and(steady) {
            return Ok(());
        }
        Err(Invalid::new(
            field,
            format!("the clock changes on {} meanwhile", window.date),
        ))
    }

    /// Whether a station may take part in both at the same time.
    fn shares_energy_with(&self, other: &MonthEvent<'_>) -> bool {
        let (ours, theirs) = (&self.cleared.window, &other.cleared.window);
        let apart =
            ours.first + ours.slots <= theirs.first || theirs.first + theirs.slots <= ours.first;
        let strangers = match (&self.stations, &other.stations) {
            (Some(ours), Some(theirs)) => ours.is_disjoint(theirs),
            _ => false,
        };
        self.cleared.aggregator == other.cleared.aggregator
            && ours.date == theirs.date
            && !apart
            && !strangers
    }

    /// That those are there who should have taken part: nobody is paid less, or punished, for a name that is mistyped.
    fn check(&self, lines: &[StationLine]) -> Result<(), Invalid> {
        let (event, aggregator) = (&self.cleared.event, &self.cleared.aggregator);
        let field = format!("events[{event}]");
        if lines.is_empty() {
            let problem = format!("no station of {aggregator} took part");
            return Err(Invalid::new(field, problem));
        }
        let measured: BTreeSet<&StationId> = lines.iter().map(|line| &line.station).collect();
        let named = self.stations.iter().flatten();
        match named.clone().find(|station| !measured.contains(station)) {
            Some(station) => {
                let problem = format!("{station} is not there, or not operated by {aggregator}");
                Err(Invalid::new(field, problem))
            }
            None => Ok(()),
        }
    }

    fn measure(&self, station: &StationId, history: &History) -> Result<StationLine, Invalid> {
        let window = &self.cleared.window;
        let past = history.before(window.date, window.first);
        let actual_wh = (window.first..(window.first + window.slots).min(SLOTS))
            .map(|slot| {
                let watts = history.readings(window.date, slot..slot + 1)?;
                Some(watts[0] / 4)
            })
            .collect();
        self.cleared.measure(station, &past, actual_wh, &self.terms)
    }
}

/// When a quarter of an hour of a local day begins; none where the clock shows it twice or not at all.
fn instant(zone: Tz, day: NaiveDate, slot: usize) -> Option<Timestamp> {
    let minutes = TimeDelta::minutes(15 * i64::try_from(slot).ok()?);
    let local = day.and_time(NaiveTime::MIN).checked_add_signed(minutes)?;
    let at = local.and_local_timezone(zone).single();
    at.map(|at| at.to_utc())
}

impl MonthSettlement {
    /// What this settlement is called: `month/2027-07`.
    #[must_use]
    pub fn run(&self) -> String {
        format!("month/{}", self.first.format("%Y-%m"))
    }

    /// What a station's month comes to, fen: energy, subsidies and its shares of events; negative when it pays.
    #[must_use]
    pub fn station_fen(&self) -> BTreeMap<&StationId, i64> {
        let mut fen = BTreeMap::new();
        for (station, grant) in self.stations.iter().zip(&self.grants) {
            let energy: i64 = station.energy.iter().map(|line| line.fen).sum();
            let granted = grant.map_or(0, |grant| grant.granted_fen);
            fen.insert(&station.account.station, energy + granted);
        }
        for (purchase, grant) in &self.purchases {
            if let Some(station) = &purchase.station {
                *fen.entry(station).or_insert(0) += grant.granted_fen;
            }
        }
        for line in self.events.iter().flat_map(|event| &event.stations) {
            *fen.entry(&line.station).or_insert(0) += line.share_fen;
        }
        fen
    }
}

/// The month's calendar for an aggregator: its events' days say nothing of days without.
#[must_use]
pub fn calendar_of<'e>(
    base: &Calendar,
    aggregator: &AggregatorId,
    events: impl IntoIterator<Item = (&'e AggregatorId, NaiveDate)>,
) -> Calendar {
    let mut calendar = base.clone();
    let mine = events.into_iter().filter(|(of, _)| *of == aggregator);
    calendar.events.extend(mine.map(|(_, date)| date));
    calendar
}

#[cfg(test)]
mod tests;
