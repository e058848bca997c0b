//! `bk load`: requests over keep-alive connections, as fast as they are answered or at a fixed rate. Prints how long
//! they took, and what they cost the processes given with `--watch`.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::epoll::Epoll;
use crate::histogram::Histogram;
use crate::http::{Message, Request};
use crate::procfs::{self, Usage};

/// How long a given number of requests may take.
const PATIENCE: Duration = Duration::from_secs(300);

pub fn main(args: &Args) {
    let mut load = Load::new(args);
    load.begin();
    load.run(Instant::now() + args.seconds("--warmup", 0.0));
    // Of a given number of requests all count.
    if load.pace.count().is_none() {
        load.tally = Tally::new();
    }
    let watched = procfs::trees(&args.pids("--watch"));
    let (usage, began) = (Usage::of(&watched), Instant::now());
    let patience = load.pace.count().map(|_| PATIENCE);
    load.run(began + patience.unwrap_or_else(|| args.seconds("--duration", 1.0)));
    print(
        &load,
        began.elapsed().as_secs_f64(),
        &usage,
        &Usage::of(&watched),
    );
    std::process::exit(i32::from(load.bad() > 0));
}

fn print(load: &Load, seconds: f64, before: &Usage, after: &Usage) {
    let (answers, latency) = (load.tally.answers, &load.tally.latency);
    let each = |sum: f64| sum / answers.max(1) as f64;
    println!(
        concat!(
            r#"{{"answers":{},"bad":{},"seconds":{:.3},"rps":{:.1},"p50_us":{:.1},"#,
            r#""p99_us":{:.1},"p999_us":{:.1},"cpu_us":{:.4},"switches":{:.3}}}"#
        ),
        answers,
        load.bad(),
        seconds,
        answers as f64 / seconds,
        latency.quantile(0.5),
        latency.quantile(0.99),
        latency.quantile(0.999),
        each((after.cpu - before.cpu) * 1e6),
        each(after.switches.saturating_sub(before.switches) as f64),
    );
}

/// When a request is sent.
enum Pace {
    /// As soon as the one before is answered.
    Closed,
    /// So, until this many are sent.
    Count { wanted: u64 },
    /// At fixed moments. Latency counts from them, so that a proxy which stalls is not forgiven.
    Open { began: Instant, period: f64 },
}

impl Pace {
    fn new(args: &Args) -> Self {
        match (args.number("--count"), args.number::<f64>("--rate")) {
            (Some(wanted), _) => Self::Count { wanted },
            (None, Some(rate)) if rate > 0.0 => Self::Open {
                began: Instant::now(),
                period: 1.0 / rate,
            },
            _ => Self::Closed,
        }
    }

    fn count(&self) -> Option<u64> {
        match self {
            Self::Count { wanted } => Some(*wanted),
            _ => None,
        }
    }
}

/// What has come of it.
struct Tally {
    answers: u64,
    bad: u64,
    latency: Histogram,
}

impl Tally {
    fn new() -> Self {
        Self {
            answers: 0,
            bad: 0,
            latency: Histogram::new(),
        }
    }
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    /// When the request was due that is not answered yet.
    since: Option<Instant>,
}

impl Connection {
    fn open(address: SocketAddr, epoll: &Epoll, key: usize) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        stream.set_nonblocking(true).expect("an option");
        epoll.add(&stream, key);
        Self {
            stream,
            received: Vec::with_capacity(4096),
            since: None,
        }
    }
}

/// What reading from a connection has brought.
enum Event {
    Nothing,
    Answer { right: bool },
    Lost,
}

struct Load {
    address: SocketAddr,
    epoll: Epoll,
    connections: Vec<Connection>,
    request: Request,
    pace: Pace,
    sent: u64,
    idle: Vec<usize>,
    /// Moments at which a request was due and no connection was free.
    late: VecDeque<Instant>,
    tally: Tally,
    piece: Vec<u8>,
}

