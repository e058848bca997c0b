//! The command line.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

pub struct Args {
    options: Vec<String>,
    /// What stands behind `--`.
    pub command: Vec<String>,
}

impl Args {
    pub fn new(words: impl Iterator<Item = String>) -> Self {
        let mut options = words.collect::<Vec<_>>();
        let mut command = Vec::new();
        if let Some(end) = options.iter().position(|word| word == "--") {
            command = options.split_off(end).split_off(1);
        }
        Self { options, command }
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        let at = self.options.iter().position(|word| word == name)?;
        self.options.get(at + 1).map(String::as_str)
    }

    pub fn number<N: FromStr>(&self, name: &str) -> Option<N> {
        let text = self.text(name)?;
        let number = text.parse();
        Some(number.unwrap_or_else(|_| panic!("{name}: {text} is no such number")))
    }

    pub fn seconds(&self, name: &str, default: f64) -> Duration {
        Duration::from_secs_f64(self.number(name).unwrap_or(default))
    }

    pub fn address(&self, name: &str) -> SocketAddr {
        let text = self
            .text(name)
            .unwrap_or_else(|| panic!("{name} is missing"));
        let address: SocketAddr = text.parse().expect("an address with a port");
        assert!(address.ip().is_loopback(), "{name}: loopback alone");
        address
    }

    pub fn pids(&self, name: &str) -> Vec<u32> {
        let list = self.text(name).unwrap_or_default();
        list.split(',').filter_map(|pid| pid.parse().ok()).collect()
    }
}
