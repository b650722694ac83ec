//! The grid's end of a regulation stream.

use tokio::sync::mpsc::Sender;
use tonic::Streaming;
use tonic::transport::Channel;
use vpp_proto::v1;
use vpp_proto::v1::dispatch_service_client::DispatchServiceClient;
use vpp_proto::v1::regulate_request::Message;

/// A stream for 40 kW up and down that has begun.
pub(crate) struct Regulating {
    said: Sender<v1::RegulateRequest>,
    answers: Streaming<v1::RegulateResponse>,
    /// What was answered first.
    pub(crate) started: Option<v1::regulate_response::Message>,
}

impl Regulating {
    pub(crate) async fn start(channel: &Channel) -> Regulating {
        let (said, heard) = tokio::sync::mpsc::channel(4);
        let start = v1::RegulationStart {
            request_id: "r".into(),
            capacity_up_kw: 40.0,
            capacity_down_kw: 40.0,
            sustain: None,
        };
        said.send(request(Message::Start(start)))
            .await
            .expect("open");
        let mut client = DispatchServiceClient::new(channel.clone());
        let requests = tokio_stream::wrappers::ReceiverStream::new(heard);
        let answers = client.regulate(requests).await.expect("opens");
        let mut answers = answers.into_inner();
        let started = answers.message().await.expect("started");
        let started = started.expect("an answer").message;
        Regulating {
            said,
            answers,
            started,
        }
    }

    /// Sends a value; what it led to.
    pub(crate) async fn follow(
        &mut self,
        signal: v1::RegulationSignal,
    ) -> Option<v1::regulate_response::Message> {
        let signal = request(Message::Signal(signal));
        self.said.send(signal).await.expect("open");
        let answer = self.answers.message().await.expect("followed");
        answer.expect("an answer").message
    }
}

fn request(message: Message) -> v1::RegulateRequest {
    v1::RegulateRequest {
        message: Some(message),
    }
}
