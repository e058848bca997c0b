//! The metrics: what there is, that the page about them says the same, and that nobody can make them more.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use futures_util::future::join_all;
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, TokenFault, When};

use crate::support::{TestApp, eventually};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");

#[test]
fn the_page_about_the_metrics_says_what_the_program_declares() {
    let page = bigin_photo_proxy::telemetry::metrics_page();
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }

    assert_eq!(std::fs::read_to_string(PAGE).unwrap(), page);
}

/// One line of Prometheus' text: its metric, and its labels.
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
}

impl Series {
    fn all(text: &str) -> Vec<Self> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(Self::parse).collect()
    }

    fn parse(line: &str) -> Self {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        // No value has a quote in it.
        let labels = labels.trim_end_matches('}').split_terminator("\",");
        let labels = labels.map(|label| {
            let (key, value) = label.split_once("=\"").unwrap();
            (key.to_owned(), value.trim_end_matches('"').to_owned())
        });
        Self {
            name: name.to_owned(),
            labels: labels.collect(),
        }
    }

    fn is_bucket(&self) -> bool {
        self.name.ends_with("_bucket")
    }

    /// As the page has it.
    fn family(&self) -> &str {
        let is_histogram = self.name.starts_with("http_");
        let suffixes = ["_bucket", "_sum", "_count"].into_iter();
        suffixes
            .filter(|_| is_histogram)
            .find_map(|suffix| self.name.strip_suffix(suffix))
            .unwrap_or(&self.name)
    }
}

/// What no sane caller sends.
async fn odd_requests(app: &TestApp) {
    for number in 0..40 {
        app.delete(&format!("/bigin/v2/Module{number}/{number}/photo"))
            .await;
        app.delete(&format!("/account{number}/bigin/v2/Contacts/1/photo"))
            .await;
        app.delete(&format!("/bigin/v2/Contacts/1/photo?{number}"))
            .await;
        app.delete(&format!("/path/{number}")).await;
        let odd = reqwest::Method::from_bytes(format!("ODD{number}").as_bytes()).unwrap();
        let url = app.url("/bigin/v2/Contacts/1/photo");
        app.client().request(odd, url).send().await.unwrap();
        let timeout = app.client().delete(app.url("/bigin/v2/Contacts/1/photo"));
        let timeout = timeout.header("request-timeout", format!("{}", number % 2));
        timeout.send().await.unwrap();
    }
}

/// Faults of many kinds, one after another, for every module.
async fn faults(zoho: &Sandbox, app: &TestApp) {
    let answer = |status, code: &str| ApiFaultKind::Answer {
        status,
        code: code.into(),
        message: "on purpose".to_owned(),
    };
    let mut faults = vec![
        ApiFaultKind::Html { status: 503 },
        ApiFaultKind::Redirect {
            status: 302,
            location: "http://127.0.0.1:9/".to_owned(),
        },
        ApiFaultKind::Reset,
        ApiFaultKind::Close,
        ApiFaultKind::Garbage,
        ApiFaultKind::EmptyOk,
        answer(429, "TOO_MANY_REQUESTS"),
    ];
    // Every code that Zoho documents, and statuses and codes that nobody does.
    for code in bigin_photo_proxy::zoho::Code::ALL {
        let refusals = [400, 401, 403, 500].into_iter();
        faults.extend(refusals.map(|status| answer(status, code.as_str())));
    }
    let strange = (400..600).step_by(3);
    faults.extend(strange.map(|status| answer(status, &format!("CODE_{status}"))));
    for fault in faults {
        for module in ["Contacts", "Accounts", "Products"] {
            zoho.on_delete(When::Next(2), ApiFault::before(fault.clone()));
            app.delete_photo(module, 7).await;
        }
        zoho.well();
    }
    zoho.revoke_tokens();
    zoho.on_token(When::Always, TokenFault::Html { status: 503 });
    join_all((1..100).map(|id| app.delete_photo("Contacts", id))).await;
}

