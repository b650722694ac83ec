//! The ledger, on the embedded database and on a real `PostgreSQL` that the test starts: the same tests.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use vpp_ledger::{Batch, Entry, Filter, Ledger, LedgerError, Line, Posted, Statement};

fn entry(debit: &str, credit: &str, fen: i64) -> Entry {
    Entry {
        debit: debit.into(),
        credit: credit.into(),
        fen,
        memo: "for a test".into(),
    }
}

fn batch(id: &str, entries: Vec<Entry>) -> Batch {
    let subject = id.split('/').next().unwrap_or_default();
    let outside = |account: &str| i64::from(account == "grid" || account == "subsidy");
    let fen = |entry: &Entry| entry.fen * (outside(&entry.credit) - outside(&entry.debit));
    Batch {
        id: id.into(),
        subject: subject.into(),
        aggregator: "a".into(),
        run: "run-1".into(),
        rules: "baselines@1/js5 response-payments@1/tiered".into(),
        fen: entries.iter().map(fen).sum(),
        entries,
        lines: Vec::new(),
    }
}

fn line(station: &str, fen: i64) -> Line {
    Line {
        station: station.into(),
        item: "response".into(),
        wh: 1_000,
        price: "2.5".into(),
        fen,
        rule: "baselines@1/js5".into(),
        detail: r#"{"actual_wh":[1,null]}"#.into(),
    }
}

/// What must hold on any database.
async fn holds(url: &str) {
    let ledger = Ledger::open(url).await.expect("opens");
    let first = batch(
        "dr-1/a",
        vec![entry("agg", "grid", 100), entry("s-1", "agg", 60)],
    );
    assert_eq!(
        ledger.post(&first, 1).await.expect("posted"),
        Posted::Version(1)
    );
    // Again the same: nothing.
    assert_eq!(
        ledger.post(&first, 2).await.expect("known"),
        Posted::Unchanged(1)
    );
    let balance = |name: &'static str| {
        let ledger = ledger.clone();
        async move {
            ledger
                .balances()
                .await
                .expect("balances")
                .get(name)
                .copied()
        }
    };
    assert_eq!(balance("agg").await, Some(40));
    // Corrected, twice: the old entries are taken back, and all remain to be read.
    let second = batch(
        "dr-1/a",
        vec![entry("agg", "grid", 70), entry("s-2", "agg", 70)],
    );
    assert_eq!(
        ledger.post(&second, 3).await.expect("posted"),
        Posted::Version(2)
    );
    let third = batch("dr-1/a", vec![entry("agg", "grid", 10)]);
    assert_eq!(
        ledger.post(&third, 4).await.expect("posted"),
        Posted::Version(3)
    );
    let balances = ledger.balances().await.expect("balances");
    let of = |name: &str| balances.get(name).copied();
    assert_eq!(
        (of("grid"), of("agg"), of("s-1"), of("s-2")),
        (Some(-10), Some(10), Some(0), Some(0))
    );
    assert_eq!(balances.values().sum::<i64>(), 0, "all accounts together");
    let history = ledger.history("dr-1/a").await.expect("history");
    let versions: Vec<i64> = history.iter().map(|(version, _)| *version).collect();
    assert_eq!(versions, [1, 1, 2, 2, 2, 2, 3, 3, 3]);
    assert_eq!(
        history[2].1,
        Entry {
            memo: "back: for a test".into(),
            ..entry("grid", "agg", 100)
        }
    );
    // Another batch does not touch it.
    let other = batch("dr-2/a", vec![entry("agg", "grid", 5)]);
    assert_eq!(
        ledger.post(&other, 5).await.expect("posted"),
        Posted::Version(1)
    );
    assert_eq!(balance("agg").await, Some(15));

    // What cannot be is refused and posts nothing.
    for wrong in [
        batch("", vec![]),
        batch("x", vec![entry("a", "a", 1)]),
        batch("x", vec![entry("a", "b", 1), entry("a", "b", 0)]),
        batch("x", vec![entry("a", "", 1)]),
        // What comes from outside is not what it says; a station's lines and entries differ; so do those of one without.
        Batch {
            fen: 2,
            ..batch("x", vec![entry("station:s-1", "grid", 1)])
        },
        Batch {
            lines: vec![line("s-1", 2)],
            ..batch("x", vec![entry("station:s-1", "grid", 1)])
        },
        Batch {
            lines: vec![line("s-1", 1)],
            ..batch("x", vec![entry("agg", "grid", 1)])
        },
    ] {
        let refused = ledger.post(&wrong, 6).await;
        assert!(
            matches!(refused, Err(LedgerError::Batch { .. })),
            "{refused:?}"
        );
    }
    assert!(ledger.history("x").await.expect("history").is_empty());

    // Many at once: each is posted once, whoever comes first.
    let tasks: Vec<_> = (0..20)
        .map(|k| {
            let ledger = ledger.clone();
            let same = batch(&format!("many-{}", k % 5), vec![entry("m", "grid", 1)]);
            tokio::spawn(async move { ledger.post(&same, 7).await })
        })
        .collect();
    let mut posted = 0;
    for task in tasks {
        // The slower of two may find its key taken: then it posted nothing.
        if let Ok(Posted::Version(1)) = task.await.expect("a task") {
            posted += 1;
        }
    }
    assert_eq!((posted, balance("m").await), (5, Some(5)));

    // What was posted is there after opening anew.
    drop(ledger);
    let ledger = Ledger::open(url).await.expect("opens again");
    assert_eq!(
        ledger.post(&third, 8).await.expect("known"),
        Posted::Unchanged(3)
    );
}

