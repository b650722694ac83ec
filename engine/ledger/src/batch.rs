//! From what was settled to what is posted.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use vpp_market_adapters::PackId;
use vpp_market_adapters::subsidy::{Claim, Grant};
use vpp_settlement::event::{Settlement, StationLine};
use vpp_settlement::month::{MonthSettlement, Purchase, StationMonth};

use crate::{Batch, Entry, LedgerError, Line};

/// Whoever pays for energy and events, and is paid for energy.
const GRID: &str = "grid";
/// Whoever pays subsidies.
pub(crate) const SUBSIDY: &str = "subsidy";

/// How the id of a claim's batch begins.
pub(crate) const CLAIM: &str = "claim/";
/// How the account of a station begins.
const STATION: &str = "station:";

impl Batch {
    /// A settled event, as part of a settlement: what the grid pays the aggregator, what it takes as penalty, and each station's
    /// part.
    #[must_use]
    pub fn of_event(settled: &Settlement, run: &str) -> Batch {
        let (event, payment) = (&settled.event, &settled.payment);
        let subject = format!("event/{event}");
        let mut batch = Batch {
            id: format!("{subject}/{}", settled.aggregator),
            subject,
            aggregator: settled.aggregator.to_string(),
            run: run.to_owned(),
            rules: settled.rules.join(" "),
            fen: payment.net_fen(),
            entries: Vec::new(),
            lines: Vec::new(),
        };
        let [baseline_rule, payment_rule] = &settled.rules;
        let aggregator = format!("aggregator:{}", settled.aggregator);
        let price = settled.price.as_cny_per_kwh().normalize().to_string();
        let detail = json!({
            "cleared_wh": payment.cleared_wh,
            "delivered_wh": payment.delivered_wh,
            "distributed_fen": payment.distributable_fen(),
        });
        for (item, fen) in [
            ("payment", payment.gross_fen),
            ("penalty", -payment.penalty_fen),
        ] {
            batch.lines.push(Line {
                station: String::new(),
                item: item.to_owned(),
                wh: payment.delivered_wh,
                price: price.clone(),
                fen,
                rule: payment_rule.clone(),
                detail: detail.to_string(),
            });
        }
        batch.move_money(
            &aggregator,
            GRID,
            payment.gross_fen,
            format!("{event} delivered"),
        );
        batch.move_money(
            GRID,
            &aggregator,
            payment.penalty_fen,
            format!("{event} not delivered"),
        );
        for line in &settled.stations {
            let station = format!("{STATION}{}", line.station);
            batch.move_money(
                &station,
                &aggregator,
                line.share_fen,
                format!("{event} share"),
            );
            batch.lines.push(Line {
                station: line.station.to_string(),
                item: "response".into(),
                wh: line.delivered_wh,
                price: String::new(),
                fen: line.share_fen,
                rule: baseline_rule.clone(),
                detail: traced(settled, line).to_string(),
            });
        }
        batch
    }

    /// A settled month, one batch for each aggregator: the energy that its stations drew and fed in, and their subsidies. Its
    /// events, and what was granted for purchases, follow, batches of their own. All are of the settlement [`MonthSettlement::run`].
    #[must_use]
    pub fn of_month(settled: &MonthSettlement) -> Vec<Batch> {
        let mut batches: BTreeMap<_, Batch> = BTreeMap::new();
        let month = settled.first.format("%Y-%m").to_string();
        let subject = settled.run();
        let rules = match &settled.subsidy_pack {
            Some(pack) => format!("{} {pack}", settled.tariff_pack),
            None => settled.tariff_pack.to_string(),
        };
        for (station, grant) in settled.stations.iter().zip(&settled.grants) {
            let aggregator = &station.account.aggregator;
            let batch = batches.entry(aggregator).or_insert_with(|| Batch {
                id: format!("{subject}/{aggregator}"),
                subject: subject.clone(),
                aggregator: aggregator.to_string(),
                run: subject.clone(),
                rules: rules.clone(),
                fen: 0,
                entries: Vec::new(),
                lines: Vec::new(),
            });
            let detail = json!({
                "month": month,
                "readings": station.readings,
                "quarters": station.quarters,
                "estimated": station.registers.estimated,
                "unmetered": station.registers.unmetered,
            });
            batch.bill(&settled.tariff_pack, station, &month, &detail);
            if let (Some(grant), Some(pack)) = (grant, &settled.subsidy_pack) {
                let account = format!("{STATION}{}", station.account.station);
                let memo = format!("{month} subsidy");
                batch.move_money(&account, SUBSIDY, grant.granted_fen, memo);
                batch.fen += grant.granted_fen;
                let mut detail = detail.clone();
                detail["asked_fen"] = json!(grant.asked_fen);
                detail["cut"] = json!(grant.cut.map(|cut| format!("{cut:?}")));
                batch.lines.push(Line {
                    station: station.account.station.to_string(),
                    item: "subsidy/discharge".into(),
                    wh: station.registers.reverse_wh.iter().sum(),
                    price: String::new(),
                    fen: grant.granted_fen,
                    rule: format!("{pack}/discharge_rate"),
                    detail: detail.to_string(),
                });
            }
        }
        let claims = (settled.purchases.iter()).filter_map(|(purchase, grant)| {
            Some(Batch::of_purchase(
                purchase,
                *grant,
                settled.subsidy_pack.as_ref()?,
                &subject,
            ))
        });
        let events = settled.events.iter();
        let events = events.map(|event| Batch::of_event(event, &subject));
        batches.into_values().chain(claims).chain(events).collect()
    }

