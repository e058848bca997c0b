//! A proxy in front of a sandbox, where a row of the contract is played and everything is checked that it says.

use std::collections::BTreeMap;

use serde_json::Value;
use zoho_sandbox::{ApiFault, Sandbox, When};

use super::row::{Expected, ID, Request};
use crate::support::{Reply, TestApp, Wire, eventually};

/// A proxy in front of a sandbox.
pub(super) struct Scene {
    pub(super) zoho: Sandbox,
    pub(super) app: TestApp,
}

impl Scene {
    /// With its first token at hand, which Zoho has accepted.
    pub(super) async fn new() -> Self {
        Self::with("").await
    }

    /// The same with more keys.
    pub(super) async fn with(keys: &str) -> Self {
        let zoho = Sandbox::start().await;
        let app = TestApp::with(&zoho, keys).await;
        let scene = Self { zoho, app };
        scene.expect(&Request::photo(), &Expected::deleted()).await;
        scene
    }

    /// What becomes of a deletion when every call to the API meets this fault.
    pub(super) async fn always(&self, fault: ApiFault, expected: &Expected) {
        self.zoho.on_delete(When::Always, fault);
        self.expect(&Request::photo(), expected).await;
        self.zoho.well();
    }

    /// What becomes of a deletion when the calls meet these faults, one each.
    pub(super) async fn once(
        &self,
        faults: impl IntoIterator<Item = ApiFault>,
        expected: &Expected,
    ) {
        for fault in faults {
            self.zoho.on_delete(When::Next(1), fault);
        }
        self.expect(&Request::photo(), expected).await;
        self.zoho.well();
    }

    /// Sends a request, and checks everything that anybody can see of what becomes of it.
    pub(super) async fn expect(&self, request: &Request, expected: &Expected) -> Reply {
        let request_id = format!("row-{:016x}", fastrand::u64(..));
        let (counted, seen) = (self.counted().await, self.zoho.ledger().calls);

        let mut wire = Wire::to(self.app.address).await;
        wire.send(request.bytes(&request_id).as_bytes()).await;
        let reply = wire.answer().await.expect("an answer");

        check_reply(&reply, expected, &request_id);
        if expected.closes {
            assert!(wire.answer().await.is_none());
        }
        assert_eq!(self.zoho.ledger().calls - seen, expected.seen, "calls");
        self.check_counters(&counted, request, expected).await;
        let line = self.check_log(&request_id, request, expected).await;
        self.check_audit(&line, request, expected).await;
        reply
    }

    /// Every series that counts something once a request, or once a call.
    async fn counted(&self) -> BTreeMap<String, u64> {
        const COUNTERS: [&str; 5] = [
            "bigin_photo_deletes_total{",
            "http_server_request_duration_seconds_count{",
            "http_client_request_duration_seconds_count{",
            "bigin_inbound_errors_total{",
            "bigin_panics_total",
        ];
        let text = self.app.admin("/metrics").await.body;
        let counters = text
            .lines()
            .filter(|line| COUNTERS.iter().any(|name| line.starts_with(name)));
        let series = counters.map(|line| line.rsplit_once(' ').unwrap());
        series
            .map(|(series, value)| (series.to_owned(), value.parse().unwrap()))
            .collect()
    }

    /// One request more, its deletion once with module, outcome and code, its calls; and nothing else.
    async fn check_counters(
        &self,
        before: &BTreeMap<String, u64>,
        request: &Request,
        expected: &Expected,
    ) {
        let after = self.counted().await;
        let risen = after.iter().filter_map(|(series, value)| {
            let rise = value - before.get(series).unwrap_or(&0);
            (rise > 0).then_some((series.as_str(), rise))
        });
        let risen: Vec<_> = risen.collect();
        let rise = |labels: &[&str]| -> u64 {
            let of_them = risen
                .iter()
                .filter(|(series, _)| labels.iter().all(|label| series.contains(label)));
            of_them.map(|(_, rise)| rise).sum()
        };
        let Expected {
            status,
            counted_as,
            outcome,
            ..
        } = expected;
        let labels = [
            "bigin_photo_deletes_total",
            "account=\"main\"",
            &format!("module=\"{}\"", request.module()),
            &format!("outcome=\"{outcome}\""),
            &format!("code=\"{counted_as}\""),
        ];
        let status = format!("http_response_status_code=\"{status}\"");
        let deletions = u64::from(expected.understood);
        let calls = expected.calls;
        let counted = [
            rise(&labels),
            rise(&["bigin_photo_deletes_total"]),
            rise(&["http_server_request", &status]),
            rise(&["http_client_request"]),
            rise(&[]),
        ];
        let wanted = [deletions, deletions, 1, calls, deletions + 1 + calls];
        assert_eq!(
            counted, wanted,
            "deletion, deletions, requests, calls, all counters: {risen:?}"
        );
    }