/// Statements, on any database: what is listed, and what each line was worked out of.
async fn can_be_read(url: &str) {
    let ledger = Ledger::open(url).await.expect("opens");
    let event = |id: &str, aggregator: &str, lines: Vec<Line>| {
        let share = |line: &Line| entry(&format!("station:{}", line.station), "grid", line.fen);
        let entries = lines.iter().map(share).collect();
        Batch {
            aggregator: aggregator.into(),
            lines,
            ..batch(id, entries)
        }
    };
    let one = event("e1/a", "a", vec![line("s-1", 3), line("s-2", 4)]);
    let two = event("e1/b", "b", vec![line("s-3", 5)]);
    let three = event("e2/a", "a", vec![line("s-1", 6)]);
    let posted = ledger
        .post_all(&[one, two, three], 10)
        .await
        .expect("posted");
    assert_eq!(posted, [Posted::Version(1); 3]);
    let corrected = event("e1/a", "a", vec![line("s-1", 2), line("s-4", 4)]);
    // All or nothing: the second is no batch.
    let wrong = batch("", Vec::new());
    assert!(
        ledger
            .post_all(&[corrected.clone(), wrong], 11)
            .await
            .is_err()
    );
    assert_eq!(
        ledger.post(&corrected, 12).await.expect("posted"),
        Posted::Version(2)
    );

    let list = |filter: Filter, limit: u32| {
        let ledger = ledger.clone();
        async move {
            let found = ledger.statements(&filter, limit).await.expect("statements");
            let name = |s: &Statement| {
                format!(
                    "{}@{}={}{}",
                    s.id,
                    s.version,
                    s.fen,
                    if s.superseded { "!" } else { "" }
                )
            };
            found.iter().map(name).collect::<Vec<_>>()
        }
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        list(Filter::default(), 10).await,
        ["e1/a@2=6", "e1/b@1=5", "e2/a@1=6"]
    );
    let all = Filter {
        superseded: true,
        ..Filter::default()
    };
    assert_eq!(list(all.clone(), 2).await, ["e1/a@1=7!", "e1/a@2=6"]);
    let next = Filter {
        after: Some(("e1/a".into(), 2)),
        ..all.clone()
    };
    assert_eq!(list(next, 10).await, ["e1/b@1=5", "e2/a@1=6"]);
    let of = Filter {
        aggregator: some("a"),
        subject: some("e2"),
        ..Filter::default()
    };
    assert_eq!(list(of, 10).await, ["e2/a@1=6"]);
    let of = Filter {
        id: some("e1/a"),
        ..all
    };
    assert_eq!(list(of, 10).await, ["e1/a@1=7!", "e1/a@2=6"]);
    let of = Filter {
        station: some("s-1"),
        ..Filter::default()
    };
    assert_eq!(list(of, 10).await, ["e1/a@2=6", "e2/a@1=6"]);
    // It was in the first version only.
    let of = |superseded| Filter {
        station: some("s-2"),
        superseded,
        ..Filter::default()
    };
    assert!(list(of(false), 10).await.is_empty());
    assert_eq!(list(of(true), 10).await, ["e1/a@1=7!"]);

    let found = ledger
        .statement("e1/a", 0)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(
        (found.version, found.superseded, found.posted_ms),
        (2, false, 12)
    );
    let first = ledger
        .statement("e1/a", 1)
        .await
        .expect("read")
        .expect("there");
    assert!(first.superseded && first.subject == "e1" && first.aggregator == "a");
    assert!(ledger.statement("e1/a", 3).await.expect("read").is_none());
    let lines = ledger.lines("e1/a", 2, None, 0, 10).await.expect("lines");
    let numbers: Vec<i64> = lines.iter().map(|(number, _)| *number).collect();
    let lines: Vec<Line> = lines.into_iter().map(|(_, line)| line).collect();
    assert_eq!(lines, [line("s-1", 2), line("s-4", 4)]);
    let rest = ledger
        .lines("e1/a", 2, None, numbers[0], 10)
        .await
        .expect("lines");
    assert_eq!(rest, [(numbers[1], line("s-4", 4))]);
    let first = ledger.lines("e1/a", 2, None, 0, 1).await.expect("lines");
    assert_eq!(first, [(numbers[0], line("s-1", 2))]);
    // Corrected once; a claim that is claimed again in another month, and counts there.
    for (id, run, fen) in [
        ("month/2027-04/a", "month/2027-04", 7),
        ("month/2027-04/a", "month/2027-04", 5),
        ("month/2027-05/a", "month/2027-05", 10),
        ("month/2028-01/a", "month/2028-01", 99),
        ("claim/c-1", "month/2027-04", 300),
        ("claim/c-1", "month/2027-06", 400),
    ] {
        let batch = Batch {
            run: run.into(),
            lines: vec![line("s", fen)],
            ..batch(id, vec![entry("station:s", "subsidy", fen)])
        };
        ledger.post(&batch, 13).await.expect("posted");
    }
    assert_eq!(ledger.subsidies_of(2027, None).await.expect("a sum"), 415);
    for (except, rest) in [("month/2027-05", 405), ("month/2027-06", 15)] {
        let sum = ledger.subsidies_of(2027, Some(except)).await;
        assert_eq!(sum.expect("a sum"), rest);
    }
    assert_eq!(ledger.subsidies_of(2026, None).await.expect("a sum"), 0);
    let lines = ledger.lines("e1/a", 1, Some("s-2"), 0, 10).await;
    let lines: Vec<Line> = lines
        .expect("lines")
        .into_iter()
        .map(|(_, line)| line)
        .collect();
    assert_eq!(lines, [line("s-2", 4)]);

    // A settlement done again: what is no longer part of it is taken back, once.
    let of = |id: &str, fen: i64| Batch {
        run: "run-2".into(),
        lines: vec![line("x", fen)],
        ..batch(id, vec![entry("station:x", "grid", fen)])
    };
    let first = [of("r/a", 10), of("r/b", 20)];
    let (posted, back) = ledger
        .post_run("run-2", &first, 20, None)
        .await
        .expect("posted");
    assert_eq!((posted, back), (vec![Posted::Version(1); 2], 0));
    let second = [of("r/b", 20), of("r/c", 10)];
    let (posted, back) = ledger
        .post_run("run-2", &second, 21, None)
        .await
        .expect("posted");
    assert_eq!(
        (posted, back),
        (vec![Posted::Unchanged(1), Posted::Version(1)], 1)
    );
    let (posted, back) = ledger
        .post_run("run-2", &second, 22, None)
        .await
        .expect("posted");
    assert_eq!((posted, back), (vec![Posted::Unchanged(1); 2], 0));
    let balances = ledger.balances().await.expect("balances");
    assert_eq!(balances.get("station:x"), Some(&30));
    let gone = ledger
        .statement("r/a", 0)
        .await
        .expect("read")
        .expect("there");
    assert_eq!((gone.version, gone.fen), (2, 0));
    let other = ledger.post_run("run-3", &second, 23, None).await;
    assert!(matches!(other, Err(LedgerError::Batch { .. })));

    // A claim is granted once; and no more than the year has, whatever else was posted meanwhile: 1,415 fen stand there with it.
    let claim = |run: &str| Batch {
        run: run.into(),
        lines: vec![line("s", 1_000)],
        ..batch("claim/c-2", vec![entry("station:s", "subsidy", 1_000)])
    };
    let july = claim("month/2027-07");
    let too_much = ledger
        .post_run(
            "month/2027-07",
            std::slice::from_ref(&july),
            30,
            Some((2027, 1_414)),
        )
        .await;
    assert!(
        matches!(
            too_much,
            Err(LedgerError::Budget {
                fen: 1_415,
                most: 1_414,
                ..
            })
        ),
        "{too_much:?}"
    );
    assert_eq!(ledger.subsidies_of(2027, None).await.expect("a sum"), 415);
    for _ in 0..2 {
        ledger
            .post_run(
                "month/2027-07",
                std::slice::from_ref(&july),
                31,
                Some((2027, 1_415)),
            )
            .await
            .expect("posted");
    }
    let again = ledger
        .post_run("month/2027-08", &[claim("month/2027-08")], 32, None)
        .await;
    assert!(matches!(again, Err(LedgerError::Batch { .. })), "{again:?}");
    // Taken back, it may be claimed again.
    ledger
        .post_run("month/2027-07", &[], 33, None)
        .await
        .expect("posted");
    ledger
        .post_run("month/2027-08", &[claim("month/2027-08")], 34, None)
        .await
        .expect("posted");
    assert_eq!(ledger.subsidies_of(2027, None).await.expect("a sum"), 1_415);
}

