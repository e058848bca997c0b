//! The checks that a call has to pass, in the order in which Zoho is taken to make them.

use super::endpoint::Endpoint;
use super::errand::Errand;
use super::refusal::Refusal;
use crate::in_flight::Slot;
use crate::settings::Module;
use crate::state::State;
use crate::tokens::{Standing, Tokens};
use crate::wire::Request;

/// The scheme that Zoho's API wants, though its accounts server says `Bearer`:
/// <https://www.bigin.com/developer/docs/apis/v2/delete-image.html>.
const SCHEME: &str = "Zoho-oauthtoken ";

/// What stands behind the scheme of the authorization header.
fn credentials(request: &Request) -> Option<&str> {
    let header = request.header("authorization")?;
    header
        .strip_prefix(SCHEME)
        .filter(|credentials| !credentials.is_empty())
}

/// Which token a request bears, if it was ever issued.
pub(crate) fn presented_token(tokens: &Tokens, request: &Request) -> Option<usize> {
    tokens.index_of(credentials(request)?)
}

/// What is to be done, if nothing speaks against it. Takes the call into work and spends its credit.
pub(crate) fn check(
    state: &mut State,
    request: &Request,
    slot: &mut Slot,
) -> Result<Errand, Refusal> {
    let token = authenticate(state, request)?;
    let endpoint = Endpoint::of(&request.target).ok_or(Refusal::UrlPattern)?;
    require(request.method == "DELETE", Refusal::RequestMethod)?;
    let module = Module::parse(endpoint.module()).ok_or(Refusal::Module)?;
    require(state.settings.permit(module), Refusal::ScopeMismatch)?;
    require(
        slot.begin_work(state.settings.concurrency),
        Refusal::Concurrency,
    )?;
    require(spend_credit(state), Refusal::Credits)?;
    require(!state.settings.no_permission, Refusal::NoPermission)?;
    let ids = endpoint
        .ids()
        .iter()
        .map(|id| known_record(state, id))
        .collect::<Result<_, _>>()?;
    Ok(Errand {
        module,
        ids,
        whole_records: !matches!(endpoint, Endpoint::Photo { .. }),
        token,
    })
}

fn authenticate(state: &mut State, request: &Request) -> Result<usize, Refusal> {
    credentials(request).ok_or(Refusal::AuthenticationFailure)?;
    let token = presented_token(&state.tokens, request);
    let standing = state.tokens.standing(token);
    if let (Some(index), Standing::Live) = (token, standing) {
        return Ok(index);
    }
    state.book.ledger.refused_for_token += 1;
    state.book.ledger.expired_token_uses += u64::from(standing == Standing::Expired);
    Err(Refusal::InvalidToken)
}

fn spend_credit(state: &mut State) -> bool {
    let spent = state
        .credits
        .spend(state.settings.credits, state.settings.credit_window());
    state.book.ledger.credits_used += u64::from(spent);
    spent
}

/// An id is 1 to 19 digits without a leading zero; some of them belong to no record.
fn known_record(state: &State, id: &str) -> Result<u64, Refusal> {
    let well_formed = (1..=19).contains(&id.len())
        && !id.starts_with('0')
        && id.bytes().all(|byte| byte.is_ascii_digit());
    let id = id
        .parse()
        .ok()
        .filter(|_| well_formed)
        .ok_or(Refusal::Data)?;
    require(!state.settings.unknown_records.contains(&id), Refusal::Data)?;
    Ok(id)
}

fn require(condition: bool, otherwise: Refusal) -> Result<(), Refusal> {
    if condition { Ok(()) } else { Err(otherwise) }
}
