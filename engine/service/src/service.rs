//! The live engine as a whole: started, running, stopped.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{broadcast, oneshot};
use vpp_core::Invalid;
use vpp_dispatch::{Engine, Input, PricePoint, Subsidy};
use vpp_ledger::{Ledger, LedgerError};
use vpp_market_adapters::subsidy::{Budget, SubsidyRules};

use crate::clock::Clock;
use crate::config::ServiceConfig;
use crate::grpc;
use crate::journal::{Journal, JournalError};
use crate::kafka::ingest::Ingest;
use crate::kafka::produce::Producer;
use crate::kafka::topics::Topics;
use crate::pool;
use crate::recorder::Recorder;
use crate::seldom::Seldom;
use crate::sequencer::{Feeds, Handle, Message, Sequencer};
use crate::solver::{Solver, into_channel};
use crate::statistics::Statistics;
use crate::watchdog::{Heartbeat, Watchdog};

/// So many messages may wait for the sequencer; beyond that callers are told that it is busy.
const WAITING: usize = 4_096;
/// A listener that lags behind by so many messages loses the oldest.
const FEED: usize = 1_024;

/// Why the engine could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The configuration cannot be.
    #[error("configuration: {0}")]
    Config(#[from] Invalid),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The broker cannot be reached or refused.
    #[error("broker {bootstrap}: {reason}; is it running and reachable?")]
    Broker {
        /// Where.
        bootstrap: String,
        /// What it said.
        reason: String,
    },
    /// What is configured is no ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The gRPC address cannot be bound, or a thread not started.
    #[error("{0}")]
    Io(String),
}

/// The live engine. Dropping it stops it without waiting; [`Service::stop`] waits.
pub struct Service {
    address: SocketAddr,
    statistics: Arc<Statistics>,
    messages: mpsc::SyncSender<Message>,
    shutdown: Option<oneshot::Sender<()>>,
    server: Option<tokio::task::JoinHandle<()>>,
    ingest: Option<Ingest>,
    sequencer: Option<JoinHandle<()>>,
    watchdog: Option<Watchdog>,
    producer: Producer,
}