impl Load {
    fn new(args: &Args) -> Self {
        let (address, epoll) = (args.address("--addr"), Epoll::new());
        let count = args.number("--conns").unwrap_or(64);
        let connections = (0..count).map(|key| Connection::open(address, &epoll, key));
        Self {
            connections: connections.collect(),
            idle: (0..count).collect(),
            address,
            epoll,
            request: Request::new(args),
            pace: Pace::new(args),
            sent: 0,
            late: VecDeque::new(),
            tally: Tally::new(),
            piece: vec![0; 64 * 1024],
        }
    }

    /// In a closed loop every connection has a request under way from here on.
    fn begin(&mut self) {
        if !matches!(self.pace, Pace::Open { .. }) {
            for key in std::mem::take(&mut self.idle) {
                self.send_next(key);
            }
        }
    }

    fn run(&mut self, until: Instant) {
        let mut keys = Vec::new();
        loop {
            let wake = self.send_due().map_or(until, |due| due.min(until));
            let now = Instant::now();
            if now >= until || self.is_over() {
                return;
            }
            let timeout = wake.saturating_duration_since(now);
            self.epoll.wait(Some(timeout), &mut keys);
            for key in &keys {
                self.handle(*key);
            }
        }
    }

    /// Wrong answers, lost connections, and what should have been answered and was not.
    fn bad(&self) -> u64 {
        let missing = self.pace.count().map_or(0, |wanted| {
            wanted.saturating_sub(self.tally.answers + self.tally.bad)
        });
        self.tally.bad + missing
    }

    fn is_over(&self) -> bool {
        let over = self.tally.answers + self.tally.bad;
        self.pace.count().is_some_and(|wanted| over >= wanted)
    }

    /// In an open loop: sends what is due, and says when the next one is.
    fn send_due(&mut self) -> Option<Instant> {
        let Pace::Open { began, period } = self.pace else {
            return None;
        };
        loop {
            let due = began + Duration::from_secs_f64(self.sent as f64 * period);
            if due > Instant::now() {
                return Some(due);
            }
            self.sent += 1;
            match self.idle.pop() {
                Some(key) => self.send(key, due),
                None => self.late.push_back(due),
            }
        }
    }

    /// Uses a connection that has become free.
    fn send_next(&mut self, key: usize) {
        match self.pace {
            Pace::Open { .. } => match self.late.pop_front() {
                Some(due) => self.send(key, due),
                None => self.idle.push(key),
            },
            Pace::Count { wanted } if self.sent >= wanted => {}
            Pace::Count { .. } | Pace::Closed => {
                self.sent += 1;
                self.send(key, Instant::now());
            }
        }
    }

    fn send(&mut self, key: usize, due: Instant) {
        let connection = &mut self.connections[key];
        connection.since = Some(due);
        // A request is far below a socket's buffer. A connection that is lost is noticed by reading from it.
        drop(connection.stream.write_all(self.request.next()));
    }

    fn handle(&mut self, key: usize) {
        match self.receive(key) {
            Event::Nothing => {}
            Event::Answer { right } => {
                let since = self.connections[key].since.take();
                // An answer that nobody asked for is a wrong one.
                let right = right && since.is_some();
                self.tally.answers += u64::from(right);
                self.tally.bad += u64::from(!right);
                if let Some(since) = since {
                    self.tally.latency.record(since.elapsed());
                    self.send_next(key);
                }
            }
            Event::Lost => {
                let was_busy = self.connections[key].since.is_some();
                self.connections[key] = Connection::open(self.address, &self.epoll, key);
                if was_busy {
                    self.tally.bad += 1;
                    self.send_next(key);
                }
            }
        }
    }

    fn receive(&mut self, key: usize) -> Event {
        let connection = &mut self.connections[key];
        match connection.stream.read(&mut self.piece) {
            Ok(0) => return Event::Lost,
            Ok(read) => connection.received.extend_from_slice(&self.piece[..read]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Event::Nothing,
            Err(_) => return Event::Lost,
        }
        let received = &mut connection.received;
        match Message::find(received) {
            Ok(None) => Event::Nothing,
            Ok(Some(message)) => {
                let right = message.is_success(received);
                received.drain(..message.total);
                Event::Answer { right }
            }
            Err(_) => Event::Lost,
        }
    }
}