    /// A subsidy for what was bought. It is called by the claim alone: of another
    /// month it is known again, and not paid twice.
    fn of_purchase(purchase: &Purchase, grant: Grant, pack: &PackId, run: &str) -> Batch {
        let (item, rule, cost_fen) = match purchase.claim {
            Claim::Equipment { cost_fen, .. } => ("subsidy/equipment", "equipment_share", cost_fen),
            Claim::Platform { cost_fen, .. } => ("subsidy/platform", "platform_share", cost_fen),
            Claim::Discharge { .. } => ("subsidy/discharge", "discharge_rate", 0),
        };
        let mut batch = Batch {
            id: format!("{CLAIM}{}", purchase.id),
            subject: run.to_owned(),
            aggregator: purchase.aggregator.to_string(),
            run: run.to_owned(),
            rules: pack.to_string(),
            fen: grant.granted_fen,
            entries: Vec::new(),
            lines: Vec::new(),
        };
        let account = match &purchase.station {
            Some(station) => format!("{STATION}{station}"),
            None => format!("aggregator:{}", purchase.aggregator),
        };
        let memo = format!("{} {item}", purchase.id);
        batch.move_money(&account, SUBSIDY, grant.granted_fen, memo);
        let detail = json!({
            "cost_fen": cost_fen,
            "asked_fen": grant.asked_fen,
            "cut": grant.cut.map(|cut| format!("{cut:?}")),
        });
        batch.lines.push(Line {
            station: purchase
                .station
                .as_ref()
                .map_or(String::new(), ToString::to_string),
            item: item.to_owned(),
            wh: 0,
            price: String::new(),
            fen: grant.granted_fen,
            rule: format!("{pack}/{rule}"),
            detail: detail.to_string(),
        });
        batch
    }

    fn bill(&mut self, pack: &PackId, station: &StationMonth, month: &str, detail: &Value) {
        let account = format!("{STATION}{}", station.account.station);
        for line in &station.energy {
            let period = line.period.name();
            let (item, memo) = if line.fed_in {
                ("feed-in", "fed in")
            } else {
                ("energy", "drawn")
            };
            let memo = format!("{month} {memo} {period}");
            if line.fed_in {
                self.move_money(&account, GRID, line.fen, memo);
            } else {
                self.move_money(GRID, &account, -line.fen, memo);
            }
            self.fen += line.fen;
            self.lines.push(Line {
                station: station.account.station.to_string(),
                item: format!("{item}/{period}"),
                wh: line.wh,
                price: line.price.as_cny_per_kwh().normalize().to_string(),
                fen: line.fen,
                rule: format!("{pack}/{period}"),
                detail: detail.to_string(),
            });
        }
    }

    fn move_money(&mut self, debit: &str, credit: &str, fen: i64, memo: String) {
        if fen > 0 {
            self.entries.push(Entry {
                debit: debit.to_owned(),
                credit: credit.to_owned(),
                fen,
                memo,
            });
        }
    }

    pub(crate) fn check(&self) -> Result<(), LedgerError> {
        let problem = |problem| {
            let batch = self.id.clone();
            Err(LedgerError::Batch { batch, problem })
        };
        if self.id.is_empty() {
            return problem("it has no name");
        }
        for entry in &self.entries {
            if entry.fen <= 0 {
                return problem("an entry moves nothing or less");
            }
            if entry.debit == entry.credit || entry.debit.is_empty() || entry.credit.is_empty() {
                return problem("an entry needs two accounts");
            }
            if entry.memo.starts_with("back: ") {
                return problem("a memo begins as those that take entries back");
            }
        }
        // Lines and entries must say the same, or a statement could show what was never posted.
        let mut received: BTreeMap<&str, i128> = BTreeMap::new();
        for entry in &self.entries {
            *received.entry(&entry.debit).or_default() += i128::from(entry.fen);
            *received.entry(&entry.credit).or_default() -= i128::from(entry.fen);
        }
        let of = |account: &str| received.get(account).copied().unwrap_or_default();
        if -(of(GRID) + of(SUBSIDY)) != i128::from(self.fen) {
            return problem("what its entries bring from outside is not what it says");
        }
        let mut stations: BTreeMap<&str, i128> = (received.iter())
            .filter_map(|(account, fen)| Some((account.strip_prefix(STATION)?, *fen)))
            .collect();
        for line in self.lines.iter().filter(|line| !line.station.is_empty()) {
            *stations.entry(&line.station).or_default() -= i128::from(line.fen);
        }
        if stations.values().any(|rest| *rest != 0) {
            return problem("a station's lines are not what its entries say");
        }
        Ok(())
    }

    /// What tells this version from another: SHA-256 of all of it.
    pub(crate) fn digest(&self) -> String {
        use std::fmt::Write as _;
        let Batch {
            id: _,
            subject,
            aggregator,
            run,
            rules,
            fen,
            entries,
            lines,
        } = self;
        let mut hash = Sha256::new();
        hash.update(format!(
            "{subject:?} {aggregator:?} {run:?} {rules:?} {fen}"
        ));
        for entry in entries {
            hash.update(format!("\n{entry:?}"));
        }
        for line in lines {
            hash.update(format!("\n{line:?}"));
        }
        hash.finalize()
            .iter()
            .fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
    }
}

/// What a station's part of an event was worked out of: readings, baseline, and the days of that.
fn traced(settled: &Settlement, line: &StationLine) -> Value {
    let window = &settled.window;
    let mut detail = json!({
        "date": window.date.to_string(),
        "first_quarter": window.first,
        "actual_wh": line.actual_wh,
    });
    match &line.baseline {
        Ok(curve) => {
            let days: Vec<String> = curve.days.iter().map(ToString::to_string).collect();
            detail["baseline_w"] = json!(curve.watts);
            detail["baseline_days"] = json!(days);
            detail["baseline_factor"] = json!(curve.factor);
        }
        Err(error) => detail["no_baseline"] = json!(error.to_string()),
    }
    detail
}
