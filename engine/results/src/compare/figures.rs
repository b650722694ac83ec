//! The figures that runs are compared by: where they stand in the summary, and which way is better.

use serde::Serialize;

use crate::Summary;

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Less is.
    Less,
    /// More is.
    More,
    /// Neither, or it depends on what is wanted.
    Unknown,
}

/// What a run's figure says beside that of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is better.
    Better,
    /// It is worse.
    Worse,
    /// It is the same.
    Same,
    /// It is other, or one of the two is not there.
    Other,
}

/// A figure of a summary.
pub struct Figure {
    /// Its name for programs.
    pub key: &'static str,
    /// Its name for people, in English.
    pub english: &'static str,
    /// The same in Chinese.
    pub chinese: &'static str,
    /// `kWh`, `kW`, `CNY`, `share` (0 to 1), or empty for a count.
    pub unit: &'static str,
    /// Which way is better.
    pub better: Better,
    value: fn(&Summary) -> Option<f64>,
}

impl Figure {
    /// Its value in a summary; `None` where that has none.
    #[must_use]
    pub fn value(&self, summary: &Summary) -> Option<f64> {
        (self.value)(summary)
    }

    /// What `value` says beside `first`.
    #[must_use]
    pub fn verdict(&self, first: Option<f64>, value: Option<f64>) -> Verdict {
        let (Some(first), Some(value)) = (first, value) else {
            return Verdict::Other;
        };
        // Sums of the same numbers in another order are the same.
        if (value - first).abs() <= 1e-9 * first.abs().max(value.abs()) {
            return Verdict::Same;
        }
        match self.better {
            Better::Unknown => Verdict::Other,
            Better::Less if value < first => Verdict::Better,
            Better::More if value > first => Verdict::Better,
            Better::Less | Better::More => Verdict::Worse,
        }
    }
}

macro_rules! figures {
    ($( $key:literal $english:literal $chinese:literal $unit:literal $better:ident $value:expr; )+) => {
        /// All of them, in the order in which people read them.
        pub const FIGURES: &[Figure] = &[$( Figure {
            key: $key, english: $english, chinese: $chinese, unit: $unit, better: Better::$better, value: $value,
        } ),+];
    };
}

figures! {
    "import" "energy drawn" "用电量" "kWh" Unknown |s| Some(s.energy.import_kwh);
    "import_sharp" "  in sharp hours" "  尖峰时段" "kWh" Less |s| Some(s.energy.import_by_period_kwh.sharp);
    "import_peak" "  in peak hours" "  高峰时段" "kWh" Less |s| Some(s.energy.import_by_period_kwh.peak);
    "import_flat" "  in flat hours" "  平段" "kWh" Unknown |s| Some(s.energy.import_by_period_kwh.flat);
    "import_valley" "  in valley hours" "  低谷时段" "kWh" Unknown |s| Some(s.energy.import_by_period_kwh.valley);
    "export" "energy fed back" "反送电量" "kWh" Unknown |s| Some(s.energy.export_kwh);
    "peak" "strongest draw" "最大负荷" "kW" Less |s| Some(s.energy.peak_kw);
    "energy_cost" "cost of energy drawn" "用电费用" "CNY" Less |s| Some(s.money.energy_cost_cny);
    "feed_in" "earned by feeding back" "反送电收益" "CNY" More |s| Some(s.money.feed_in_cny);
    "subsidy" "subsidies" "补贴" "CNY" Unknown |s| Some(s.money.subsidy_cny);
    "net_cost" "net cost" "净电费" "CNY" Less |s| Some(s.money.net_cost_cny);
    "kwh_cost" "net cost of a kWh drawn" "每用一度净费用" "CNY/kWh" Less |s| share(s.money.net_cost_cny, s.energy.import_kwh);
    "promised" "promised to events" "事件承诺量" "kWh" Unknown |s| Some(s.events.promised_kwh);
    "delivered" "delivered to events" "事件兑现量" "kWh" More |s| Some(s.events.delivered_kwh);
    "shortfall" "short of promises" "缺额" "kWh" Less |s| Some(s.events.shortfall_kwh);
    "regulation_error" "regulation: mean error" "调频平均误差" "kW" Less |s| s.regulation.map(|r| r.mean_achieved_error_kw);
    "regulation_share" "  of the mean request" "  相对平均指令" "share" Less
        |s| s.regulation.and_then(|r| share(r.mean_achieved_error_kw, r.mean_requested_kw));
    "kept" "promises kept" "承诺兑现比例" "share" More |s| s.reliability.map(|r| r.kept_share);
    "violations" "limits broken" "越限次数" "" Less |s| Some(count(s.limits.violations));
    "loading" "tightest limit used" "最紧限额利用率" "share" Less |s| Some(s.limits.worst_loading);
    "arrivals" "vehicles served" "服务车辆" "" More |s| Some(count(s.vehicles.arrivals));
    "short" "vehicles that left short" "未充足离开车辆" "" Less |s| Some(count(s.vehicles.short_departures));
    "energy_short" "energy that they lacked" "缺少电量" "kWh" Less |s| Some(s.vehicles.energy_short_kwh);
    "turned_away" "vehicles turned away" "无桩离开车辆" "" Less |s| Some(count(s.vehicles.turned_away));
    "v2g_vehicles" "vehicles that fed back" "反送电车辆" "" Unknown |s| Some(count(s.vehicles.v2g_vehicles));
    "commands" "commands" "下发指令" "" Unknown |s| Some(count(s.messages.commands));
    "refusals" "commands refused" "被拒指令" "" Less |s| Some(count(s.messages.refusals));
    "errors" "alarms: errors" "错误告警" "" Less |s| Some(count(s.messages.errors));
}

#[allow(clippy::cast_precision_loss)] // exact below 2^53
fn count(number: u64) -> f64 {
    number as f64
}

fn share(part: f64, all: f64) -> Option<f64> {
    (all > 0.0).then(|| part / all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_knows_which_way_is_better() {
        let figure = |key| {
            FIGURES
                .iter()
                .find(|figure| figure.key == key)
                .expect("a figure")
        };
        let says = |key, value| figure(key).verdict(Some(10.0), value);
        assert_eq!(says("net_cost", Some(9.0)), Verdict::Better);
        assert_eq!(says("net_cost", Some(11.0)), Verdict::Worse);
        assert_eq!(says("delivered", Some(11.0)), Verdict::Better);
        assert_eq!(says("delivered", Some(10.0 + 1e-12)), Verdict::Same);
        assert_eq!(says("import", Some(9.0)), Verdict::Other);
        assert_eq!(says("kept", None), Verdict::Other);
    }
}
