//! The one handler: a request becomes a target, a target a verdict, a verdict a response; and each is reported once.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Either;
use http::header::CONNECTION;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};

use super::arrival::{Arrival, X_REQUEST_ID};
use super::framing::{self, FramingError};
use super::problem::{Act, PROXY_STATUS, Problem};
use super::{Front, Response};
use crate::outcome::Outcome;
use crate::proxy::{Failure, Verdict};
use crate::server::Peer;
use crate::target::{InvalidTarget, Target};
use crate::telemetry::{RequestRecord, Route};
use crate::upstream::{Answer, CallError, Progress};
use crate::zoho::Code;

/// What became of the photo.
const DELETE_OUTCOME: HeaderName = HeaderName::from_static("delete-outcome");

/// Which path of the API was meant, for telemetry alone.
fn route_of<B>(request: &Request<B>, asked: &Result<Asked, Problem>) -> Route {
    match asked {
        Err(Problem::Target(InvalidTarget::Path) | Problem::Framing(_)) => Route::Unknown,
        _ if request.uri().path().starts_with("/bigin/v2/") => Route::Default,
        _ => Route::Account,
    }
}

/// What a request asks for, understood.
struct Asked {
    target: Target,
    timeout: Duration,
}

async fn delete(front: Arc<Front>, arrival: Arrival, Asked { target, timeout }: Asked) -> Response {
    let progress = Progress::default();
    let deadline = arrival.begun + timeout;
    let deletion = front.proxy.delete_photo(&target, deadline, &progress);
    let verdict = AssertUnwindSafe(deletion).catch_unwind().await;
    let (mut reply, verdict) = match verdict {
        Ok(Verdict {
            result: Ok(ref answer),
            outcome,
            ..
        }) => (Reply::of_answer(answer, outcome), verdict.ok()),
        Ok(Verdict {
            result: Err(failure),
            outcome,
            ..
        }) => {
            let problem = Problem::Failure(failure, outcome);
            (Reply::of_problem(problem, &arrival), verdict.ok())
        }
        Err(_) => {
            let outcome = if progress.may_be_carried_out() {
                Outcome::Unknown
            } else {
                Outcome::NotSent
            };
            (Reply::of_problem(Problem::Panic(outcome), &arrival), None)
        }
    };
    reply.target = Some(target);
    front.reply(&arrival, reply, verdict.as_ref())
}

impl Front {
    /// Answers a request: deletes the photo that it names, or says why not.
    pub fn answer<B>(
        self: &Arc<Self>,
        request: &Request<B>,
        peer: &Peer,
    ) -> impl Future<Output = Response> + Send + use<B> {
        let asked = self.read(request);
        let arrival = Arrival::of(request, peer, route_of(request, &asked));
        match asked {
            Ok(asked) => Either::Left(delete(Arc::clone(self), arrival, asked)),
            Err(problem) => {
                let response = self.reply(&arrival, Reply::of_problem(problem, &arrival), None);
                Either::Right(std::future::ready(response))
            }
        }
    }

    fn read<B>(&self, request: &Request<B>) -> Result<Asked, Problem> {
        framing::check(request)?;
        let target = Target::parse(request.uri().path(), &self.accounts);
        if target != Err(InvalidTarget::Path) && request.method() != Method::DELETE {
            return Err(Problem::Method);
        }
        let target = target?;
        if request.uri().query().is_some() {
            return Err(FramingError::Query.into());
        }
        let given = framing::request_timeout(request.headers())?;
        let timeout = given.map_or(self.request_deadline, |it| it.min(self.request_deadline));
        if timeout.is_zero() {
            return Err(Failure::Call(CallError::NoTime).into());
        }
        Ok(Asked { target, timeout })
    }

    /// Completes a response, and reports the request.
    fn reply(&self, arrival: &Arrival, reply: Reply, verdict: Option<&Verdict>) -> Response {
        let Reply {
            mut response,
            code,
            outcome,
            act,
            target,
            closes_connection,
        } = reply;
        let headers = response.headers_mut();
        headers.insert(DELETE_OUTCOME, HeaderValue::from_static(outcome.as_str()));
        headers.insert(X_REQUEST_ID, arrival.request_id.clone());
        if closes_connection || self.shutdown.is_leaving() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let (calls, waited_for_token) = verdict
            .as_ref()
            .map_or((&[][..], false), |it| (&it.calls, it.waited_for_token));
        self.observer.finished(&RequestRecord {
            begun: arrival.begun,
            request_id: arrival.request_id(),
            peer: &arrival.peer,
            parent: arrival.parent.clone(),
            is_delete: arrival.is_delete,
            route: arrival.route,
            target,
            status: response.status(),
            code,
            outcome,
            act: act.as_str(),
            calls,
            waited_for_token,
            panicked: verdict.is_none() && target.is_some(),
        });
        response
    }
}

/// A response, and what is reported of it.
struct Reply {
    response: Response,
    code: Code,
    outcome: Outcome,
    act: Act,
    target: Option<Target>,
    closes_connection: bool,
}

impl Reply {
    /// Zoho's final answer: its status and body as they came, and of its headers only those on the list.
    fn of_answer(answer: &Answer, outcome: Outcome) -> Self {
        let mut response = Response::new(answer.body.clone().into());
        *response.status_mut() = answer.status;
        let headers = response.headers_mut();
        for (name, value) in answer.headers_passed_on() {
            headers.insert(name, value.clone());
        }
        headers.insert(PROXY_STATUS, received(answer.status));
        let code = answer.envelope.code;
        Self {
            response,
            code,
            outcome,
            act: act_on(code, outcome),
            target: None,
            closes_connection: false,
        }
    }

    fn of_problem(problem: Problem, arrival: &Arrival) -> Self {
        let row = problem.row();
        let response = problem.response(&row, arrival.request_id());
        let closes_connection = problem.closes_connection();
        Self {
            response,
            code: row.code,
            outcome: row.outcome,
            act: row.act,
            target: None,
            closes_connection,
        }
    }
}

fn received(status: StatusCode) -> HeaderValue {
    if status == StatusCode::OK {
        return HeaderValue::from_static("bigin-photo-proxy; received-status=200");
    }
    let value = format!("bigin-photo-proxy; received-status={}", status.as_u16());
    HeaderValue::try_from(value).expect("a status is digits")
}

/// Who must act on an answer of Zoho's.
fn act_on(code: Code, outcome: Outcome) -> Act {
    match (code, outcome) {
        (Code::OauthScopeMismatch | Code::NoPermission | Code::AuthorizationFailed, _) => {
            Act::ZohoAdmin
        }
        (Code::TooManyRequests, _) => Act::Nobody,
        (_, Outcome::Refused) => Act::Caller,
        _ => Act::Nobody,
    }
}
