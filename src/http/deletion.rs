//! The one handler: a request becomes a target, a target a verdict, a verdict a response; and each is reported once.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Either;
use http::header::CONNECTION;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use tokio::time::Instant;

use super::arrival::{Arrival, X_REQUEST_ID};
use super::bearer;
use super::framing::{self, FramingError};
use super::problem::{Act, PROXY_STATUS, Problem};
use super::{Front, Response};
use crate::caller::Caller;
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
        Err(Problem::Target(InvalidTarget::Path) | Problem::Framing(_) | Problem::Unauthorized) => {
            Route::Unknown
        }
        _ if request.uri().path().starts_with("/bigin/v2/") => Route::Default,
        _ => Route::Account,
    }
}

/// What a request asks for, understood.
struct Asked {
    target: Target,
    caller: Caller,
    timeout: Duration,
}

async fn delete(mut deletion: Deletion, caller: Caller, deadline: Instant) -> Response {
    let Deletion {
        front,
        arrival,
        target,
        progress,
        ..
    } = &deletion;
    let deleting = front
        .proxy
        .delete_photo(target, &caller, deadline, progress);
    let verdict = AssertUnwindSafe(deleting).catch_unwind().await;
    let (reply, verdict) = match verdict {
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
            (Reply::of_problem(problem, arrival), verdict.ok())
        }
        Err(_) => {
            let problem = Problem::Panic(deletion.outcome_so_far());
            (Reply::of_problem(problem, arrival), None)
        }
    };
    deletion.end(reply, verdict.as_ref())
}

/// A deletion that was understood. However it ends, it is reported: also when it is dropped before, because the process
/// ends and does not wait for it any longer.
struct Deletion {
    front: Arc<Front>,
    arrival: Arrival,
    target: Target,
    progress: Progress,
    is_over: bool,
}

impl Deletion {
    fn end(&mut self, reply: Reply, verdict: Option<&Verdict>) -> Response {
        self.is_over = true;
        let reply = Reply {
            target: Some(self.target),
            attempts: self.progress.attempts(),
            ..reply
        };
        self.front.reply(&self.arrival, reply, verdict)
    }

    /// What is known of the photo if nothing more is learned.
    fn outcome_so_far(&self) -> Outcome {
        if self.progress.may_be_carried_out() {
            Outcome::Unknown
        } else {
            Outcome::NotSent
        }
    }
}

impl Drop for Deletion {
    fn drop(&mut self) {
        if !self.is_over {
            // Nobody gets the response: to the caller its connection breaks.
            let cut = Problem::Failure(CallError::Timeout.into(), self.outcome_so_far());
            drop(self.end(Reply::of_problem(cut, &self.arrival), None));
        }
    }
}

impl Front {
    /// Answers a request: deletes the photo that it names, or says why not.
    pub fn answer<B>(
        self: &Arc<Self>,
        request: &Request<B>,
        peer: &Peer,
    ) -> impl Future<Output = Response> + Send + use<B> {
        let asked = self.read(request, peer);
        let arrival = Arrival::of(request, peer, route_of(request, &asked));
        match asked {
            Ok(Asked {
                target,
                caller,
                timeout,
            }) => {
                let deadline = arrival.begun + timeout;
                let mut deletion = Deletion {
                    front: Arc::clone(self),
                    arrival,
                    target,
                    progress: Progress::default(),
                    is_over: false,
                };
                if timeout.is_zero() {
                    let no_time = Problem::from(Failure::Call(CallError::NoTime));
                    let reply = Reply::of_problem(no_time, &deletion.arrival);
                    Either::Right(std::future::ready(deletion.end(reply, None)))
                } else {
                    // Boxed: else each connection, idle or not, would keep the room for it.
                    Either::Left(Box::pin(delete(deletion, caller, deadline)))
                }
            }
            Err(problem) => {
                let response = self.reply(&arrival, Reply::of_problem(problem, &arrival), None);
                Either::Right(std::future::ready(response))
            }
        }
    }

