//! The accounts server: turns a refresh token into access tokens.
//!
//! `POST /oauth/v2/token`, as on <https://www.zoho.com/accounts/protocol/oauth/web-apps/access-token-expiry.html>. The
//! status of an answer says little here: Zoho refuses with 200.

mod body;
mod grant;
mod misbehaviour;

use body::TokenBody;
use grant::{Parameters, Refusal};
use tokio::time::Instant;

use crate::faults::TokenFault;
use crate::ledger::{TokenLogEntry, TokenResult};
use crate::state::{Shared, State};
use crate::wire::{Answer, Delivery, Request};

/// The path of the token endpoint.
pub(crate) const TOKEN_PATH: &str = "/oauth/v2/token";

/// Answers a request at the token endpoint.
pub(crate) fn answer(shared: &Shared, request: &Request) -> Delivery {
    let mut state = shared.lock();
    let parameters = Parameters::of(request);
    let fault = state.token_faults.draw();
    let admitted = count(&mut state, fault.as_ref());
    if let Some(delivery) = fault.as_ref().and_then(misbehaviour::replacement) {
        log(&mut state, &parameters, TokenResult::Faulted, None);
        return delivery;
    }
    let verdict = admitted.and_then(|()| parameters.check(&state));
    let answer = match verdict {
        Ok(()) => grant(&mut state, &parameters, fault.as_ref(), &shared.api_url),
        Err(refusal) => {
            log(&mut state, &parameters, refusal.result(), None);
            refusal.answer()
        }
    };
    misbehaviour::disguise(fault.as_ref(), answer)
}

/// Counts the request in the throttle's window, which may be used up. A throttling that is only played leaves the
/// window alone.
fn count(state: &mut State, fault: Option<&TokenFault>) -> Result<(), Refusal> {
    let played = matches!(fault, Some(TokenFault::Throttled { .. }));
    let (at_most, window) = (state.settings.tokens_per_window, state.settings.window());
    if played || state.throttle.admit(at_most, window) {
        Ok(())
    } else {
        Err(Refusal::Throttled)
    }
}

/// Issues a token, and tells of it as the settings and the fault want it told.
fn grant(
    state: &mut State,
    parameters: &Parameters,
    fault: Option<&TokenFault>,
    api_url: &str,
) -> Answer {
    let lifetime = state.settings.token_lifetime();
    let text = fault.and_then(TokenFault::token_text);
    let issued = state
        .tokens
        .issue(text, Instant::now() + lifetime, state.settings.live_tokens);
    state.book.token_issued();
    log(state, parameters, TokenResult::Issued, Some(issued.index));
    let mut body = TokenBody::new(&state.settings, api_url, issued.text);
    if let Some(code) = parameters.grant_code() {
        state.used_codes.insert(code.to_owned());
        body.add_refresh_token(&state.settings);
    }
    if let Some(fault) = fault {
        body.spoil(fault, lifetime);
    }
    Answer::zoho_json(200, &body)
}

fn log(state: &mut State, parameters: &Parameters, result: TokenResult, token: Option<usize>) {
    let at_ms = state.book.elapsed_ms();
    let used_query = parameters.used_query;
    state.book.token_request(TokenLogEntry {
        at_ms,
        result,
        token,
        used_query,
    });
}
