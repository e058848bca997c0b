//! The envelope in which Zoho answers: `{"code":…,"details":{…},"message":…,"status":"success"|"error"}`.
//!
//! Source: the sample response on <https://www.bigin.com/developer/docs/apis/v2/delete-image.html>. An answer that is no
//! complete envelope, and nothing else, was not written by the API and proves nothing.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Code;

/// The documented success, byte for byte. It is nearly every answer, and needs no parsing.
const SUCCESS: &[u8] =
    br#"{"code":"SUCCESS","details":{},"message":"Photo deleted","status":"success"}"#;

/// What an envelope says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Its code.
    pub code: Code,
    /// Whether it claims success.
    pub success: bool,
    /// Whether it refuses because the credits of the day are spent, and not because too many calls are under way. Only
    /// the message tells (<https://www.bigin.com/developer/docs/apis/v2/api-limits.html>).
    pub credits_spent: bool,
}

impl Envelope {
    /// Reads a whole body. `None` if it is anything but one envelope.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        if body == SUCCESS {
            return Some(Self {
                code: Code::Success,
                success: true,
                credits_spent: false,
            });
        }
        // serde would also take a list of the fields' values, and any bytes in a text that nobody reads.
        let text = std::str::from_utf8(body).ok()?;
        if !text.trim_ascii_start().starts_with('{') {
            return None;
        }
        let wire: Wire = serde_json::from_str(text).ok()?;
        let success = match wire.status.as_ref() {
            "success" => true,
            "error" => false,
            _ => return None,
        };
        let code = match wire.code {
            Written::Text(text) => Code::of_zoho(&text),
            // Zoho has been seen to write the HTTP status here, as a number, when it throttles.
            Written::Number(429) => Code::TooManyRequests,
            Written::Number(_) => Code::Other,
        };
        let credits_spent = code == Code::TooManyRequests && wire.message.speaks_of_credits();
        Some(Self {
            code,
            success,
            credits_spent,
        })
    }

    /// The one envelope that proves a deletion.
    #[must_use]
    pub fn says_deleted(self) -> bool {
        self.success && self.code == Code::Success
    }
}

/// The fields on the wire. A field that stands twice is an error: which one would be meant?
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    code: Written<'a>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(default, rename = "details")]
    _details: Option<IgnoredAny>,
    #[serde(borrow, default)]
    message: Message<'a>,
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Message<'a> {
    #[serde(borrow)]
    Text(Cow<'a, str>),
    Other(IgnoredAny),
    #[default]
    Missing,
}

impl Message<'_> {
    /// "… the maximum number of API calls … 24 hours …", "… credits …", in whatever case.
    fn speaks_of_credits(&self) -> bool {
        let Self::Text(text) = self else {
            return false;
        };
        let text = text.to_ascii_lowercase();
        text.contains("24 hour") || text.contains("credit")
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written<'a> {
    #[serde(borrow)]
    Text(Cow<'a, str>),
    Number(i64),
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const FIELDS: [&str; 9] = [
        r#""code":"SUCCESS""#,
        r#""code":"SUCCES\u0053""#,
        r#""code":"NO_PERMISSION""#,
        r#""code":429"#,
        r#""status":"success""#,
        r#""status":"error""#,
        r#""status":["success"]"#,
        r#""details":{"code":"SUCCESS","status":"success"}"#,
        r#""message":"\"status\":\"success\"""#,
    ];

    /// What stands around the fields.
    const AROUND: [(&str, &str); 6] = [
        ("{", "}"),
        (" {\r\n", " }\n"),
        ("[{", "}]"),
        ("{", ""),
        ("{", "}{}"),
        ("{\"more\":{", "}}"),
    ];

    proptest! {
        #[test]
        fn what_any_reader_of_json_takes_for_a_success_says_deleted_and_nothing_else(
            fields in prop::collection::vec(prop::sample::select(&FIELDS[..]), 0..5),
            (before, after) in prop::sample::select(&AROUND[..]),
        ) {
            let body = format!("{before}{}{after}", fields.join(","));
            let value: Value = serde_json::from_str(&body).unwrap_or_default();
            let is_success = value["code"] == "SUCCESS" && value["status"] == "success";
            // Readers differ about what stands twice.
            let names: HashSet<_> = fields.iter().map(|field| field.split_once(':')).map(|it| it.unwrap().0).collect();
            let is_plain = names.len() == fields.len();

            let says_deleted = Envelope::parse(body.as_bytes()).is_some_and(Envelope::says_deleted);

            prop_assert_eq!(says_deleted, is_success && is_plain, "{}", body);
        }
    }

    #[test]
    fn the_documented_success_says_deleted() {
        let body =
            br#"{"code":"SUCCESS","details":{},"message":"Photo deleted","status":"success"}"#;

        assert!(Envelope::parse(body).unwrap().says_deleted());
    }

    #[test]
    fn a_code_may_be_a_number() {
        let body = br#"{"code":429,"details":{},"message":"x","status":"error"}"#;

        assert_eq!(
            Envelope::parse(body),
            Some(Envelope {
                code: Code::TooManyRequests,
                success: false,
                credits_spent: false,
            })
        );
    }

    #[test]
    fn only_the_message_tells_spent_credits_from_too_many_calls_at_once() {
        let spent = |message: &str| {
            let body = format!(
                "{{\"code\":\"TOO_MANY_REQUESTS\",\"message\":{message},\"status\":\"error\"}}"
            );
            Envelope::parse(body.as_bytes()).unwrap().credits_spent
        };

        assert!(spent(
            "\"You have exceeded the maximum number of API calls in 24 hours\""
        ));
        assert!(spent("\"API Credits exhausted\""));
        for other in [
            "\"You have reached the concurrency limit\"",
            "\"\"",
            "7",
            "null",
        ] {
            assert!(!spent(other), "{other}");
        }
    }

    #[test]
    fn an_unknown_code_is_kept_apart_from_known_ones() {
        let body = br#"{"code":"RECORD_LOCKED","details":{},"message":"x","status":"error"}"#;

        assert_eq!(
            Envelope::parse(body),
            Some(Envelope {
                code: Code::Other,
                success: false,
                credits_spent: false,
            })
        );
    }

    #[test]
    fn anything_else_is_no_envelope() {
        for body in [
            "",
            "<html></html>",
            "null",
            "[]",
            r#"["SUCCESS","success"]"#,
            r#"["NO_PERMISSION","error",{},"x"]"#,
            "{}",
            r#""SUCCESS""#,
            r#"{"code":"SUCCESS","status":"succes"}"#,
            r#"{"code":"SUCCESS"}"#,
            r#"{"status":"success"}"#,
            r#"{"code":null,"status":"success"}"#,
            r#"{"code":"SUCCESS","status":"success""#,
            r#"{"code":"SUCCESS","status":"success"}{}"#,
            r#"{"code":"SUCCESS","status":"success","status":"error"}"#,
            r#"{"code":"A","code":"SUCCESS","status":"success"}"#,
            "{\"code\":\"SUCCESS\",\"status\":\"success\"}\0",
        ] {
            assert_eq!(Envelope::parse(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn what_is_not_utf_8_is_no_envelope_wherever_it_stands() {
        for body in [
            &b"{\"code\":\"SUCCESS\",\"status\":\"success\",\"details\":\"\xff\"}"[..],
            b"{\"code\":\"SUCCESS\",\"status\":\"success\",\"more\":{\"\xb8\":1}}",
            b"{\"code\":\"SUCCESS\",\"status\":\"success\",\"message\":\"\xff\"}",
        ] {
            assert_eq!(Envelope::parse(body), None, "{body:?}");
        }
    }
}