    async fn check_log(&self, request_id: &str, request: &Request, expected: &Expected) -> Value {
        let line = self.app.log_line(request_id).await;
        let text = |key: &str| line[key].as_str().unwrap_or_default();
        assert_eq!(line["status"], expected.status, "{line}");
        assert_eq!(text("outcome"), expected.outcome, "{line}");
        assert_eq!(text("code"), expected.counted_as, "{line}");
        assert_eq!(text("act"), expected.act, "{line}");
        assert_eq!(line["calls"], expected.calls, "{line}");
        let (account, module) = if expected.understood {
            ("main", request.module())
        } else {
            ("", "")
        };
        assert_eq!((text("account"), text("module")), (account, module));
        assert!(text("peer").starts_with("127.0.0.1:"), "{line}");
        assert!(!line.to_string().contains(&ID.to_string()), "{line}");
        line
    }

    /// A deletion that was understood leaves one event, which alone names the record; anything else leaves none.
    async fn check_audit(&self, line: &Value, request: &Request, expected: &Expected) {
        let request_id = line["request_id"].as_str().unwrap();
        let count = usize::from(expected.understood);
        eventually("the deletion is audited", async || {
            self.app.audit_events(request_id).len() >= count
        })
        .await;
        let events = self.app.audit_events(request_id);
        assert_eq!(events.len(), count, "{events:?}");
        for event in events {
            assert_eq!(event["target"], "audit");
            assert_eq!(event["account"], "main");
            assert_eq!(event["module"], request.module());
            assert_eq!(event["record_id"], ID.to_string());
            assert_eq!(event["outcome"], expected.outcome, "{event}");
            assert_eq!(event["code"], expected.counted_as, "{event}");
            assert_eq!(event["attempts"], expected.calls, "{event}");
            assert_eq!(event["peer"], line["peer"]);
        }
    }
}

/// Status, code, outcome, and the headers that every answer carries.
fn check_reply(reply: &Reply, expected: &Expected, request_id: &str) {
    assert_eq!(reply.status.as_u16(), expected.status, "{reply:?}");
    assert_eq!(reply.outcome(), expected.outcome, "{reply:?}");
    assert_eq!(
        reply.header("proxy-status"),
        format!("bigin-photo-proxy; {}", expected.proxy_status)
    );
    assert_eq!(reply.header("x-request-id"), request_id);
    let wait = reply.header("retry-after").parse().ok();
    match (&expected.retry_after, wait) {
        (None, None) => {}
        (Some(range), Some(wait)) => assert!(range.contains(&wait), "{wait} s, not {range:?}"),
        _ => panic!("not {:?}: {reply:?}", expected.retry_after),
    }
    let closes = if expected.closes { "close" } else { "" };
    assert_eq!(reply.header("connection"), closes);

    let envelope = reply.json();
    let code = &envelope["code"];
    let code = code.as_str().map_or(code.to_string(), ToOwned::to_owned);
    assert_eq!(code, expected.code, "{envelope}");
    if let Some(retry) = expected.retry {
        let details = serde_json::json!({
            "outcome": expected.outcome,
            "retry": retry,
            "act": expected.act,
            "request_id": request_id,
        });
        assert_eq!(envelope["details"], details);
        assert_eq!(envelope["status"], "error");
        assert_eq!(envelope.as_object().unwrap().len(), 4, "{envelope}");
        assert!(!envelope["message"].as_str().unwrap().is_empty());
        assert_eq!(
            reply.header("content-type"),
            "application/json;charset=UTF-8"
        );
    }
}