#[tokio::test]
async fn an_account_has_at_most_300_series_whatever_callers_send_and_zoho_answers() {
    let zoho = Sandbox::start().await;
    let app = TestApp::with(&zoho, "upstream.queue = 1").await;
    odd_requests(&app).await;
    faults(&zoho, &app).await;
    let before = Series::all(&app.admin("/metrics").await.body);

    odd_requests(&app).await;

    let text = app.admin("/metrics").await.body;
    let after = Series::all(&text);
    assert_eq!(after.len(), before.len(), "callers made more of them");
    let counted: Vec<_> = after.iter().filter(|it| !it.is_bucket()).collect();
    let of_account = |it: &&&Series| it.labels.contains_key("account");
    let (all, of_account) = (counted.len(), counted.iter().filter(of_account).count());
    assert!(of_account > 150, "the faults did not show: {of_account}");
    assert!(of_account <= 300, "{of_account} of {all}: {text}");
    assert!(all - of_account <= 300, "{of_account} of {all}: {text}");
    is_on_the_page(&after);
    is_clean(&text);
}

/// Whatever is scraped stands in `docs/metrics.md`, with its labels, and with their values where the page lists them.
fn is_on_the_page(series: &[Series]) {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let sections: BTreeMap<_, _> = page
        .split("\n## `")
        .skip(1)
        .map(|section| section.split_once('`').unwrap())
        .collect();
    let unknown: BTreeSet<_> = series
        .iter()
        .filter(|it| it.family() != "target_info")
        .flat_map(|it| {
            let section = sections.get(it.family()).copied().unwrap_or_default();
            let labels = it.labels.iter().filter(|(label, _)| *label != "le");
            let missing = labels.filter(|(label, value)| {
                let line = format!("\n- `{label}`: ");
                let Some((_, values)) = section.split_once(&line) else {
                    return true;
                };
                let values = values.lines().next().unwrap();
                values.starts_with('`')
                    && !values.starts_with("`control`")
                    && !values.contains(&format!("`{value}`"))
            });
            let missing = missing.map(|(label, value)| format!("{} {label}={value}", it.name));
            missing.chain(section.is_empty().then(|| it.name.clone()))
        })
        .collect();
    assert!(unknown.is_empty(), "not on the page: {unknown:?}");
}

/// Prometheus' own checker has nothing to say.
fn is_clean(text: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool, of Debian's package prometheus");
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let checked = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success() && said.is_empty(), "{said}");
}

#[tokio::test]
async fn what_has_not_happened_yet_is_counted_as_zero_so_that_its_first_time_is_a_rise() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    let text = app.admin("/metrics").await.body;

    for series in [
        "bigin_panics_total 0",
        r#"bigin_inbound_errors_total{kind="head_timeout"} 0"#,
        r#"bigin_inbound_rejected_total{code="CALLER_UNAUTHORIZED"} 0"#,
        r#"bigin_token_requests_total{account="main",result="refused"} 0"#,
        r#"bigin_retries_total{account="main",result="lost"} 0"#,
        r#"bigin_token_waits_total{account="main"} 0"#,
        r#"bigin_token_store_tampered_total{account="main"} 0"#,
        r#"bigin_token_foreign_api_domains_total{account="main"} 0"#,
    ] {
        assert!(text.contains(series), "{series}: {text}");
    }
}