#[tokio::test]
async fn the_embedded_ledger_can_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ledger.db");
    can_be_read(&format!("sqlite:{}", file.display())).await;
}

#[tokio::test]
async fn the_embedded_ledger_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ledger.db");
    holds(&format!("sqlite:{}", file.display())).await;
}

#[tokio::test]
async fn entries_cannot_be_changed_behind_its_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("ledger.db").display());
    let ledger = Ledger::open(&url).await.expect("opens");
    ledger
        .post(
            &Batch {
                lines: vec![line("s", 1)],
                ..batch("b", vec![entry("station:s", "grid", 1)])
            },
            1,
        )
        .await
        .expect("posted");
    let pool = sqlx::AnyPool::connect(&url).await.expect("connects");
    for sql in [
        "UPDATE entries SET fen = 2",
        "DELETE FROM entries",
        "DELETE FROM batches",
        "UPDATE lines SET fen = 0",
        "DELETE FROM lines",
    ] {
        let refused = sqlx::query(sql).execute(&pool).await.expect_err(sql);
        assert!(
            refused.to_string().contains("append-only"),
            "{sql}: {refused}"
        );
    }
}

#[tokio::test]
async fn what_is_no_ledger_is_refused() {
    for url in ["", "ledger.db", "mysql://x/y"] {
        let refused = Ledger::open(url).await;
        assert!(matches!(refused, Err(LedgerError::Url(_))), "{url}");
    }
    let refused = Ledger::open("sqlite:/nowhere/at/all/ledger.db").await;
    assert!(matches!(refused, Err(LedgerError::Database(_))));
}

