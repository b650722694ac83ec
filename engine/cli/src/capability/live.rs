//! The stations of a running engine, over its regulation stream.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use chrono::Utc;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tonic::Streaming;
use tonic::transport::Channel;
use vpp_proto::convert::from_timestamp;
use vpp_proto::v1;
use vpp_proto::v1::dispatch_service_client::DispatchServiceClient;
use vpp_proto::v1::fleet_service_client::FleetServiceClient;

use super::{Promised, Tested};
use crate::plant;

pub(super) struct Live {
    runtime: Runtime,
    channel: Channel,
    client: DispatchServiceClient<Channel>,
    sustain_s: u32,
    stream: Option<Stream>,
    sequence: u64,
    next: Instant,
}

struct Stream {
    requests: mpsc::Sender<v1::RegulateRequest>,
    answers: Streaming<v1::RegulateResponse>,
}

impl Live {
    pub(super) fn new(address: &str, sustain_s: u32) -> anyhow::Result<Live> {
        let runtime = Runtime::new()?;
        let channel = runtime.block_on(plant::connect(address))?;
        Ok(Live {
            runtime,
            client: DispatchServiceClient::new(channel.clone()),
            channel,
            sustain_s,
            stream: None,
            sequence: 0,
            next: Instant::now(),
        })
    }
}

async fn send(
    requests: &mpsc::Sender<v1::RegulateRequest>,
    message: v1::regulate_request::Message,
) -> anyhow::Result<()> {
    let message = Some(message);
    let sent = requests.send(v1::RegulateRequest { message }).await;
    sent.context("the regulation stream has ended")
}

async fn answer(
    answers: &mut Streaming<v1::RegulateResponse>,
) -> anyhow::Result<v1::regulate_response::Message> {
    let answer = answers.next().await;
    let answer = answer.context("the regulation stream has ended")??;
    answer.message.context("the engine answered with nothing")
}

impl Tested for Live {
    fn start(&mut self, up_kw: f64, down_kw: f64) -> anyhow::Result<Promised> {
        let Live {
            runtime,
            client,
            sustain_s,
            ..
        } = self;
        let (stream, promised) = runtime.block_on(async {
            let sustain = Some(prost_types::Duration {
                seconds: i64::from(*sustain_s),
                nanos: 0,
            });
            let capability = client
                .get_capability(v1::GetCapabilityRequest {
                    scope: None,
                    duration: sustain,
                    ..Default::default()
                })
                .await?
                .into_inner()
                .capability
                .unwrap_or_default();
            let (requests, receiver) = mpsc::channel(4);
            let start = v1::RegulationStart {
                request_id: format!("capability-test.{}", std::process::id()),
                capacity_up_kw: up_kw,
                capacity_down_kw: down_kw,
                sustain,
            };
            send(&requests, v1::regulate_request::Message::Start(start)).await?;
            let receiver = tokio_stream::wrappers::ReceiverStream::new(receiver);
            let mut answers = client.regulate(receiver).await?.into_inner();
            let v1::regulate_response::Message::Started(started) = answer(&mut answers).await?
            else {
                anyhow::bail!("the engine answered with something else");
            };
            let promised = Promised {
                up_kw: started.capacity_up_kw,
                down_kw: started.capacity_down_kw,
                stations: started.station_count as usize,
                connected_kw: capability.up.unwrap_or_default().connected_kw,
            };
            Ok((Stream { requests, answers }, promised))
        })?;
        self.stream = Some(stream);
        self.next = Instant::now();
        Ok(promised)
    }

    fn ask(&mut self, share: f64) -> anyhow::Result<f64> {
        self.sequence += 1;
        let stream = self.stream.as_mut().context("regulation is not started")?;
        let signal = v1::RegulationSignal {
            sequence: self.sequence,
            signal_time: Some(from_timestamp(Utc::now())),
            value: share,
        };
        let next = self.next;
        self.next += Duration::from_secs(1);
        self.runtime.block_on(async {
            tokio::time::sleep_until(next.into()).await;
            let message = v1::regulate_request::Message::Signal(signal);
            send(&stream.requests, message).await?;
            match answer(&mut stream.answers).await? {
                v1::regulate_response::Message::Achieved(achieved) => Ok(achieved.achieved_kw),
                v1::regulate_response::Message::Started(_) => {
                    anyhow::bail!("the engine answered with something else")
                }
            }
        })
    }

    fn set_tested_share(&mut self, share: Option<f64>) -> anyhow::Result<()> {
        let channel = self.channel.clone();
        // Each change is one of its own, also in a later test by a process of the same number.
        let test = Utc::now().timestamp_millis();
        self.runtime.block_on(async {
            let mut client = FleetServiceClient::new(channel);
            let (mut page_token, mut count) = (String::new(), 0);
            loop {
                let request = v1::ListAggregatorsRequest {
                    page_size: 0,
                    page_token,
                };
                let page = client.list_aggregators(request).await?.into_inner();
                for mut aggregator in page.aggregators {
                    aggregator.tested_share = share;
                    count += 1;
                    let request = v1::UpdateAggregatorRequest {
                        request_id: format!("tested.{test}.{count}"),
                        aggregator: Some(aggregator),
                        update_mask: Some(prost_types::FieldMask {
                            paths: vec!["tested_share".into()],
                        }),
                        ..Default::default()
                    };
                    client.update_aggregator(request).await?;
                }
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    return Ok(());
                }
            }
        })
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        // Closing the stream ends the regulation.
        self.stream = None;
        Ok(())
    }
}
