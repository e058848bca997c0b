//! The status page: for people who have no dashboards at hand. One page of HTML without a script, which is written anew for
//! whoever asks. It holds no secret and no record id.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_SECURITY_POLICY;
use ring::digest::{SHA256, digest};

use super::history::{Deletions, History, MINUTES};
use crate::telemetry::{AccountGauges, AccountReading};
use crate::token::{Failure, Slot, Standing};
use crate::zoho::{DataCenter, Origin};

const TEMPLATE: &str = include_str!("status.html");

/// An account, as the operators' listener knows it.
pub struct Account {
    /// Its name.
    pub name: String,
    /// Where its API is.
    pub api: Origin,
    /// Where its token lies.
    pub slot: Arc<Slot>,
}

/// What the page is written from.
pub(super) struct Status {
    pub(super) gauges: Arc<[AccountGauges]>,
    pub(super) history: Arc<History>,
}

/// How it is with an account, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mood {
    Good,
    Idle,
    Warn,
    Bad,
}

impl Mood {
    const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Idle => "idle",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// An account at a moment.
struct Seen<'a> {
    name: &'a str,
    api: &'a Origin,
    standing: Standing,
    reading: AccountReading,
}

impl Status {
    /// The page; `unready` is why callers are not sent here, if they are not.
    pub(super) fn page(&self, accounts: &[Account], unready: Option<&str>) -> Response {
        let accounts: Vec<_> = accounts
            .iter()
            .zip(self.gauges.iter())
            .map(|(account, gauges)| Seen {
                name: &account.name,
                api: &account.api,
                standing: account.slot.standing(),
                reading: (gauges.read)(),
            })
            .collect();
        let page = render(&accounts, &self.history.minutes(), unready);
        ([(CONTENT_SECURITY_POLICY, policy())], Html(page)).into_response()
    }
}