impl Service {
    /// Starts the engine: recovers from the journal, makes topics, reads the broker, serves gRPC.
    ///
    /// # Errors
    /// When any of that cannot be; nothing is left running.
    pub async fn start(
        config: ServiceConfig,
        prices: Vec<PricePoint>,
        clock: Clock,
    ) -> Result<Service, ServiceError> {
        config.check()?;
        let (mut engine, journal) = recover(&config, prices, &clock)?;
        let ledger = open_ledger(&config).await?;
        if config.subsidies {
            let subsidy = subsidy(ledger.as_ref(), &clock).await;
            engine.step(clock.now(), Input::Subsidy(subsidy));
        }
        let broker = |reason: String| ServiceError::Broker {
            bootstrap: config.kafka.bootstrap.clone(),
            reason,
        };
        let topics = Arc::new(Topics::new(&config.kafka));
        topics.ensure_shared().await.map_err(broker)?;
        for aggregator in engine.fleet().aggregators() {
            topics
                .ensure_commands(&aggregator.id)
                .await
                .map_err(broker)?;
        }
        let listener = TcpListener::bind(config.grpc_address)
            .await
            .map_err(|e| ServiceError::Io(format!("gRPC address {}: {e}", config.grpc_address)))?;
        let address = listener
            .local_addr()
            .map_err(|e| ServiceError::Io(e.to_string()))?;

        let statistics = Arc::new(Statistics::default());
        let (messages, receiver) = mpsc::sync_channel(WAITING);
        let deadline = engine.config().deadline.to_std().unwrap_or_default();
        let producer = Producer::new(&config.kafka, deadline, Arc::clone(&statistics))
            .map_err(|e| broker(e.to_string()))?;
        let feeds = Feeds {
            events: broadcast::channel(FEED).0,
            cycles: broadcast::channel(FEED).0,
        };
        let solver = Solver::start(
            config.dispatch.solver.into(),
            Arc::clone(&statistics),
            into_channel(messages.clone()),
        )
        .map_err(|e| ServiceError::Io(e.to_string()))?;
        let recorder = Recorder::start(journal, feeds.events.clone(), Arc::clone(&statistics))
            .map_err(|e| ServiceError::Io(e.to_string()))?;
        let heartbeat = Heartbeat::new();
        // A loop that has not turned for a whole cycle has missed one.
        let limit = engine
            .config()
            .cycle
            .to_std()
            .unwrap_or(Duration::from_secs(4));
        let (watchdog, turns) = Watchdog::start(heartbeat.clone(), limit, Arc::clone(&statistics))
            .map_err(|e| ServiceError::Io(e.to_string()))?;
        let sequencer = Sequencer {
            last: clock.now(),
            outputs: Vec::new(),
            unfollowed: Seldom::default(),
            cycle_began: std::time::Instant::now(),
            ingest_time: std::time::Duration::ZERO,
            engine,
            clock: clock.clone(),
            recorder,
            heartbeat,
            producer: producer.clone(),
            solver,
            feeds: feeds.clone(),
            statistics: Arc::clone(&statistics),
        };
        let pool =
            pool::own("vpp-sequencer", 0, || {}).map_err(|e| ServiceError::Io(e.to_string()))?;
        let thread = std::thread::Builder::new()
            .name("vpp-sequencer".into())
            .spawn(move || pool.install(move || sequencer.run(&receiver)))
            .map_err(|e| ServiceError::Io(e.to_string()))?;
        let ingest = Ingest::start(
            &config.kafka,
            messages.clone(),
            producer.clone(),
            clock,
            Arc::clone(&statistics),
        )
        .map_err(|e| broker(e.to_string()))?;
        let (shutdown, stopped) = oneshot::channel();
        let handle = Handle {
            messages: messages.clone(),
            feeds,
        };
        let watched = grpc::Watched {
            statistics: Arc::clone(&statistics),
            turns,
        };
        let server = tokio::spawn(grpc::serve(
            listener, handle, topics, ledger, watched, stopped,
        ));
        tracing::info!(%address, broker = config.kafka.bootstrap, "the dispatch engine is up");
        Ok(Service {
            address,
            statistics,
            messages,
            shutdown: Some(shutdown),
            server: Some(server),
            ingest: Some(ingest),
            sequencer: Some(thread),
            watchdog: Some(watchdog),
            producer,
        })
    }

    /// Where gRPC listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it counts.
    #[must_use]
    pub fn statistics(&self) -> &Arc<Statistics> {
        &self.statistics
    }

    /// Stops: no new calls, what was read is committed, what was sent is delivered.
    pub async fn stop(mut self) {
        if let Some(shutdown) = self.shutdown.take() {
            let _ = shutdown.send(());
        }
        if let Some(server) = self.server.take() {
            // Streams that clients keep open do not hold up the end.
            let _ = tokio::time::timeout(Duration::from_secs(2), server).await;
        }
        let ingest = self.ingest.take();
        let messages = self.messages.clone();
        let sequencer = self.sequencer.take();
        let watchdog = self.watchdog.take();
        let producer = self.producer.clone();
        let ended = tokio::task::spawn_blocking(move || {
            drop(watchdog);
            drop(ingest);
            let _ = messages.send(Message::Stop);
            if let Some(sequencer) = sequencer {
                let _ = sequencer.join();
            }
            if let Err(error) = producer.flush(Duration::from_secs(5)) {
                tracing::warn!(%error, "not everything was delivered before the end");
            }
        });
        let _ = ended.await;
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.messages.try_send(Message::Stop);
    }
}

fn recover(
    config: &ServiceConfig,
    prices: Vec<PricePoint>,
    clock: &Clock,
) -> Result<(Engine, Option<Journal>), ServiceError> {
    let now = clock.now();
    // Sequence numbers must grow over restarts, also when no journal remembers the last epoch.
    let started = u64::try_from(chrono::Utc::now().timestamp_millis()).unwrap_or(1);
    let Some(folder) = &config.data_dir else {
        tracing::warn!("no data_dir: events and registrations do not survive a restart");
        let mut engine = Engine::new(config.dispatch.to_config()?, started)?;
        engine.step(now, Input::Prices(prices));
        return Ok((engine, None));
    };
    let (mut journal, recovered) = Journal::open(folder)?;
    if recovered.torn > 0 {
        tracing::warn!(
            bytes = recovered.torn,
            "a torn record was cut off the end of the journal"
        );
    }
    let epoch = started.max(recovered.epoch + 1);
    let mut engine = Engine::new(config.dispatch.to_config()?, epoch)?;
    engine.step(now, Input::Prices(prices));
    let count = recovered.facts.len();
    for fact in recovered.facts {
        engine.step(now, Input::Restored(fact));
    }
    journal.begin(epoch)?;
    tracing::info!(epoch, facts = count, "recovered from the journal");
    Ok((engine, Some(journal)))
}