#[tokio::test]
async fn the_ledger_holds_on_postgresql() {
    let postgres = Postgres::start();
    holds(&postgres.url).await;
    // Another database of the same server.
    let pool = sqlx::AnyPool::connect(&postgres.url)
        .await
        .expect("connects");
    sqlx::query("CREATE DATABASE readable")
        .execute(&pool)
        .await
        .expect("made");
    let (server, _) = postgres.url.rsplit_once('/').expect("a database");
    can_be_read(&format!("{server}/readable")).await;
}

/// A server of one's own in a temporary folder, on a socket there.
struct Postgres {
    process: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Postgres {
    fn start() -> Postgres {
        let programs = programs();
        let folder = tempfile::tempdir_in("/tmp").expect("a folder");
        let data = folder.path().join("data");
        let run = |program: &str| {
            // It refuses to run as root: Debian's package has a user for it.
            let path = programs.join(program);
            if is_root() {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--"]).arg(path);
                command
            } else {
                Command::new(path)
            }
        };
        if is_root() {
            let owned = Command::new("chown")
                .arg("postgres")
                .arg(folder.path())
                .status();
            assert!(owned.expect("chown").success());
        }
        let made = run("initdb")
            .args(["--auth=trust", "--username=vpp", "--no-sync", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status();
        assert!(made.expect("initdb").success());
        let port = free_port();
        let process = run("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1"])
            .arg("-k")
            .arg(folder.path())
            .args(["-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("postgres");
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "PostgreSQL does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        Postgres {
            process,
            url: format!("postgres://vpp@127.0.0.1:{port}/postgres"),
            _folder: folder,
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT: a fast shutdown, which takes its children along. Behind runuser the signal goes to all of the group.
        let id = self.process.id().to_string();
        let _ = Command::new("pkill").args(["-INT", "-P", &id]).status();
        let _ = Command::new("kill").args(["-INT", &id]).status();
        let _ = self.process.wait();
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id");
    id.stdout.starts_with(b"0")
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// The folder with `initdb`: Debian keeps it apart, one for each version.
fn programs() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut found: Vec<PathBuf> = folders
        .filter_map(|folder| Some(folder.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    let bin = found.pop().or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|folder| folder.join("initdb").exists())
    });
    bin.expect("there is no PostgreSQL; Debian: apt-get install postgresql")
}