fn render(accounts: &[Seen<'_>], minutes: &[(u64, Deletions)], unready: Option<&str>) -> String {
    let mut cards = String::new();
    let mut worst = (Mood::Good, "all is well".to_owned());
    for account in accounts {
        let (mood, word, why) = state(account.standing, &account.reading);
        if mood > worst.0 {
            worst = (mood, format!("{}: {word}", account.name));
        }
        card(&mut cards, account, (mood, word, &why));
        traffic(&mut cards, account.name, minutes);
        cards.push_str("</section>\n");
    }
    if unready == Some("draining") {
        worst = (Mood::Warn, "leaving, no longer ready".to_owned());
    }
    let (mood, state) = worst;
    let now = humantime::format_rfc3339_seconds(now()).to_string();
    TEMPLATE
        .replace("{{class}}", mood.class())
        .replace("{{state}}", &escape(&state))
        .replace("{{when}}", &now.replace('T', " ").replace('Z', " UTC"))
        .replace("{{version}}", crate::VERSION)
        .replace("{{errors}}", &errors(minutes))
        .replace("{{accounts}}", &cards)
}

/// How it is with an account, in a word, and in a sentence if that is not enough.
fn state(standing: Standing, now: &AccountReading) -> (Mood, &'static str, String) {
    let has_token = now.token_version > 0;
    match standing {
        Standing::Failed(failure) => {
            let act = match failure {
                Failure::Refused(_) => {
                    "The operator must act: the credentials are wrong or revoked."
                }
                Failure::Unreached(_) | Failure::Transient(_) | Failure::Throttled(_) => {
                    "It is tried again by itself."
                }
            };
            let why = format!("The latest token request failed: {failure}. {act}");
            match (has_token, failure) {
                (false, _) => (Mood::Bad, "no token", why),
                (true, Failure::Refused(_)) => (Mood::Bad, "token cannot be renewed", why),
                (true, _) => (Mood::Warn, "token is not renewed yet", why),
            }
        }
        _ if now.breaker_open => {
            let why = "Connections to Zoho's API fail; one call in five seconds finds out whether they work again.";
            (Mood::Bad, "Zoho is unreachable", why.to_owned())
        }
        _ if now.credits_remaining == Some(0) || now.daily_calls_remaining == Some(0) => {
            let why = "The calls of the day are spent. The Zoho administrator or the operator can allow more.";
            (Mood::Bad, "no calls left", why.to_owned())
        }
        Standing::Untried => (Mood::Idle, "starting", String::new()),
        Standing::Good if !has_token => (Mood::Warn, "waiting for a token", String::new()),
        Standing::Good => (Mood::Good, "well", String::new()),
    }
}

/// An account's card, as far as its traffic.
fn card(out: &mut String, account: &Seen<'_>, (mood, word, why): (Mood, &str, &str)) {
    let now = &account.reading;
    let center = DataCenter::of_api(account.api);
    let center = center.map_or_else(String::new, |it| format!("data center {} · ", it.name));
    let facts = [
        ("Token lives", life_left(now.token_expiry)),
        ("Token requests left", now.token_budget.to_string()),
        (
            "Next one allowed",
            match now.token_cooldown {
                Duration::ZERO => "now".to_owned(),
                wait => format!("in {}", span(wait)),
            },
        ),
        (
            "Tokens alive",
            format!("{} <small>of 10</small>", now.tokens_live),
        ),
        (
            "Calls in flight",
            format!("{} <small>of {}</small>", now.in_flight, now.cap),
        ),
        ("Requests waiting", now.waiting.to_string()),
        (
            "Credits left",
            number_or(now.credits_remaining, "not told yet"),
        ),
        (
            "Daily calls left",
            number_or(now.daily_calls_remaining, "no limit"),
        ),
    ];
    let facts = facts.map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>"));
    let why = match why {
        "" => String::new(),
        why => format!("<p class=\"why\">{}</p>\n", escape(why)),
    };
    append(
        out,
        format_args!(
            "<section class=\"account\">\n<div class=\"top\"><h2>{}</h2><span class=\"quiet\">{center}{}</span>\
         <span class=\"state {}\">{word}</span></div>\n{why}<dl>{}</dl>\n",
            escape(account.name),
            escape(account.api.host()),
            mood.class(),
            facts.concat(),
        ),
    );
}

/// The bars of an account's last hour, one a minute.
fn traffic(out: &mut String, account: &str, minutes: &[(u64, Deletions)]) {
    let mut bars = BTreeMap::<u64, (u64, u64)>::new();
    for (ago, deletions) in minutes {
        let (deleted, not) = bars.entry(*ago).or_default();
        for (kind, count) in deletions.iter().filter(|(kind, _)| kind.account == account) {
            *(if kind.is_deleted() {
                &mut *deleted
            } else {
                &mut *not
            }) += count;
        }
    }
    let deleted: u64 = bars.values().map(|(deleted, _)| deleted).sum();
    let not: u64 = bars.values().map(|(_, not)| not).sum();
    let most = bars.values().map(|(deleted, not)| deleted + not).max();
    let most = most.unwrap_or_default().max(1);
    append(
        out,
        format_args!(
            "<h3>Deletions of the last hour <span class=\"key\"><span class=\"swatch ok\"></span><b>{deleted}</b> deleted\
         <span class=\"swatch not\"></span><b>{not}</b> not</span></h3>\n\
         <svg viewBox=\"0 0 600 60\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"{deleted} deleted, {not} not\">",
        ),
    );
    for minute in 0..MINUTES {
        let x = minute * 10;
        let (deleted, not) = bars
            .get(&(MINUTES - 1 - minute))
            .copied()
            .unwrap_or_default();
        // What is there is seen, however little it is.
        let height = |count: u64| {
            if count == 0 {
                0
            } else {
                (count * 58 / most).max(2)
            }
        };
        let (ok, bad) = (height(deleted), height(not));
        append(
            out,
            format_args!("<rect class=\"track\" x=\"{x}\" y=\"59\" width=\"8\" height=\"1\"/>"),
        );
        for (class, from, height) in [("ok", ok, ok), ("not", ok + bad, bad)] {
            if height > 0 {
                let y = 59_u64.saturating_sub(from);
                append(
                    out,
                    format_args!(
                        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"8\" height=\"{height}\"/>"
                    ),
                );
            }
        }
    }
    out.push_str("</svg>\n<div class=\"axis\"><span>an hour ago</span><span>now</span></div>\n");
}

/// The table of what went wrong, the latest first.
fn errors(minutes: &[(u64, Deletions)]) -> String {
    let mut kinds = BTreeMap::new();
    for (ago, deletions) in minutes {
        for (kind, count) in deletions.iter().filter(|(kind, _)| !kind.is_deleted()) {
            let (latest, total) = kinds.entry(kind).or_insert((*ago, 0));
            *latest = (*latest).min(*ago);
            *total += count;
        }
    }
    if kinds.is_empty() {
        return "<p class=\"quiet\">Nothing.</p>".to_owned();
    }
    let mut rows: Vec<_> = kinds.into_iter().collect();
    rows.sort_by_key(|(_, (latest, total))| (*latest, u64::MAX - total));
    let mut table =
        "<table><thead><tr><th>code</th><th>how often</th><th>account</th><th>the photo</th>\
                     <th>who must act</th><th>latest</th></tr></thead>\n"
            .to_owned();
    for (kind, (latest, total)) in rows {
        let latest = match latest {
            0 => "just now".to_owned(),
            minutes => format!("{minutes} min ago"),
        };
        let (photo, act) = (photo(&kind.outcome), act(&kind.act));
        append(
            &mut table,
            format_args!(
                "<tr><td class=\"code\">{}</td><td>{total} ×</td><td>{}</td><td class=\"quiet\">{photo}</td>\
             <td>{act}</td><td class=\"quiet\">{latest}</td></tr>\n",
                escape(&kind.code),
                escape(&kind.account),
            ),
        );
    }
    table + "</table>"
}

fn photo(outcome: &str) -> &'static str {
    match outcome {
        "unknown" => "may be deleted",
        _ => "is not deleted",
    }
}

fn act(act: &str) -> &'static str {
    match act {
        "operator" => "<span class=\"bad\">the operator</span>",
        "zoho-admin" => "<span class=\"bad\">the Zoho administrator</span>",
        "caller" => "<span class=\"warn\">the caller</span>",
        _ => "<span class=\"quiet\">nobody</span>",
    }
}

/// What is left of a life that ends then, in seconds since 1970.
fn life_left(expiry: f64) -> String {
    let expiry = SystemTime::UNIX_EPOCH + Duration::try_from_secs_f64(expiry).unwrap_or_default();
    expiry
        .duration_since(now())
        .map_or_else(|_| "none".to_owned(), span)
}

/// A time as people say it.
fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..100 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

fn number_or(number: Option<u64>, none: &str) -> String {
    number.map_or_else(|| format!("<small>{none}</small>"), |it| it.to_string())
}

fn append(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes everything");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[expect(clippy::disallowed_methods, reason = "people read dates")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Nothing but the page's own style: no script, no picture, no other host, no frame around it.
fn policy() -> String {
    let style = TEMPLATE.split("<style>").nth(1);
    let style = style.and_then(|rest| rest.split("</style>").next());
    let hash = STANDARD.encode(digest(&SHA256, style.unwrap_or_default().as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests;
