//! The program as operators run it: commands, signals, exit codes, and an end that loses nothing.

use std::io::Write;
use std::time::Duration;

use bigin_photo_proxy::app::Ending;
use futures_util::future::join_all;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, When};

use crate::support::{Program, TestApp, client, config_for, eventually};

const REQUEST: &[u8] = b"DELETE /bigin/v2/Contacts/1/photo HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn sigterm_under_500_requests_a_second_loses_none_and_exits_0() {
    let zoho = Sandbox::start().await;
    let keys = "server.drain_delay = \"1s\"\nupstream.max_in_flight = 200\nupstream.queue = 2000";
    zoho.change(|settings| settings.concurrency = 10_000);
    let mut program = Program::serve(&config_for(&zoho, keys));
    let (address, _) = program.addresses();
    eventually("it serves", async || {
        TcpStream::connect(address).await.is_ok()
    })
    .await;

    // A record each: identical deletions that wait for the first token would share calls.
    let callers = (1..=50).map(|record| tokio::spawn(call_until_refused(address, record)));
    let callers: Vec<_> = callers.collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    program.signal("TERM");
    let answered: Vec<usize> = join_all(callers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let (code, _) = tokio::task::spawn_blocking(|| program.end()).await.unwrap();

    assert_eq!(code, 0);
    let total: usize = answered.iter().sum();
    assert!(
        total > 800,
        "some 500 a second were meant to be sent: {total}"
    );
    assert_eq!(zoho.ledger().deletions.len(), total);
}

/// Calls 10 times a second on kept connections, and connects anew whenever it is asked to. Every request on a connection
/// that was established must be answered. Ends when nobody listens any more.
async fn call_until_refused(address: std::net::SocketAddr, record: u32) -> usize {
    let request = format!("DELETE /bigin/v2/Contacts/{record}/photo HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut answered = 0;
    'connections: loop {
        let Ok(mut stream) = TcpStream::connect(address).await else {
            return answered;
        };
        loop {
            stream
                .write_all(request.as_bytes())
                .await
                .expect("the proxy does not cut");
            let mut buffer = [0; 4096];
            let count = stream
                .read(&mut buffer)
                .await
                .expect("the proxy does not cut");
            let text = String::from_utf8_lossy(&buffer[..count]).to_ascii_lowercase();
            assert!(
                text.starts_with("http/1.1 200"),
                "after {answered}: {text:?}"
            );
            answered += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
            if text.contains("connection: close") {
                continue 'connections;
            }
        }
    }
}

#[tokio::test]
async fn leaving_is_unready_at_once_and_still_serves_and_asks_callers_to_go() {
    let zoho = Sandbox::start().await;
    let app = TestApp::with(&zoho, "server.drain_delay = \"1s\"").await;
    let begun = Instant::now();
    app.ask_to_end(false);

    eventually("unready", async || app.readyz().await.status == 503).await;
    let reply = app.delete_photo("Contacts", 1).await;
    assert_eq!(
        (reply.outcome(), reply.header("connection")),
        ("deleted", "close")
    );
    assert_eq!(app.admin("/livez").await.status, 200);

    assert_eq!(app.end(false).await, Ending::Clean);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn requests_in_work_are_finished_and_new_connections_refused() {
    let zoho = Sandbox::start().await;
    let app = TestApp::with(&zoho, "").await;
    let address = app.address;
    zoho.on_delete(
        When::Next(1),
        ApiFault::before(ApiFaultKind::Slow { milliseconds: 600 }),
    );

    let (reply, ()) = tokio::join!(app.delete_photo("Contacts", 1), async {
        eventually("the call is under way", async || zoho.ledger().calls == 1).await;
        app.ask_to_end(true);
        eventually("nobody listens", async || {
            TcpStream::connect(address).await.is_err()
        })
        .await;
    });

    assert_eq!(reply.outcome(), "deleted");
    assert_eq!(app.end(true).await, Ending::Clean);
}

#[tokio::test]
async fn callers_that_the_kernel_has_accepted_are_served_although_there_is_no_room_for_them_yet() {
    let zoho = Sandbox::start().await;
    let app = TestApp::with(&zoho, "server.max_connections = 10").await;
    let idle: Vec<_> = join_all((0..10).map(|_| connect_and_send(app.address))).await;
    eventually("all are served", async || {
        zoho.ledger().deletions.len() == 10
    })
    .await;
    let waiting: Vec<_> = join_all((0..200).map(|_| connect_and_send(app.address))).await;
    app.ask_to_end(true);

    for mut stream in waiting {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text:?}");
    }
    assert_eq!(app.end(true).await, Ending::Clean);
    drop(idle);
}

