//! Processes of the `vpp` command.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

/// A process of the `vpp` command; killed as `kill -9` does when it is dropped.
pub(crate) struct Vpp(pub(crate) Child);

impl Vpp {
    /// Starts it and waits for the first line that it says with the words; that line.
    pub(crate) fn start(arguments: &[&str], words: &str) -> (Vpp, String) {
        let mut process = Command::new(env!("CARGO_BIN_EXE_vpp"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = process.stdout.take().unwrap();
        let vpp = Vpp(process);
        let mut lines = BufReader::new(output).lines().map(Result::unwrap);
        let said = lines.find(|line| line.contains(words));
        let said =
            said.unwrap_or_else(|| panic!("vpp {arguments:?} ended without saying {words:?}"));
        (vpp, said)
    }
}

/// An address on which nobody listens.
#[allow(dead_code)] // each test binary uses its own part
pub(crate) fn free_address() -> String {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().to_string()
}

impl Drop for Vpp {
    fn drop(&mut self) {
        let _already_gone = self.0.kill();
        let _status = self.0.wait();
    }
}