    /// Whether a caller may ask at all.
    fn admits(&self, headers: &HeaderMap) -> bool {
        self.caller_tokens
            .as_ref()
            .is_none_or(|tokens| bearer::token(headers).is_some_and(|token| tokens.contain(token)))
    }

    fn read<B>(&self, request: &Request<B>, peer: &Peer) -> Result<Asked, Problem> {
        framing::check(request)?;
        if !self.admits(request.headers()) {
            return Err(Problem::Unauthorized);
        }
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
        Ok(Asked {
            target,
            caller: Caller::of(request.headers(), peer.address, &self.callers),
            timeout,
        })
    }

    /// Completes a response, and reports the request.
    fn reply(&self, arrival: &Arrival, reply: Reply, verdict: Option<&Verdict>) -> Response {
        let Reply {
            mut response,
            code,
            outcome,
            act,
            target,
            attempts,
            panicked,
            closes_connection,
        } = reply;
        let headers = response.headers_mut();
        headers.insert(DELETE_OUTCOME, HeaderValue::from_static(outcome.as_str()));
        headers.insert(X_REQUEST_ID, arrival.request_id.clone());
        if closes_connection || self.shutdown.is_leaving() {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let (calls, waited_for_token, joined) =
            verdict.as_ref().map_or((&[][..], false, false), |it| {
                (&it.calls, it.waited_for_token, it.joined)
            });
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
            attempts,
            waited_for_token,
            joined,
            panicked,
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
    attempts: u8,
    panicked: bool,
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
            attempts: 0,
            panicked: false,
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
            attempts: 0,
            panicked: matches!(problem, Problem::Panic(_)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Write};
    use std::sync::mpsc::{Sender, channel};

    use crate::account::Accounts;
    use crate::config::{CallerConfig, LogFormat};
    use crate::proxy::Proxy;
    use crate::shutdown::Shutdown;
    use crate::telemetry::audit::Audit;
    use crate::telemetry::log::Log;
    use crate::telemetry::{Observer, Telemetry};
    use crate::upstream::tls_config;
    use crate::zoho::Origin;

    /// Where events go, for somebody who waits for them.
    struct Events(Sender<Vec<u8>>);

    impl Write for Events {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A front for the account `main`, to which there is no route: a broken promise, so that each deletion panics.
    fn broken_front(audit: Audit) -> Arc<Front> {
        let tls = tls_config(&rustls::RootCertStore::empty(), false).unwrap();
        let telemetry = Telemetry::start(None, &tls).unwrap();
        let log = Log::to(io::sink(), LogFormat::Json).unwrap();
        let api = Origin::parse("https://www.zohoapis.eu").ok().unwrap();
        let accounts = [("main", &api)].into_iter();
        Arc::new(Front {
            callers: CallerConfig::default(),
            caller_tokens: None,
            proxy: Proxy::new(Vec::new()),
            accounts: Arc::new(Accounts::new(vec!["main".to_owned()], "main").unwrap()),
            observer: Arc::new(Observer::new(telemetry, log, audit, accounts)),
            request_deadline: Duration::from_secs(15),
            shutdown: Shutdown::default(),
        })
    }

    #[tokio::test]
    async fn a_deletion_that_panics_leaves_an_audit_event() {
        let (sink, events) = channel();
        let front = broken_front(Audit::to(Events(sink), LogFormat::Json).unwrap());
        let request = Request::delete("/bigin/v2/Contacts/7/photo")
            .header("host", "a")
            .body(())
            .unwrap();

        let response = front
            .answer(
                &request,
                &Peer::from(std::net::SocketAddr::from(([127, 0, 0, 1], 1))),
            )
            .await;

        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let text = String::from_utf8(events.recv().unwrap()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        for fact in [
            r#""record_id":"7""#,
            r#""outcome":"not-sent""#,
            r#""code":"INTERNAL_ERROR""#,
        ] {
            assert!(text.contains(fact), "{text}");
        }
    }
}
