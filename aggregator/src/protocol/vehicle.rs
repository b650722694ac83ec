//! The parameters of `NotifyEVChargingNeeds`, and what each says of a vehicle. Where a method gives nothing, they do not speak
//! of it.

use serde::Deserialize;
use vpp_core::{Energy, Invalid, Power, Timestamp};

use super::figure::Figure;
use super::wire::{energy, energy_magnitude, magnitude, power_ceiling, power_floor};
use super::wiring::{Phases, Supply, Wiring};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message {
    pub(super) evse_id: u32,
    pub(super) charging_needs: ChargingNeeds,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChargingNeeds {
    pub(super) requested_energy_transfer: String,
    pub(super) departure_time: Option<Timestamp>,
    pub(super) ac_charging_parameters: Option<Ac>,
    pub(super) dc_charging_parameters: Option<Dc>,
    pub(super) v2x_charging_parameters: Option<V2x>,
}

/// `requestedEnergyTransfer`.
#[derive(Clone, Copy)]
pub(super) struct Transfer {
    /// How many phases, where the name says so.
    phases: Option<Phases>,
    /// Whether energy goes in both directions.
    pub(super) both_ways: bool,
}

impl Transfer {
    pub(super) fn named(name: &str) -> Result<Transfer, Invalid> {
        let (phases, both_ways) = match name {
            "AC_single_phase" => (Some(Phases::One), false),
            "AC_two_phase" => (Some(Phases::Two), false),
            "AC_three_phase" => (Some(Phases::Three), false),
            "DC" | "DC_ACDP" | "WPT" | "AC_DER" => (None, false),
            "AC_BPT" | "AC_BPT_DER" | "DC_BPT" | "DC_ACDP_BPT" => (None, true),
            other => {
                let field = "chargingNeeds.requestedEnergyTransfer";
                return Err(Invalid::unknown(field, other));
            }
        };
        Ok(Transfer { phases, both_ways })
    }

    /// Watts of a current per phase at a pile; nothing at one with direct current.
    fn watts(self, wiring: Wiring, amperes: f64) -> Option<f64> {
        let Supply::Ac(ac) = wiring.supply() else {
            return None;
        };
        let phases = self
            .phases
            .filter(|phases| phases.count() < ac.phases().count());
        Some(ac.nominal_watts(amperes, phases.unwrap_or(ac.phases())))
    }
}

/// `acChargingParameters`: Wh, and A per phase. Its voltage is left aside: phase to phase or to neutral, it does not say.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ac {
    energy_amount: f64,
    ev_min_current: f64,
    ev_max_current: f64,
}

impl Ac {
    pub(super) fn energy_needed(&self) -> Figure<Energy> {
        let field = "chargingNeeds.acChargingParameters.energyAmount";
        energy_magnitude(field, self.energy_amount)
    }

    pub(super) fn min_charge(&self, wiring: Wiring, transfer: Transfer) -> Option<Figure<Power>> {
        let watts = transfer.watts(wiring, self.ev_min_current)?;
        let field = "chargingNeeds.acChargingParameters.evMinCurrent";
        Some(power_ceiling(field, watts))
    }

    pub(super) fn max_charge(&self, wiring: Wiring, transfer: Transfer) -> Option<Figure<Power>> {
        let watts = transfer.watts(wiring, self.ev_max_current)?;
        let field = "chargingNeeds.acChargingParameters.evMaxCurrent";
        Some(power_floor(field, watts))
    }
}

/// `dcChargingParameters`: Wh, W, A, V, percent.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dc {
    energy_amount: Option<f64>,
    ev_max_current: f64,
    ev_max_voltage: f64,
    ev_max_power: Option<f64>,
    ev_energy_capacity: Option<f64>,
    state_of_charge: Option<f64>,
    #[serde(rename = "fullSoC")]
    full_soc: Option<f64>,
}

impl Dc {
    pub(super) fn energy_needed(&self) -> Option<Figure<Energy>> {
        let field = "chargingNeeds.dcChargingParameters.energyAmount";
        Some(energy_magnitude(field, self.energy_amount?))
    }

    /// Up to what the vehicle calls full, where it says how large its battery is and how full.
    pub(super) fn energy_room(&self) -> Option<Figure<Energy>> {
        let (capacity, state) = (self.ev_energy_capacity?, self.state_of_charge?);
        let share = (self.full_soc.unwrap_or(100.0) - state).max(0.0) / 100.0;
        let field = "chargingNeeds.dcChargingParameters.evEnergyCapacity";
        Some(energy_magnitude(field, capacity * share))
    }

