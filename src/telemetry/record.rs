//! The facts that are reported of a request, as plain values.

use http::{HeaderMap, HeaderName, StatusCode};
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceId};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tokio::time::Instant;

use crate::outcome::Outcome;
use crate::target::Target;
use crate::zoho::Code;

/// Which path of the API was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The default account's.
    Default,
    /// A named account's.
    Account,
    /// None.
    Unknown,
}

impl Route {
    /// Every route, in the order of declaration.
    pub const ALL: [Self; 3] = [Self::Default, Self::Account, Self::Unknown];

    /// As the router knows it.
    #[must_use]
    pub const fn template(self) -> Option<&'static str> {
        match self {
            Self::Default => Some("/bigin/v2/{module_api_name}/{record_id}/photo"),
            Self::Account => Some("/{account}/bigin/v2/{module_api_name}/{record_id}/photo"),
            Self::Unknown => None,
        }
    }

    /// The name of a span for it: method and template, as the semantic conventions have it.
    pub(super) const fn span_name(self) -> &'static str {
        match self {
            Self::Default => "DELETE /bigin/v2/{module_api_name}/{record_id}/photo",
            Self::Account => "DELETE /{account}/bigin/v2/{module_api_name}/{record_id}/photo",
            Self::Unknown => "HTTP",
        }
    }
}

/// One call to Zoho's API.
#[derive(Clone, Copy, Debug)]
pub struct CallRecord {
    /// When it began.
    pub begun: Instant,
    /// When it was over.
    pub ended: Instant,
    /// The status of the answer, or a word for why there is none.
    pub result: Result<StatusCode, &'static str>,
}

/// Everything about a request that is over. The record id in its target is personal data, for the audit alone.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct RequestRecord<'a> {
    /// When its head was there.
    pub begun: Instant,
    /// The id that the caller knows it by.
    pub request_id: &'a str,
    /// Who sent it.
    pub peer: &'a str,
    /// The caller's span.
    pub parent: Option<Parent>,
    /// Whether its method was DELETE.
    pub is_delete: bool,
    /// Which path it meant.
    pub route: Route,
    /// What it wanted to delete, if it was understood.
    pub target: Option<Target>,
    /// The status of the response.
    pub status: StatusCode,
    /// The code in the response.
    pub code: Code,
    /// What became of the photo.
    pub outcome: Outcome,
    /// Who must act.
    pub act: &'static str,
    /// The calls that were made for it.
    pub calls: &'a [CallRecord],
    /// How many calls were begun for it, those included that did not end.
    pub attempts: u8,
    /// Whether it waited for a token.
    pub waited_for_token: bool,
    /// Whether another request made the call for it.
    pub joined: bool,
    /// Whether it ended in a panic.
    pub panicked: bool,
}

/// <https://www.w3.org/TR/trace-context/#traceparent-header>.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The caller's span, from its `traceparent` header.
#[derive(Clone)]
pub struct Parent(SpanContext);

impl Parent {
    /// Reads the W3C trace context, if there is a valid one.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        headers.keys().find(|name| *name == TRACEPARENT)?;
        let context = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
        let parent = context.span().span_context().clone();
        parent.is_valid().then_some(Self(parent))
    }

    /// A context in which spans are its children.
    pub(super) fn context(&self) -> Context {
        Context::new().with_remote_span_context(self.0.clone())
    }

    pub(super) fn trace_id(&self) -> TraceId {
        self.0.trace_id()
    }
}
