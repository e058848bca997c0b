//! The `[telemetry]` section, and OpenTelemetry's own variable below it.

use url::Url;

use super::layers::Environment;
use super::reader::Section;

/// The variable that stands for the key while it is empty.
const VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

const PROBLEM: &str =
    "must be a URL such as http://collector:4318, without user, password, query and fragment";

/// Where to send traces and metrics, if anywhere.
pub(super) fn read_endpoint(telemetry: &Section, environment: &Environment) -> Option<String> {
    let key = telemetry.text("otlp_endpoint");
    let of_environment = environment.value(VARIABLE).unwrap_or_default();
    let written = if key.is_empty() { of_environment } else { &key };
    let endpoint = written.trim_end_matches('/');
    if endpoint.is_empty() {
        return None;
    }
    if !is_endpoint(endpoint) {
        if key.is_empty() {
            telemetry.error_of_variable(VARIABLE, PROBLEM);
        } else {
            telemetry.error("otlp_endpoint", PROBLEM);
        }
    }
    Some(endpoint.to_owned())
}

/// Whether paths can be appended to it, and it can be shown to anyone: what else a URL may hold is a place for secrets.
fn is_endpoint(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
        let has_user = !url.username().is_empty() || url.password().is_some();
        is_http && !has_user && url.query().is_none() && url.fragment().is_none()
    })
}
