//! How the faults of the API look on the wire.

use std::time::Duration;

use serde_json::{Value, json};

use super::errand::PHOTO_DELETED;
use crate::faults::{ApiFault, ApiFaultKind};
use crate::wire::{Answer, Delivery, Then, gzip};

/// Not HTTP, not text, not TLS either.
const GARBAGE: &[u8] = b"\x00\xff\xfe\x15\x03\x01 zoho \x80\x81\x82\r\n\r\n\x00\x01\x02\x03";

/// What goes out for a call that has the given normal answer.
pub(super) fn deliver(fault: Option<&ApiFault>, answer: &Answer) -> Delivery {
    match fault {
        None => answer.clone().into(),
        Some(fault) => replacement(&fault.kind).unwrap_or_else(|| disguise(fault, answer)),
    }
}

/// What is sent in the place of the normal answer. `None` if the fault needs that answer.
pub(super) fn replacement(kind: &ApiFaultKind) -> Option<Delivery> {
    let answer = match kind {
        ApiFaultKind::Answer {
            status,
            code,
            message,
        } => envelope(*status, code, message),
        ApiFaultKind::Html { status } => Answer::zoho_html(*status),
        ApiFaultKind::Body {
            status,
            content_type,
            body,
        } => Answer::zoho(*status, content_type, body.as_str()),
        ApiFaultKind::NoContent => Answer::zoho(204, "", ""),
        ApiFaultKind::EmptyOk => Answer::zoho(200, Answer::JSON, ""),
        ApiFaultKind::StatusError => {
            envelope(200, &"INTERNAL_ERROR".into(), "Internal Server Error")
        }
        ApiFaultKind::Redirect { status, location } => {
            Answer::zoho(*status, "", "").with("Location", location)
        }
        other => return without_answer(other),
    };
    Some(answer.into())
}

/// Deliveries that are no answers at all.
fn without_answer(kind: &ApiFaultKind) -> Option<Delivery> {
    let delivery = match kind {
        ApiFaultKind::Hang => Delivery::new("", Then::Hang),
        ApiFaultKind::Reset => Delivery::new("", Then::Reset),
        ApiFaultKind::Close => Delivery::new("", Then::Close),
        ApiFaultKind::Garbage => Delivery::new(GARBAGE, Then::Close),
        ApiFaultKind::Raw { text } => Delivery::new(text.as_str(), Then::Close),
        ApiFaultKind::Endless => Delivery::new(
            Answer::zoho(200, Answer::JSON, "").chunked_head(),
            Then::Trickle,
        ),
        _ => return None,
    };
    Some(delivery)
}

/// What becomes of the normal answer on its way.
fn disguise(fault: &ApiFault, answer: &Answer) -> Delivery {
    let bytes = answer.bytes();
    let (bytes, then) = match &fault.kind {
        ApiFaultKind::Cut { bytes: kept } => (cut(bytes, *kept), Then::Close),
        ApiFaultKind::Oversized { bytes: size } => (padded(answer, *size).bytes(), Then::KeepOpen),
        ApiFaultKind::Gzip => (gzipped(answer).bytes(), Then::KeepOpen),
        ApiFaultKind::ManyHeaders { count } => {
            (with_headers(answer, *count).bytes(), Then::KeepOpen)
        }
        ApiFaultKind::Informational { count } => {
            (behind_informational(*count, &bytes), Then::KeepOpen)
        }
        ApiFaultKind::WrongLength { claimed } => (answer.bytes_claiming(*claimed), Then::KeepOpen),
        ApiFaultKind::SecondAnswer => ([bytes, second_answer()].concat(), Then::KeepOpen),
        ApiFaultKind::ConnectionClose => (
            answer.clone().with("Connection", "close").bytes(),
            Then::Close,
        ),
        _ => (bytes, Then::KeepOpen),
    };
    Delivery::new(bytes, then).after(wait_after_work(fault))
}

fn wait_after_work(fault: &ApiFault) -> Duration {
    match fault {
        ApiFault {
            kind: ApiFaultKind::Slow { milliseconds },
            carried_out: true,
        } => Duration::from_millis(*milliseconds),
        _ => Duration::ZERO,
    }
}

fn envelope(status: u16, code: &Value, message: &str) -> Answer {
    let outcome = if code == "SUCCESS" {
        "success"
    } else {
        "error"
    };
    Answer::zoho_json(
        status,
        &json!({ "code": code, "details": {}, "message": message, "status": outcome }),
    )
}

/// The last byte never arrives: a whole answer would have to be true.
fn cut(mut bytes: Vec<u8>, kept: usize) -> Vec<u8> {
    bytes.truncate(kept.min(bytes.len() - 1));
    bytes
}

/// White space in front keeps the JSON valid for those who read so far.
fn padded(answer: &Answer, size: usize) -> Answer {
    let padding = size.saturating_sub(answer.body.len());
    let mut body = vec![b' '; padding];
    body.extend(&answer.body);
    answer.clone().with_body(body)
}

fn gzipped(answer: &Answer) -> Answer {
    let body = gzip(&answer.body);
    answer
        .clone()
        .with_body(body)
        .with("Content-Encoding", "gzip")
}

fn with_headers(answer: &Answer, count: usize) -> Answer {
    (0..count).fold(answer.clone(), |answer, number| {
        answer.with(&format!("X-Sandbox-{number}"), "padding")
    })
}

fn behind_informational(count: usize, answer: &[u8]) -> Vec<u8> {
    let mut bytes = b"HTTP/1.1 102 Processing\r\n\r\n".repeat(count);
    bytes.extend(answer);
    bytes
}

/// What a confused client takes for the answer to its next request.
fn second_answer() -> Vec<u8> {
    Answer::zoho(200, Answer::JSON, PHOTO_DELETED).bytes()
}
