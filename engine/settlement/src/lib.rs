//! From meter readings to money. Pure: it knows no clock, network or disk. Rules come from `vpp-market-adapters`, as data
//! with their sources; what is done with them is here. Energies are whole watt-hours.

pub mod event;
pub mod metering;
pub mod month;
