//! A real Apache Kafka broker for tests: one KRaft node in its own process, with free ports and a temporary folder.
//!
//! A test that needs a broker fails when it cannot have one; it never passes by skipping. The jars come from
//! `make kafka`.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, process};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tempfile::TempDir;

const POM: &str = include_str!("../../../../tools/kafka/pom.xml");
const PROPERTIES: &str = include_str!("../../../../tools/kafka/server.properties");
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A broker. It is killed, and its data removed, when this is dropped and also when the test process dies.
pub(crate) struct Kafka {
    port: u16,
    process: Option<Child>,
    watcher: Watcher,
    folder: TempDir,
}

impl Kafka {
    /// The broker that all tests of this binary share, started by the first that asks. Nobody can kill it, and topics
    /// outlive the test that made them: give each test its own names.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Kafka> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A broker of one's own, for a test that kills it.
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("vpp-kafka-")
            .tempdir()
            .unwrap_or_else(|error| panic!("no folder for the broker: {error}"));
        let watcher = Watcher::start(folder.path());
        let mut kafka = Self {
            port: free_port(),
            process: None,
            watcher,
            folder,
        };
        kafka.write_properties(free_port());
        kafka.format();
        kafka.restart();
        kafka
    }

    /// What a client needs as `bootstrap.servers`.
    pub(crate) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills the broker as `kill -9` does: at once, with no word to anybody.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            self.watcher.watch(None);
            let _already_gone = process.kill();
            let _status = process.wait();
        }
    }

    /// Starts the broker again on the same port and data; one that still runs is killed first. Returns when it answers.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.launch(&["-Xms256m", "-Xmx512m", "kafka.Kafka"]);
        let started = Instant::now();
        while !answers(self.port) {
            if let Some(Ok(Some(status))) = self.process.as_mut().map(Child::try_wait) {
                panic!("the broker ended with {status}:\n{}", self.log_tail());
            }
            assert!(
                started.elapsed() < START_TIMEOUT,
                "the broker does not answer after {START_TIMEOUT:?}:\n{}",
                self.log_tail(),
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn format(&mut self) {
        // Any 16 bytes in base64 name a cluster.
        let tool = "kafka.tools.StorageTool";
        self.launch(&[
            tool,
            "format",
            "--standalone",
            "-t",
            "dnBwLXRlc3QtYnJva2VyMQ",
            "-c",
        ]);
        let formatted = self
            .process
            .as_mut()
            .is_some_and(|process| process.wait().is_ok_and(|status| status.success()));
        assert!(
            formatted,
            "cannot format the broker's storage:\n{}",
            self.log_tail()
        );
    }

    /// Starts one of Kafka's programmes: the arguments, then the broker's configuration.
    fn launch(&mut self, arguments: &[&str]) {
        let jars = jars();
        assert!(
            jars.is_dir(),
            "there is no Kafka in {}; run this once in the project's folder: make kafka",
            jars.display(),
        );
        let log = || {
            File::options()
                .create(true)
                .append(true)
                .open(self.log())
                .unwrap_or_else(|error| panic!("no log file for the broker: {error}"))
        };
        let process = Command::new("java")
            // The JVM itself expands the star. The level is for log4j's built-in configuration: all to the console.
            .arg("-cp")
            .arg(jars.join("*"))
            .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=INFO"])
            .args(arguments)
            .arg(self.properties())
            .stdin(Stdio::null())
            .stdout(log())
            .stderr(log())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot start java ({error}); run this once in the project's folder: make kafka")
            });
        self.watcher.watch(Some(process.id()));
        self.process = Some(process);
    }

    fn properties(&self) -> PathBuf {
        self.folder.path().join("server.properties")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("broker.log")
    }

    /// The end of the log, for a panic's message.
    fn log_tail(&self) -> String {
        const LENGTH: usize = 6_000;
        match fs::read(self.log()) {
            Ok(log) => {
                String::from_utf8_lossy(&log[log.len().saturating_sub(LENGTH)..]).into_owned()
            }
            Err(error) => format!("(its log cannot be read: {error})"),
        }
    }

    fn write_properties(&self, controller_port: u16) {
        let broker = self.bootstrap();
        let controller = format!("127.0.0.1:{controller_port}");
        let data = self.folder.path().join("data");
        let text = PROPERTIES
            .replace("@BROKER@", &broker)
            .replace("@CONTROLLER@", &controller)
            .replace("@DATA@", &data.display().to_string());
        fs::write(self.properties(), text)
            .unwrap_or_else(|error| panic!("cannot configure the broker: {error}"));
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A shell that outlives this process by a moment, to kill its broker and remove the broker's folder. It reads from a pipe
/// that ends when this process dies, however it dies. A static is never dropped, so the shared broker always ends this
/// way. The shell and the broker have process groups of their own: an interrupt from the terminal ends the tests, and
/// that ends them.
struct Watcher(Child);

impl Watcher {
    const SCRIPT: &str = r#"
        while read -r line; do pid=$line; done
        if [ -n "$pid" ]; then kill -9 "$pid"; sleep 0.5; fi
        rm -rf "$1"
    "#;

    fn start(folder: &Path) -> Self {
        let shell = Command::new("sh")
            .args(["-c", Self::SCRIPT, "sh"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start sh: {error}"));
        Self(shell)
    }

    /// Tells it which process to kill at the end.
    fn watch(&mut self, process: Option<u32>) {
        let line = process.map_or_else(|| "\n".to_owned(), |id| format!("{id}\n"));
        if let Some(pipe) = &mut self.0.stdin {
            pipe.write_all(line.as_bytes())
                .unwrap_or_else(|error| panic!("the broker's watcher is gone: {error}"));
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _already_gone = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Whether the broker knows itself as a member of the cluster: it accepts connections before that.
fn answers(port: u16) -> bool {
    // A client that is refused waits before it tries again: ask only when somebody listens.
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        && ClientConfig::new()
            .set("bootstrap.servers", format!("127.0.0.1:{port}"))
            .create::<BaseConsumer>()
            .and_then(|client| client.fetch_metadata(None, Duration::from_secs(2)))
            .is_ok_and(|metadata| !metadata.brokers().is_empty())
}

/// Where `tools/kafka/fetch.sh` puts the jars.
fn jars() -> PathBuf {
    let variable = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache = variable("VPP_CACHE")
        .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("vpp")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/vpp")))
        .unwrap_or_else(|| panic!("set HOME or VPP_CACHE to find Kafka's jars"));
    let version = POM
        .split_once("<kafka.version>")
        .and_then(|(_, rest)| rest.split_once("</kafka.version>"))
        .map_or_else(
            || panic!("no kafka.version in tools/kafka/pom.xml"),
            |(version, _)| version,
        );
    cache.join(format!("kafka-{version}"))
}

/// A port that nobody listens on, below the range that the system gives to outgoing connections: while the broker is
/// down, no client's connection (not even one to this very port) may take the port from it. No port is given twice.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Test binaries may run beside each other: they begin far apart.
    let first = process::id().wrapping_mul(7_919);
    (0..COUNT)
        .map(|_| FIRST + first.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .unwrap_or_else(|| panic!("no free port from {FIRST} to {}", FIRST + COUNT - 1))
}