#[tokio::test]
async fn a_second_call_is_won_or_lost_or_refused_by_the_budget() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    zoho.on_delete(When::Next(1), ApiFault::before(ApiFaultKind::Close));
    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "deleted");
    zoho.on_delete(
        When::Always,
        ApiFault::before(ApiFaultKind::Html { status: 503 }),
    );
    // Ten in the bucket, one of them used, and a tenth of each request.
    for id in 2..=20 {
        app.delete_photo("Contacts", id).await;
    }

    let won = app
        .metric("bigin_retries_total", &[r#"result="won""#])
        .await;
    let lost = app
        .metric("bigin_retries_total", &[r#"result="lost""#])
        .await;
    let refused = app.metric("bigin_retries_refused_total", &[]).await;
    assert!((won - 1.0).abs() < 0.5, "{won}");
    assert!(lost >= 9.0 && refused >= 5.0, "{lost} {refused}");
    assert!((lost + refused - 19.0).abs() < 0.5, "{lost} {refused}");
}

#[tokio::test]
async fn who_must_act_is_told_and_requests_that_name_no_photo_are_counted_apart() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    app.delete("/bigin/v2/Contacts/x/photo").await;
    app.delete("/bigin/v2/Companies/1/photo").await;
    let mismatch = ApiFaultKind::Answer {
        status: 401,
        code: "OAUTH_SCOPE_MISMATCH".into(),
        message: "invalid oauth scope".to_owned(),
    };
    zoho.on_delete(When::Next(1), ApiFault::before(mismatch));
    app.delete_photo("Contacts", 1).await;

    for (name, labels, expected) in [
        (
            "bigin_inbound_rejected_total",
            &[r#"code="INVALID_DATA""#][..],
            1.0,
        ),
        (
            "bigin_inbound_rejected_total",
            &[r#"code="INVALID_MODULE""#],
            1.0,
        ),
        (
            "bigin_photo_deletes_total",
            &[r#"code="OAUTH_SCOPE_MISMATCH""#, r#"act="zoho-admin""#],
            1.0,
        ),
        ("bigin_photo_deletes_total", &[], 1.0),
    ] {
        let value = app.metric(name, labels).await;
        assert!((value - expected).abs() < 0.5, "{name} {labels:?}: {value}");
    }
}

#[tokio::test]
async fn the_token_is_told_by_version_life_and_cool_down() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    assert_eq!(app.delete_photo("Contacts", 1).await.outcome(), "deleted");
    let version = app.metric("bigin_token_version", &[]).await;
    let live = app.metric("bigin_token_live", &[]).await;
    assert!(
        version >= 1.0 && (live - 1.0).abs() < 0.5,
        "{version} {live}"
    );

    zoho.revoke_tokens();
    assert_eq!(app.delete_photo("Contacts", 2).await.outcome(), "deleted");
    let newer = app.metric("bigin_token_version", &[]).await;
    let live = app.metric("bigin_token_live", &[]).await;
    assert!(
        newer > version && (live - 2.0).abs() < 0.5,
        "{newer} {live}"
    );

    zoho.on_token(When::Always, TokenFault::Html { status: 503 });
    zoho.revoke_tokens();
    app.delete_photo("Contacts", 3).await;
    eventually("it cools down", async || {
        app.metric("bigin_token_cooldown_seconds", &[]).await > 1.0
    })
    .await;
    let version = app.metric("bigin_token_version", &[]).await;
    assert!(version.abs() < 0.5, "{version}");
}

#[tokio::test]
async fn what_the_process_and_its_runtimes_use_is_told() {
    let zoho = Sandbox::start().await;
    let app = TestApp::spawn(&zoho).await;
    for (name, labels, least, most) in [
        ("process_cpu_seconds_total", &[][..], 0.001, 1e4),
        ("process_resident_memory_bytes", &[], 1e6, 1e10),
        ("process_virtual_memory_bytes", &[], 1e6, 1e15),
        ("process_open_fds", &[], 3.0, 1e6),
        ("process_max_fds", &[], 3.0, 1e10),
        ("process_start_time_seconds", &[], 1.7e9, 1e10),
        ("tokio_runtime_tasks", &[r#"runtime="control""#], 1.0, 1e4),
        (
            "tokio_runtime_tasks",
            &[r#"runtime="data-path-0""#],
            0.0,
            1e4,
        ),
        (
            "tokio_runtime_busy_seconds_total",
            &[r#"runtime="control""#],
            1e-9,
            1e4,
        ),
    ] {
        let value = app.metric(name, labels).await;
        assert!((least..=most).contains(&value), "{name}: {value}");
    }
}