async fn connect_and_send(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    stream
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_end() {
    let zoho = Sandbox::start().await;
    let app = TestApp::with(&zoho, "").await;
    let idle = TcpStream::connect(app.address).await.unwrap();
    let mut used = TcpStream::connect(app.address).await.unwrap();
    used.write_all(REQUEST).await.unwrap();
    assert!(used.read(&mut [0; 4096]).await.unwrap() > 0);

    let begun = Instant::now();
    assert_eq!(app.end(true).await, Ending::Clean);

    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    drop((idle, used));
}

#[tokio::test]
async fn a_drain_that_takes_too_long_is_cut_and_says_so() {
    let zoho = Sandbox::start().await;
    let keys = "server.drain_delay = \"0s\"\nserver.drain_timeout = \"200ms\"";
    let mut program = Program::serve(&config_for(&zoho, keys));
    let (address, admin) = program.addresses();
    let ready = format!("http://{admin}/readyz");
    eventually("ready", async || {
        client().get(&ready).send().await.unwrap().status() == 200
    })
    .await;
    zoho.on_delete(When::Always, ApiFault::before(ApiFaultKind::Hang));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    eventually("the call is under way", async || zoho.ledger().calls == 1).await;

    program.signal("TERM");
    let (code, _) = tokio::task::spawn_blocking(|| program.end()).await.unwrap();

    assert_eq!(code, 3);
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let zoho = Sandbox::start().await;
    let mut program = Program::serve(&config_for(&zoho, "server.drain_delay = \"1h\""));
    program.addresses();
    let begun = Instant::now();
    program.signal("TERM");
    program.line("leaving: still serving, no longer ready");
    program.signal("TERM");

    let (code, _) = tokio::task::spawn_blocking(|| program.end()).await.unwrap();

    assert_eq!(code, 3);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn ctrl_c_skips_the_delay() {
    let zoho = Sandbox::start().await;
    let mut program = Program::serve(&config_for(&zoho, "server.drain_delay = \"1h\""));
    program.addresses();
    let begun = Instant::now();
    program.signal("INT");

    let (code, _) = tokio::task::spawn_blocking(|| program.end()).await.unwrap();

    assert_eq!(code, 0);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_port_that_another_process_holds_is_refused_at_the_start() {
    let zoho = Sandbox::start().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    for threads in [1, 4] {
        let config = config_for(&zoho, &format!("server.threads = {threads}")).replace(
            "server.listen = \"127.0.0.1:0\"",
            &format!("server.listen = \"{address}\""),
        );
        let (code, _, stderr) = Program::run(&["serve"], Some(&config));

        assert_eq!(code, 1);
        assert!(
            stderr.contains("server.listen") && stderr.contains("in use"),
            "{stderr}"
        );
    }
}

#[tokio::test]
async fn a_port_that_another_process_would_share_is_refused_too() {
    let zoho = Sandbox::start().await;
    let taken = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    taken.set_reuse_port(true).unwrap();
    taken
        .bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    taken.listen(1).unwrap();
    let address = taken.local_addr().unwrap().as_socket().unwrap();
    for threads in [1, 4] {
        let config = config_for(&zoho, &format!("server.threads = {threads}")).replace(
            "server.listen = \"127.0.0.1:0\"",
            &format!("server.listen = \"{address}\""),
        );
        let (code, _, stderr) = Program::run(&["serve"], Some(&config));

        assert_eq!(
            (code, stderr.contains("in use")),
            (1, true),
            "{threads} threads: {stderr}"
        );
    }
}

#[test]
fn the_version_tells_the_commit() {
    let (code, stdout, _) = Program::run(&["--version"], None);

    assert_eq!(code, 0);
    assert!(
        stdout.starts_with("bigin-photo-proxy 0.") && stdout.contains("commit"),
        "{stdout}"
    );
}

#[test]
fn the_help_documents_the_exit_codes() {
    let (code, stdout, _) = Program::run(&["--help"], None);

    assert_eq!(code, 0);
    for line in [
        "0  ended as asked",
        "1  could not start",
        "2  the command line",
        "3  ended as asked",
    ] {
        assert!(stdout.contains(line), "{stdout}");
    }
}

#[test]
fn a_wrong_command_line_exits_2() {
    assert_eq!(Program::run(&["delete-everything"], None).0, 2);
    assert_eq!(Program::run(&["serve"], None).0, 2);
}

#[tokio::test]
async fn a_signal_that_comes_while_the_certificates_are_read_is_obeyed() {
    let roots = std::env::temp_dir().join(format!("roots-{:016x}.pem", fastrand::u64(..)));
    let made = std::process::Command::new("mkfifo").arg(&roots).status();
    assert!(made.unwrap().success());
    let zoho = Sandbox::start().await;
    let config = config_for(&zoho, "server.drain_delay = \"0s\"")
        .replace(&zoho.api_url(), "https://127.0.0.1:9");
    let mut program = Program::serve_in(&[("SSL_CERT_FILE", roots.to_str().unwrap())], &config);
    let authority = rcgen::KeyPair::generate().and_then(|key| {
        rcgen::CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)
    });

    let (code, log) = tokio::task::spawn_blocking(move || {
        // It opens for as long as the program reads, and no sooner.
        let mut pipe = std::fs::OpenOptions::new()
            .write(true)
            .open(&roots)
            .unwrap();
        program.signal("TERM");
        pipe.write_all(authority.unwrap().pem().as_bytes()).unwrap();
        drop(pipe);
        std::fs::remove_file(roots).unwrap();
        program.addresses();
        program.end()
    })
    .await
    .unwrap();

    assert_eq!(code, 0, "{log}");
    assert!(
        log.contains("closing: finishing what was accepted"),
        "{log}"
    );
}

#[tokio::test]
async fn it_serves_only_when_it_says_so() {
    let roots = std::env::temp_dir().join(format!("roots-{:016x}.pem", fastrand::u64(..)));
    std::fs::write(&roots, "no certificate").unwrap();
    let zoho = Sandbox::start().await;
    let config = config_for(&zoho, "").replace(&zoho.api_url(), "https://127.0.0.1:9");
    let variables = [
        ("SSL_CERT_FILE", roots.to_str().unwrap()),
        ("SSL_CERT_DIR", "/nonexistent"),
    ];

    let (code, stdout, stderr) = Program::run_in(&variables, &["serve"], Some(&config));

    std::fs::remove_file(&roots).unwrap();
    assert_eq!(code, 1, "{stderr}");
    assert!(!stdout.contains("\"serving\""), "{stdout}");
}

#[tokio::test]
async fn it_raises_its_limit_of_descriptors_and_warns_if_that_is_not_enough() {
    let zoho = Sandbox::start().await;
    let mut program = Program::serve_after("ulimit -S -n 100", &config_for(&zoho, ""));
    program.addresses();
    let limits = program.proc_file("limits");
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let fields: Vec<_> = line.unwrap().split_whitespace().collect();
    assert_eq!(fields[3], fields[4], "the soft one is the hard one");

    let mut program = Program::serve_after("ulimit -n 1000", &config_for(&zoho, ""));
    let message =
        "server.max_connections does not fit into the limit of descriptors: fewer are held";
    let warning = program.line(message);
    assert_eq!(
        (&warning["level"], &warning["descriptors"]),
        (&json!("WARN"), &json!(1000))
    );
    // Two for each of ten calls, 256 for operators, 64 for the rest.
    assert_eq!(warning["fitting"], 1000 - 20 - 256 - 64);
    program.addresses();
}

#[tokio::test]
async fn it_leaves_no_core_file() {
    let zoho = Sandbox::start().await;
    let mut program = Program::serve(&config_for(&zoho, ""));
    program.addresses();

    let limits = program.proc_file("limits");
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let fields: Vec<_> = line.unwrap().split_whitespace().collect();
    assert_eq!((fields[4], fields[5]), ("0", "0"));
}

#[tokio::test]
async fn the_sandbox_greets_only_if_it_listens() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let listen = ("BIGIN_PHOTO_PROXY__SERVER__LISTEN", address.as_str());

    let (code, stdout, stderr) = Program::run_in(&[listen], &["sandbox"], None);

    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("server.listen"), "{stderr}");
}

