//! What a call that passed the checks has to do. The only place where something is deleted.

use serde_json::{Value, json};

use super::refusal::Refusal;
use crate::ledger::Deletion;
use crate::settings::{MissingPhoto, Module};
use crate::state::State;
use crate::wire::Answer;

/// Zoho's success, to the letter: <https://www.bigin.com/developer/docs/apis/v2/delete-image.html>.
pub(super) const PHOTO_DELETED: &str =
    r#"{"code":"SUCCESS","details":{},"message":"Photo deleted","status":"success"}"#;

/// Photos or whole records to delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Errand {
    pub(super) module: Module,
    pub(super) ids: Vec<u64>,
    pub(super) whole_records: bool,
    pub(super) token: usize,
}

/// Answers a call, and carries it out if that is wanted and nothing spoke against it.
pub(super) fn conclude(
    state: &mut State,
    verdict: Result<Errand, Refusal>,
    carry_out: bool,
) -> Answer {
    let answer = match verdict.and_then(|errand| errand.run(state, carry_out)) {
        Ok(answer) => answer,
        Err(refusal) => refusal.answer(),
    };
    // From half of the credits on: https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html
    match state.credits.remaining_to_tell(state.settings.credits) {
        Some(left) => answer.with("X-API-CREDITS-REMAINING", left.to_string()),
        None => answer,
    }
}

impl Errand {
    fn run(&self, state: &mut State, carry_out: bool) -> Result<Answer, Refusal> {
        if self.is_in_vain(state) && state.settings.missing_photo == MissingPhoto::InvalidData {
            return Err(Refusal::Data);
        }
        if carry_out {
            self.carry_out(state);
        }
        Ok(self.success())
    }

    /// Whether there is no photo to delete.
    fn is_in_vain(&self, state: &State) -> bool {
        let gone = |id: &u64| state.without_photo.contains(&(self.module, *id));
        !self.whole_records && self.ids.iter().any(gone)
    }

    fn carry_out(&self, state: &mut State) {
        let (module, token, at_ms) = (self.module, self.token, state.book.elapsed_ms());
        for &id in &self.ids {
            let had_photo = state.without_photo.insert((module, id));
            let deletion = Deletion {
                module,
                id,
                at_ms,
                token,
                had_photo,
            };
            if self.whole_records {
                state.book.ledger.records_deleted.push(deletion);
            } else {
                state.book.ledger.deletions.push(deletion);
            }
        }
    }

    fn success(&self) -> Answer {
        if !self.whole_records {
            return Answer::zoho(200, Answer::JSON, PHOTO_DELETED);
        }
        let data: Vec<Value> = self.ids.iter().copied().map(record_deleted).collect();
        Answer::zoho_json(200, &json!({ "data": data }))
    }
}

/// As in the sample of <https://www.bigin.com/developer/docs/apis/v2/delete-records.html>.
fn record_deleted(id: u64) -> Value {
    let details = json!({ "id": id.to_string() });
    json!({ "code": "SUCCESS", "details": details, "message": "record deleted", "status": "success" })
}