/// The ledger is for reading statements: where it cannot be reached, dispatch goes on without.
async fn open_ledger(config: &ServiceConfig) -> Result<Option<Ledger>, ServiceError> {
    let Some(url) = config.ledger_url() else {
        return Ok(None);
    };
    match Ledger::open(&url).await {
        Ok(ledger) => Ok(Some(ledger)),
        Err(error @ LedgerError::Url(_)) => Err(error.into()),
        Err(error) => {
            tracing::error!(%error, "the ledger cannot be opened: statements cannot be read");
            Ok(None)
        }
    }
}

/// Guangzhou's subsidy with what is left of this year's budget by the ledger; none where no rule holds or the ledger does not
/// answer.
async fn subsidy(ledger: Option<&Ledger>, clock: &Clock) -> Option<Subsidy> {
    let rules = SubsidyRules::guangzhou();
    let (year, until) = rules.year_of(clock.now());
    let budget = Budget::of(rules, year);
    let granted = match ledger {
        Some(ledger) => ledger.subsidies_of(year, None).await,
        None => Ok(0),
    };
    let (budget, granted) = match (budget, granted) {
        (Ok(budget), Ok(granted)) => (budget, granted),
        (Err(invalid), _) => {
            tracing::warn!(%invalid, "plans count on no subsidy");
            return None;
        }
        (_, Err(error)) => {
            tracing::error!(%error, "plans count on no subsidy: the ledger does not say what is left");
            return None;
        }
    };
    #[allow(clippy::cast_precision_loss)] // a city's budget
    let left_cny = (budget.left_fen() - granted).max(0) as f64 / 100.0;
    tracing::info!(year, left_cny, "plans count on the subsidy for V2G energy");
    Some(Subsidy {
        price: rules.discharge_rate(),
        left_cny,
        until,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::health_client::HealthClient;

    use super::*;
    use crate::kafka::EmbeddedBroker;

    /// A loop that hangs is seen from outside, by whoever asks for the service's health, and so is its return.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_loop_that_hangs_is_not_serving_until_it_turns_again() {
        let broker = EmbeddedBroker::start().expect("a broker");
        let mut config = ServiceConfig {
            grpc_address: SocketAddr::from(([127, 0, 0, 1], 0)),
            ..ServiceConfig::default()
        };
        config.kafka.bootstrap = broker.bootstrap();
        config.kafka.create_topics = false;
        config.dispatch.cycle_s = 1.0;
        config.dispatch.deadline_s = 1.0;
        config.dispatch.solve_budget_s = 0.5;
        let service = Service::start(config, Vec::new(), Clock::wall()).await;
        let service = service.expect("starts");
        let url = format!("http://{}", service.address());
        let channel = tonic::transport::Channel::from_shared(url).expect("a url");
        let mut health = HealthClient::new(channel.connect().await.expect("connects"));
        let mut status = async || {
            let answer = health.check(HealthCheckRequest::default()).await;
            answer.expect("answers").into_inner().status()
        };
        assert_eq!(status().await, ServingStatus::Serving);
        let hang = |_: &Engine, _| std::thread::sleep(Duration::from_secs(3));
        let sent = service.messages.try_send(Message::Query(Box::new(hang)));
        assert!(sent.is_ok());
        for wanted in [ServingStatus::NotServing, ServingStatus::Serving] {
            let begun = Instant::now();
            while status().await != wanted {
                assert!(begun.elapsed() < Duration::from_secs(10), "{wanted:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        assert_eq!(service.statistics().stalls.get(), 1);
        assert!(service.statistics().skipped_cycles.get() >= 1);
        service.stop().await;
    }
}
