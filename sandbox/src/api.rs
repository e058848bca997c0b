//! The API: deletes photos, and whole records for those who ask for it by mistake.
//!
//! `DELETE /bigin/v2/{module}/{id}/photo`, as on <https://www.bigin.com/developer/docs/apis/v2/delete-image.html>.

mod checks;
mod endpoint;
mod errand;
mod misbehaviour;
mod refusal;

use std::sync::Arc;
use std::time::Duration;

use tokio::time;

use crate::faults::{ApiFault, ApiFaultKind};
use crate::in_flight::Slot;
use crate::ledger::Witness;
use crate::state::Shared;
use crate::wire::{Delivery, Request};

/// Answers a call. The slot counts it as in flight for as long as the caller of this function keeps it.
pub(crate) async fn answer(shared: &Arc<Shared>, request: &Request) -> (Delivery, Slot) {
    let (mut slot, fault, delay) = arrive(shared, request);
    if let Some(delivery) = fault.as_ref().and_then(strikes_first) {
        wait(delay).await;
        return (delivery, slot);
    }
    let verdict = checks::check(&mut shared.lock(), request, &mut slot);
    wait(delay + fault.as_ref().map_or(Duration::ZERO, wait_before_work)).await;
    let carry_out = fault.as_ref().is_none_or(ApiFault::carries_out);
    let answer = errand::conclude(&mut shared.lock(), verdict, carry_out);
    (misbehaviour::deliver(fault.as_ref(), &answer), slot)
}

/// Takes note of a call, draws its fault, and says how long the API takes at present.
fn arrive(shared: &Arc<Shared>, request: &Request) -> (Slot, Option<ApiFault>, Duration) {
    let mut guard = shared.lock();
    let state = &mut *guard;
    let (slot, in_flight) = Slot::take(&shared.in_flight);
    let token = checks::presented_token(&state.tokens, request);
    state.book.call(token, in_flight);
    let witness = Witness {
        settings: &state.settings,
        tokens: &state.tokens,
    };
    let seen = witness.write_down(request, state.book.elapsed_ms());
    state.book.keep(seen, state.settings.keep_requests);
    (
        slot,
        state.api_faults.draw(),
        Duration::from_millis(state.settings.delay_ms),
    )
}

/// What a fault sends that strikes in front of Zoho, where a gateway would stand.
fn strikes_first(fault: &ApiFault) -> Option<Delivery> {
    if fault.carried_out {
        None
    } else {
        misbehaviour::replacement(&fault.kind)
    }
}

/// A slow answer that is not yet carried out waits here; one that is, waits on its way back.
fn wait_before_work(fault: &ApiFault) -> Duration {
    match fault {
        ApiFault {
            kind: ApiFaultKind::Slow { milliseconds },
            carried_out: false,
        } => Duration::from_millis(*milliseconds),
        _ => Duration::ZERO,
    }
}

/// No timer for no time: it would round up to a millisecond.
async fn wait(duration: Duration) {
    if !duration.is_zero() {
        time::sleep(duration).await;
    }
}
