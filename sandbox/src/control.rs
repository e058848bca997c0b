//! The control interface under `/__sandbox/`: what the library offers to Rust, for everything else that speaks HTTP.

mod guide;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::faults::{FaultQueue, When};
use crate::settings::Settings;
use crate::state::Shared;
use crate::wire::{Answer, Request};

/// Where the control interface begins. Zoho has no such path.
pub(crate) const PREFIX: &str = "/__sandbox";

/// A fault and its time, as it is posted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    when: When,
    fault: Value,
}

/// Answers a request of whoever steers the sandbox.
pub(crate) fn answer(shared: &Shared, request: &Request) -> Answer {
    let path = request.path().strip_prefix(PREFIX).unwrap_or_default();
    let outcome = match (request.method.as_str(), path) {
        ("GET", "" | "/") => Ok(guide(shared)),
        ("GET", "/ledger") => Ok(Answer::own_json(200, &shared.lock().ledger())),
        ("GET", "/settings") => Ok(Answer::own_json(200, &shared.lock().settings)),
        ("PATCH", "/settings") => change_settings(shared, &request.body),
        ("POST", "/faults/token") => queue(&mut shared.lock().token_faults, &request.body),
        ("POST", "/faults/delete") => queue(&mut shared.lock().api_faults, &request.body),
        ("DELETE", "/faults") => Ok(done(|| shared.well())),
        ("POST", "/revoke") => Ok(done(|| shared.lock().tokens.revoke_all())),
        ("POST", "/evict") => Ok(done(|| shared.lock().tokens.evict_oldest())),
        ("POST", "/reset") => Ok(done(|| shared.lock().reset())),
        _ => Ok(complaint(
            404,
            &format!("there is no such thing here; see GET {PREFIX}/"),
        )),
    };
    outcome.unwrap_or_else(|error: serde_json::Error| complaint(400, &error.to_string()))
}

fn guide(shared: &Shared) -> Answer {
    Answer::own(
        200,
        "text/plain; charset=utf-8",
        guide::text(&shared.api_url),
    )
}

fn done(action: impl FnOnce()) -> Answer {
    action();
    Answer::own(204, Answer::JSON, "")
}

fn complaint(status: u16, error: &str) -> Answer {
    Answer::own_json(status, &serde_json::json!({ "error": error }))
}

/// Puts the given keys over the current settings. All of them, or none if one is wrong.
fn change_settings(shared: &Shared, body: &[u8]) -> serde_json::Result<Answer> {
    let changes: Map<String, Value> = serde_json::from_slice(body)?;
    let mut state = shared.lock();
    let mut settings = serde_json::to_value(&state.settings)?;
    if let Some(keys) = settings.as_object_mut() {
        keys.extend(changes);
    }
    state.settings = serde_json::from_value::<Settings>(settings)?;
    Ok(Answer::own_json(200, &state.settings))
}

fn queue<F>(faults: &mut FaultQueue<F>, body: &[u8]) -> serde_json::Result<Answer>
where
    F: Clone + DeserializeOwned + Serialize,
{
    let order: Order = serde_json::from_slice(body)?;
    let fault = parse_strictly(&order.fault)?;
    Ok(done(|| faults.push(order.when, fault)))
}

/// Parses a fault, and refuses keys that it does not take up: a misspelled `carried_out` would make a test mean
/// something else than it says. (serde cannot deny unknown fields of flattened and of unit variants.)
fn parse_strictly<F: DeserializeOwned + Serialize>(given: &Value) -> serde_json::Result<F> {
    let fault: F = serde_json::from_value(given.clone())?;
    let understood = serde_json::to_value(&fault)?;
    let mut keys = given.as_object().into_iter().flat_map(Map::keys);
    match keys.find(|key| understood.get(key.as_str()).is_none()) {
        Some(unknown) => Err(Error::custom(format!(
            "unknown field `{unknown}` of this fault"
        ))),
        None => Ok(fault),
    }
}