#[tokio::test]
async fn the_sandbox_has_an_account_of_its_own_whatever_the_environment_says() {
    let mut program = Program::sandbox(&[
        ("BIGIN_PHOTO_PROXY__SERVER__LISTEN", "127.0.0.1:0"),
        ("BIGIN_PHOTO_PROXY__ADMIN__LISTEN", "127.0.0.1:0"),
        ("BIGIN_PHOTO_PROXY__LOG__FORMAT", "json"),
        ("BIGIN_PHOTO_PROXY__ACCOUNTS__MAIN__CLIENT_ID", "1000.ID"),
        ("BIGIN_PHOTO_PROXY__accounts__SANDBOX__DATA_CENTER", "eu"),
        ("BIGIN_PHOTO_PROXY__ACCOUNTS", "x"),
        ("BIGIN_PHOTO_PROXY__DEFAULT_ACCOUNT", "main"),
    ]);

    let guide = program.lines_until("Ctrl-C ends it. Below: the proxy's log.");
    let (address, admin) = program.addresses();
    assert!(
        guide.contains(&format!("http://{address}/bigin/v2/")),
        "{guide}"
    );
    assert!(
        guide.contains(&format!("http://{admin}/metrics")),
        "{guide}"
    );
    let ready = format!("http://{admin}/readyz");
    eventually("ready", async || {
        let reply = client().get(&ready).send().await;
        reply.is_ok_and(|reply| reply.status() == 200)
    })
    .await;
    program.signal("INT");
    let (code, _) = tokio::task::spawn_blocking(|| program.end()).await.unwrap();

    assert_eq!(code, 0);
}