    /// The power that it says, or else the product of the most volts and the most amperes.
    pub(super) fn max_charge(&self) -> Figure<Power> {
        if let Some(watts) = self.ev_max_power {
            return power_floor("chargingNeeds.dcChargingParameters.evMaxPower", watts);
        }
        let field = "chargingNeeds.dcChargingParameters.evMaxCurrent";
        let volts = magnitude(
            "chargingNeeds.dcChargingParameters.evMaxVoltage",
            self.ev_max_voltage,
        )?;
        power_floor(field, self.ev_max_current * volts)
    }
}

/// `v2xChargingParameters`: W of all phases, or of L1 where there are some of L2 and L3; Wh.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct V2x {
    min_charge_power: Option<f64>,
    #[serde(rename = "minChargePower_L2")]
    min_charge_power_l2: Option<f64>,
    #[serde(rename = "minChargePower_L3")]
    min_charge_power_l3: Option<f64>,
    max_charge_power: Option<f64>,
    #[serde(rename = "maxChargePower_L2")]
    max_charge_power_l2: Option<f64>,
    #[serde(rename = "maxChargePower_L3")]
    max_charge_power_l3: Option<f64>,
    max_discharge_power: Option<f64>,
    #[serde(rename = "maxDischargePower_L2")]
    max_discharge_power_l2: Option<f64>,
    #[serde(rename = "maxDischargePower_L3")]
    max_discharge_power_l3: Option<f64>,
    ev_target_energy_request: Option<f64>,
    ev_max_energy_request: Option<f64>,
    #[serde(rename = "evMinV2XEnergyRequest")]
    ev_min_v2x_energy_request: Option<f64>,
}

impl V2x {
    /// Nothing where the target is reached.
    pub(super) fn energy_needed(&self) -> Option<Figure<Energy>> {
        let request = self.ev_target_energy_request?;
        Some(above_zero(energy(
            "chargingNeeds.v2xChargingParameters.evTargetEnergyRequest",
            request,
        )))
    }

    /// Nothing where it is full.
    pub(super) fn energy_room(&self) -> Option<Figure<Energy>> {
        let request = self.ev_max_energy_request?;
        Some(above_zero(energy(
            "chargingNeeds.v2xChargingParameters.evMaxEnergyRequest",
            request,
        )))
    }

    /// What the request for the least is below zero; nothing where the least is not reached.
    pub(super) fn energy_available(&self) -> Option<Figure<Energy>> {
        let request = self.ev_min_v2x_energy_request?;
        Some(above_zero(energy(
            "chargingNeeds.v2xChargingParameters.evMinV2XEnergyRequest",
            -request,
        )))
    }

    pub(super) fn min_charge(&self) -> Option<Figure<Power>> {
        let others = [self.min_charge_power_l2, self.min_charge_power_l3];
        let field = "chargingNeeds.v2xChargingParameters.minChargePower";
        Some(all_phases(
            field,
            self.min_charge_power?,
            others,
            power_ceiling,
        ))
    }

    pub(super) fn max_charge(&self) -> Option<Figure<Power>> {
        let others = [self.max_charge_power_l2, self.max_charge_power_l3];
        let field = "chargingNeeds.v2xChargingParameters.maxChargePower";
        Some(all_phases(
            field,
            self.max_charge_power?,
            others,
            power_floor,
        ))
    }

    pub(super) fn max_discharge(&self) -> Option<Figure<Power>> {
        let others = [self.max_discharge_power_l2, self.max_discharge_power_l3];
        let field = "chargingNeeds.v2xChargingParameters.maxDischargePower";
        Some(all_phases(
            field,
            self.max_discharge_power?,
            others,
            power_floor,
        ))
    }
}

fn above_zero(energy: Figure<Energy>) -> Figure<Energy> {
    energy.map(|energy| energy.max(Energy::ZERO))
}

/// The sum of what is given of three phases, each a magnitude.
fn all_phases(
    field: &str,
    first: f64,
    others: [Option<f64>; 2],
    rounded: fn(&str, f64) -> Figure<Power>,
) -> Figure<Power> {
    let mut watts = magnitude(field, first)?;
    for (phase, other) in ["_L2", "_L3"].into_iter().zip(others) {
        watts += magnitude(&format!("{field}{phase}"), other.unwrap_or(0.0))?;
    }
    rounded(field, watts)
}
