//! The stations of a scenario, on a virtual clock.

use anyhow::Context as _;
use chrono::TimeDelta;
use vpp_core::{Power, RegulationAward, Scope};
use vpp_dispatch::{Answer, Config, Request};
use vpp_replay::Plant;
use vpp_scenarios::Scenario;
use vpp_scenarios::world::World;

use super::{Promised, Tested};
use crate::plant;

/// How long the plant lives before the test, s: every station has reported and has a baseline.
const SETTLE_S: u32 = 60;

pub(super) struct Simulated {
    plant: Plant<World>,
    sustain: TimeDelta,
    sequence: u64,
}

impl Simulated {
    pub(super) fn new(scenario: &Scenario, sustain_s: u32) -> anyhow::Result<Simulated> {
        let operators = scenario
            .aggregators
            .iter()
            .map(|row| Ok(World::operated(scenario, &row.id)?));
        let operators = operators.collect::<anyhow::Result<Vec<_>>>()?;
        let config = Config {
            // The meters are read once a second.
            telemetry_period: TimeDelta::seconds(1),
            ..Config::default()
        };
        let prices = plant::prices(scenario)?;
        let plant = Plant::new(
            config,
            &scenario.fleet()?,
            operators,
            prices,
            scenario.start(),
        )?;
        Ok(Simulated {
            plant,
            sustain: TimeDelta::seconds(i64::from(sustain_s)),
            sequence: 0,
        })
    }
}

impl Tested for Simulated {
    fn start(&mut self, up_kw: f64, down_kw: f64) -> anyhow::Result<Promised> {
        for _ in 0..SETTLE_S {
            self.plant.advance();
        }
        let now = self.plant.now();
        let all = self
            .plant
            .engine()
            .capability(now, &Scope::All, self.sustain)?;
        let answer = self.plant.request(Request::StartRegulation {
            award: RegulationAward {
                up: Power::round_kilowatts(up_kw),
                down: Power::round_kilowatts(down_kw),
            },
            sustain: self.sustain,
        })?;
        let Answer::Regulation {
            award,
            station_count,
        } = answer
        else {
            anyhow::bail!("the engine answered with something else");
        };
        Ok(Promised {
            up_kw: award.up.as_kilowatts(),
            down_kw: award.down.as_kilowatts(),
            stations: station_count,
            connected_kw: all.up.connected.as_kilowatts(),
        })
    }

    fn ask(&mut self, share: f64) -> anyhow::Result<f64> {
        self.sequence += 1;
        let achieved = self.plant.signal(self.sequence, share);
        self.plant.advance();
        let achieved = achieved.context("the signal")?;
        Ok(achieved.achieved.as_kilowatts())
    }

    fn set_tested_share(&mut self, _: Option<f64>) -> anyhow::Result<()> {
        anyhow::bail!("--apply needs --engine: a simulated plant is gone after its test")
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        self.plant.stop_regulation();
        Ok(())
    }
}
