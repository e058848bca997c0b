//! The text that the control interface answers with when asked what it can do.

/// One line for each thing to do, as a command to paste.
pub(crate) fn text(api_url: &str) -> String {
    GUIDE.replace("{url}", api_url)
}

const GUIDE: &str = r#"The control interface of this Zoho sandbox.

What really happened:
  curl {url}/__sandbox/ledger

The settings, and changing some of them:
  curl {url}/__sandbox/settings
  curl -X PATCH {url}/__sandbox/settings -d '{"concurrency":5,"token_lifetime_seconds":30}'

A fault of the token endpoint, of the API, and an end to all of them:
  curl {url}/__sandbox/faults/token -d '{"when":{"next":1},"fault":{"kind":"throttled","status":400}}'
  curl {url}/__sandbox/faults/delete -d '{"when":{"share":0.1},"fault":{"kind":"reset","carried_out":true}}'
  curl -X DELETE {url}/__sandbox/faults

All access tokens end at once, or only the oldest:
  curl -X POST {url}/__sandbox/revoke
  curl -X POST {url}/__sandbox/evict

Back to the start, settings excepted:
  curl -X POST {url}/__sandbox/reset
"#;
