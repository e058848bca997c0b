//! What operators write, and what they are told when it is wrong: every key, and never a value.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::Stdio;

use bigin_photo_proxy::config::{self, Config, Environment};

use crate::support::Program;

const ACCOUNT: &str = "[accounts.main]
data_center = \"eu\"
client_id = \"1000.ID\"
client_secret = \"hunter2-secret\"
refresh_token = \"1000.hunter2-refresh\"
";

fn parse(text: &str) -> Result<Config, Vec<String>> {
    parse_with(text, &Environment::default())
}

fn parse_with(text: &str, environment: &Environment) -> Result<Config, Vec<String>> {
    config::parse(text, environment).map_err(|errors| errors.0)
}

/// The only error of a configuration.
fn error_of(text: &str) -> String {
    let Err(errors) = parse(text) else {
        panic!("this is valid: {text}")
    };
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.into_iter().next().unwrap()
}

#[test]
fn four_values_are_enough() {
    let config = parse(ACCOUNT).unwrap_or_else(|errors| panic!("{errors:?}"));

    assert_eq!(config.server.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(config.admin_listen.to_string(), "0.0.0.0:8081");
    assert_eq!(
        config.accounts[0].api.to_string(),
        "https://www.zohoapis.eu"
    );
    assert!(config.warnings.is_empty());
}

#[test]
fn every_key_of_the_default_file_is_read_and_has_a_comment() {
    let text = include_str!("../../config/default.toml");
    let mut explained = false;
    for line in text.lines() {
        let is_key = line
            .split_once(" = ")
            .is_some_and(|(key, _)| !key.starts_with('#'));
        assert!(!is_key || explained, "no comment: {line}");
        explained = line.starts_with('#');
    }
    // Reading the defaults reads every key: one that nobody takes would be an error.
    assert!(parse(&format!("{text}\n{ACCOUNT}")).is_ok());
}

#[test]
fn unknown_keys_are_errors() {
    assert!(error_of(&format!("colour = 1\n{ACCOUNT}")).starts_with("colour: is not a key"));
    assert!(error_of(&format!("server.colour = 1\n{ACCOUNT}")).starts_with("server.colour: "));
    assert!(error_of(&format!("{ACCOUNT}colour = 1\n")).starts_with("accounts.main.colour: "));
    assert!(error_of(&format!("{ACCOUNT}[more]\nx = 1\n")).starts_with("more: "));
}

#[test]
fn all_errors_are_told_at_once_each_with_its_key() {
    let text = "
default_account = \"nobody\"
[server]
listen = \"here\"
threads = -1
head_timeout = \"25 parsecs\"
idle_timeout = 7
max_connections = \"many\"
caller_header = \"two words\"
trusted_peers = [\"10.7.0.1/8\"]
[upstream]
queue = 1.5
[token]
budget = 0
[log]
format = \"xml\"
level = \"=,=\"
[accounts.Main]
data_center = \"moon\"
client_id = \"\"
client_secret = \"a\"
client_secret_file = \"/nonexistent/secret\"
[accounts.other]
data_center = \"eu\"
client_id = \"1000.ID\"
client_secret_file = \"/nonexistent/secret\"
refresh_token = \"two words\"
api_url = \"http://www.zohoapis.eu\"
";
    let Err(errors) = parse(text) else {
        panic!("this is wrong throughout")
    };

    let keys: Vec<_> = errors
        .iter()
        .map(|error| error.split(": ").next().unwrap())
        .collect();
    let expected = [
        "accounts.Main",
        "accounts.Main.client_id",
        "accounts.Main.client_secret_file",
        "accounts.Main.data_center",
        "accounts.Main.refresh_token_file",
        "accounts.other.api_url",
        "accounts.other.client_secret_file",
        "accounts.other.refresh_token",
        "default_account",
        "log.format",
        "log.level",
        "server.caller_header",
        "server.head_timeout",
        "server.idle_timeout",
        "server.listen",
        "server.max_connections",
        "server.threads",
        "server.trusted_peers",
        "token.budget",
        "upstream.queue",
    ];
    assert_eq!(keys, expected, "{errors:#?}");
    for value in [
        "nobody",
        "parsecs",
        "many",
        "xml",
        "moon",
        "two words",
        "10.7",
    ] {
        assert!(
            !errors.iter().any(|error| error.contains(value)),
            "{value} is quoted: {errors:#?}"
        );
    }
}

#[test]
fn a_file_that_is_not_toml_is_told_by_line_without_quoting_it() {
    let error = error_of("[accounts.main]\nclient_secret = hunter2\n");

    assert_eq!(error, "line 2: is not valid TOML");
}

/// The first client secret of the first account.
fn secret_of(config: &Config) -> &str {
    let mut usable = config.accounts[0].client_secret.usable();
    usable.next().unwrap().1.expose()
}

#[test]
fn a_secret_comes_from_a_file_or_inline_and_from_exactly_one_of_them() {
    let path = std::env::temp_dir().join(format!("secret-{:016x}", fastrand::u64(..)));
    let with = |keys: String| {
        parse(&format!(
            "[accounts.main]\ndata_center = \"eu\"\nclient_id = \"1000.ID\"\nrefresh_token = \"r\"\n{keys}"
        ))
    };
    let from_file = |content: &str| {
        std::fs::write(&path, content).unwrap();
        with(format!("client_secret_file = {path:?}")).map(|it| secret_of(&it).to_owned())
    };

    assert_eq!(from_file("s3cret").unwrap(), "s3cret");
    assert_eq!(from_file("s3cret\n").unwrap(), "s3cret");
    assert_eq!(from_file("s3cret\r\n").unwrap(), "s3cret");
    assert!(
        from_file("s3cret\n\n").is_err(),
        "only one newline is trimmed"
    );
    assert!(from_file("").is_err());
    let list = with(format!("client_secret_file = [{path:?}]"));
    assert!(list.is_err(), "the file is empty by now");
    std::fs::write(&path, "first").unwrap();
    let list = with(format!("client_secret_file = [{path:?}, \"/nonexistent\"]"))
        .ok()
        .unwrap();
    assert_eq!(secret_of(&list), "first");
    assert!(with(String::new()).is_err());
    assert!(
        with(format!(
            "client_secret = \"a\"\nclient_secret_file = {path:?}"
        ))
        .is_err()
    );

    std::fs::remove_file(path).unwrap();
}

#[test]
fn the_environment_overrides_the_file() {
    let environment = Environment::from([
        ("BIGIN_PHOTO_PROXY__SERVER__THREADS", "3"),
        ("BIGIN_PHOTO_PROXY__SERVER__IDLE_TIMEOUT", "7s"),
        ("BIGIN_PHOTO_PROXY__ACCOUNTS__MAIN__DATA_CENTER", "jp"),
        ("BIGIN_PHOTO_PROXY__ACCOUNTS__MY_ORG__CLIENT_ID", "0012345"),
        ("BIGIN_PHOTO_PROXY__ACCOUNTS__MY_ORG__DATA_CENTER", "us"),
        ("BIGIN_PHOTO_PROXY__ACCOUNTS__MY_ORG__CLIENT_SECRET", "s"),
        ("BIGIN_PHOTO_PROXY__ACCOUNTS__MY_ORG__REFRESH_TOKEN", "r"),
        ("BIGIN_PHOTO_PROXY__DEFAULT_ACCOUNT", "my-org"),
        (
            "BIGIN_PHOTO_PROXY__SERVER__TRUSTED_PEERS",
            "10.0.0.0/8, ::1",
        ),
        ("RUST_LOG", "trace"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/"),
        ("UNRELATED", "x"),
    ]);
    let config = parse_with(ACCOUNT, &environment).unwrap_or_else(|errors| panic!("{errors:?}"));

    assert_eq!(config.server.threads, 3);
    let trusted = &config.server.callers.trusted_peers;
    assert!(
        ["10.1.2.3", "::1"]
            .iter()
            .all(|peer| trusted.contains(peer.parse().unwrap()))
    );
    assert_eq!(config.server.idle_timeout.as_secs(), 7);
    assert_eq!(
        config.accounts[0].api.to_string(),
        "https://www.zohoapis.jp"
    );
    assert_eq!(config.accounts[1].client_id, "0012345");
    assert_eq!(config.names.name_of(config.names.default_id()), "my-org");
    assert_eq!(config.log.level, "trace");
    assert_eq!(
        config.otlp_endpoint.as_deref(),
        Some("http://127.0.0.1:4318")
    );
}

#[test]
fn unknown_variables_of_ours_are_errors_too() {
    for (name, value) in [
        ("BIGIN_PHOTO_PROXY__SERVER__COLOUR", "red"),
        ("BIGIN_PHOTO_PROXY__SERVER", "red"),
        ("BIGIN_PHOTO_PROXY__SERVER__THREADS", "red"),
        ("BIGIN_PHOTO_PROXY__SERVER__THREADS__MORE", "red"),
    ] {
        let Err(errors) = parse_with(ACCOUNT, &Environment::from([(name, value)])) else {
            panic!("{name}")
        };
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(!errors[0].contains("red"), "{errors:?}");
    }
}

#[test]
fn a_variable_of_ours_that_is_not_unicode_is_an_error() {
    let odd = || OsString::from_vec(b"hunter2\xff".to_vec());
    let errors = |name: OsString| {
        let environment = Environment::from_iter([(name, odd())]);
        parse_with(ACCOUNT, &environment).err().unwrap_or_default()
    };

    let key = "BIGIN_PHOTO_PROXY__LOG__LEVEL";
    assert_eq!(errors(key.into()), [format!("{key}: is not Unicode")]);
    let mut odd_key = OsString::from("BIGIN_PHOTO_PROXY__");
    odd_key.push(odd());
    assert_eq!(errors(odd_key).len(), 1);
    assert!(errors("UNRELATED".into()).is_empty());
}

#[test]
fn with_several_accounts_the_default_one_is_named() {
    let second = ACCOUNT.replace("main", "other");

    assert!(error_of(&format!("{ACCOUNT}{second}")).starts_with("default_account: "));
    assert!(parse(&format!("default_account = \"other\"\n{ACCOUNT}{second}")).is_ok());
    assert!(error_of("").starts_with("accounts: "));
}

#[test]
fn data_centers_that_bigin_does_not_list_need_both_urls() {
    let account =
        "[accounts.uk]\nclient_id = \"1000.ID\"\nclient_secret = \"s\"\nrefresh_token = \"r\"\n";
    let urls =
        "accounts_url = \"https://accounts.zoho.uk\"\napi_url = \"https://www.zohoapis.uk\"\n";

    assert!(parse(&format!("{account}{urls}")).is_ok());
    let Err(errors) = parse(account) else {
        panic!("where should it go?")
    };
    assert_eq!(errors.len(), 2);
    assert!(
        error_of(&format!("{account}data_center = \"uk\"\n"))
            .contains("give accounts_url and api_url")
    );
}

#[test]
fn a_budget_beyond_zohos_limit_is_accepted_with_a_warning() {
    let warned = |budget: usize, window: &str| {
        let keys = format!("token.budget = {budget}\ntoken.budget_window = \"{window}\"\n");
        let config = parse(&format!("{keys}{ACCOUNT}")).ok().unwrap();
        config
            .warnings
            .iter()
            .any(|warning| warning.contains("token.budget"))
    };

    // A window that is longer does not spread its requests: all of them may fall into its first ten minutes.
    for (budget, window) in [(8, "5m"), (9, "10m"), (9, "1h"), (48, "1h"), (9, "24h")] {
        assert!(warned(budget, window), "{budget} in {window}");
    }
    for (budget, window) in [(4, "5m"), (8, "10m"), (8, "1h"), (8, "24h")] {
        assert!(!warned(budget, window), "{budget} in {window}");
    }
}

#[test]
fn a_header_that_nobody_is_believed_with_is_accepted_with_a_warning() {
    let warned = |keys: &str| {
        let config = parse(&format!("{keys}\n{ACCOUNT}")).ok().unwrap();
        config
            .warnings
            .iter()
            .any(|warning| warning.contains("server.caller_header"))
    };
    let header = "server.caller_header = \"x-caller\"";

    assert!(warned(header));
    assert!(!warned(&format!(
        "{header}\nserver.trusted_peers = [\"10.0.0.0/8\"]"
    )));
    assert!(!warned("server.trusted_peers = \"10.0.0.0/8\""));
}

#[test]
fn check_prints_what_is_in_effect_without_secrets() {
    let (code, stdout, _) =
        Program::run(&["check"], Some(&format!("server.threads = 2\n{ACCOUNT}")));

    assert_eq!(code, 0);
    assert!(stdout.contains("threads = 2") && stdout.contains("queue_timeout = \"1s\""));
    assert!(stdout.contains("api_url = \"https://www.zohoapis.eu\""));
    assert!(!stdout.contains("hunter2"), "{stdout}");
}

#[test]
fn check_exits_2_with_every_error() {
    let (code, stdout, stderr) =
        Program::run(&["check"], Some("server.threads = 99\ncolour = 1\n"));

    assert_eq!((code, stdout.as_str()), (2, ""));
    let keys: Vec<_> = stderr
        .lines()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(keys, ["accounts", "colour", "server.threads"]);
}

#[test]
fn a_configuration_that_is_not_there_exits_2() {
    let (code, _, stderr) = Program::run(&["check", "--config", "/nonexistent.toml"], None);

    assert_eq!(code, 2);
    assert!(
        stderr.contains("/nonexistent.toml: cannot be read"),
        "{stderr}"
    );
}

#[test]
fn the_errors_of_all_layers_are_told_at_once() {
    let environment = Environment::from([
        ("BIGIN_PHOTO_PROXY__SERVER__THREADS", "red"),
        ("BIGIN_PHOTO_PROXY__TOKEN", "red"),
        ("BIGIN_PHOTO_PROXY__UPSTREAM__QUEUE__MORE", "red"),
    ]);
    let keys = |text: &str| {
        let errors = parse_with(text, &environment).err().unwrap();
        let keys = errors.iter().map(|error| error.split(": ").next().unwrap());
        keys.map(str::to_owned).collect::<Vec<_>>()
    };
    let of_environment = [
        "BIGIN_PHOTO_PROXY__SERVER__THREADS",
        "BIGIN_PHOTO_PROXY__TOKEN",
        "BIGIN_PHOTO_PROXY__UPSTREAM__QUEUE__MORE",
    ];

    let told = keys(&format!("colour = 1\nserver.idle_timeout = 7\n{ACCOUNT}"));
    assert_eq!(told[..3], of_environment);
    assert_eq!(told[3..], ["colour", "server.idle_timeout"]);
    let told = keys("not toml");
    assert_eq!(told[0], "line 1");
    assert_eq!(told[1..], of_environment, "the rest cannot be known");
}

#[test]
fn a_level_is_known_in_any_case_and_a_misspelt_one_is_an_error() {
    for level in ["INFO", "Info", "info"] {
        let config = parse(&format!("log.level = \"{level}\"\n{ACCOUNT}"))
            .unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!(config.log.level, "warn,bigin_photo_proxy=info");
    }
    for level in ["loud", "warning", "hyper", "[span]", "info ", ""] {
        let error = error_of(&format!("log.level = \"{level}\"\n{ACCOUNT}"));
        assert!(error.starts_with("log.level: must be error, "), "{error}");
        assert!(level.is_empty() || !error.contains(level), "{error}");
    }
    for directives in [
        "off",
        "warn,hyper",
        "hyper=debug",
        "bigin_photo_proxy",
        "bigin_photo_proxy::server",
    ] {
        let config = parse(&format!("log.level = \"{directives}\"\n{ACCOUNT}"))
            .unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!(config.log.level, directives);
    }
}

#[test]
fn rust_log_is_checked_as_the_key_is_and_named_itself() {
    let with = |value| parse_with(ACCOUNT, &Environment::from([("RUST_LOG", value)]));

    assert_eq!(
        with("").ok().unwrap().log.level,
        "warn,bigin_photo_proxy=info"
    );
    assert_eq!(with("DEBUG").ok().unwrap().log.level, "DEBUG");
    for value in ["loud", "warning", "=,="] {
        let Err(errors) = with(value) else {
            panic!("{value}")
        };
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with("RUST_LOG: must be "), "{errors:?}");
    }
    let both = parse_with(
        &format!("log.level = \"loud\"\n{ACCOUNT}"),
        &Environment::from([("RUST_LOG", "quiet")]),
    );
    assert_eq!(both.err().unwrap().len(), 2);
}

#[test]
fn a_ca_file_must_hold_certificates() {
    let path = std::env::temp_dir().join(format!("ca-{:016x}.pem", fastrand::u64(..)));
    let with = |path: &std::path::Path| parse(&format!("upstream.ca_file = {path:?}\n{ACCOUNT}"));
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap()
        .pem();
    let begin = "-----BEGIN CERTIFICATE-----\n";

    std::fs::write(&path, format!("{certificate}{certificate}")).unwrap();
    assert_eq!(with(&path).ok().unwrap().upstream.ca.len(), 2);
    for content in [
        "",
        "hunter2",
        &key.serialize_pem(),
        &format!("{begin}aHVudGVyMg==\n-----END CERTIFICATE-----\n"),
        &format!("{certificate}{begin}hunter2"),
    ] {
        std::fs::write(&path, content).unwrap();
        let errors = with(&path).err().unwrap();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with("upstream.ca_file: "), "{errors:?}");
        assert!(!errors[0].contains("hunter2"), "{errors:?}");
    }
    std::fs::remove_file(&path).unwrap();
    let errors = with(&path).err().unwrap();
    assert!(
        errors[0].starts_with("upstream.ca_file: cannot be read"),
        "{errors:?}"
    );
}

#[test]
fn a_ca_file_that_is_not_there_exits_2() {
    for command in ["check", "serve"] {
        let config = format!("upstream.ca_file = \"/nonexistent.pem\"\n{ACCOUNT}");
        let (code, stdout, stderr) = Program::run(&[command], Some(&config));

        assert_eq!((code, stdout.as_str()), (2, ""));
        assert!(stderr.starts_with("upstream.ca_file: "), "{stderr}");
    }
}

#[test]
fn a_token_store_is_one_redis_with_what_reaches_it_in_keys_of_its_own() {
    let store = |keys: &str| format!("[token_store]\n{keys}\n{ACCOUNT}");
    let config = parse(&store("url = \"rediss://[::1]:7000/2\"")).unwrap();
    let found = config.token_store.unwrap();
    assert_eq!(
        (found.host.as_str(), found.port, found.database),
        ("::1", 7000, 2)
    );
    assert!(found.tls_name.is_some());
    let found = parse(&store("url = \"redis://store\""))
        .unwrap()
        .token_store
        .unwrap();
    assert_eq!(
        (found.host.as_str(), found.port, found.database),
        ("store", 6379, 0)
    );
    assert!(parse(ACCOUNT).unwrap().token_store.is_none());

    for (keys, error) in [
        ("url = \"store:6379\"", "token_store.url: "),
        (
            "url = \"redis-sentinel://store\"",
            "token_store.url: must begin with redis://",
        ),
        (
            "url = \"redis://user:hidden@store\"",
            "token_store.url: must be scheme",
        ),
        (
            "url = \"redis://store/?protocol=3\"",
            "token_store.url: must be scheme",
        ),
        (
            "url = \"rediss://store/#insecure\"",
            "token_store.url: must be scheme",
        ),
        (
            "url = \"redis://store/first\"",
            "token_store.url: must be a URL",
        ),
        (
            "user = \"somebody\"",
            "token_store.password_file: is missing",
        ),
        ("key_prefix = \"\"", "token_store.key_prefix: "),
        ("command_timeout = \"0s\"", "token_store.command_timeout: "),
        (
            "ca_file = \"/nonexistent/ca\"",
            "token_store.ca_file: cannot be read",
        ),
    ] {
        let found = error_of(&store(keys));
        assert!(found.starts_with(error), "{keys}: {found}");
        assert!(!found.contains("hidden"));
    }
}

#[test]
fn the_two_listeners_need_a_port_each() {
    let at = |port: u16| {
        format!(
            "server.listen = \"127.0.0.1:{port}\"\nadmin.listen = \"127.0.0.1:{port}\"\n{ACCOUNT}"
        )
    };

    assert!(error_of(&at(8080)).starts_with("admin.listen: "));
    assert!(parse(&at(0)).is_ok(), "the system chooses two");
}

#[test]
fn listeners_for_all_addresses_leave_no_port_to_others() {
    let at = |listen: &str, admin: &str| {
        format!("server.listen = {listen:?}\nadmin.listen = {admin:?}\n{ACCOUNT}")
    };
    for (one, other) in [
        ("0.0.0.0:8080", "127.0.0.1:8080"),
        ("[::]:8080", "[::1]:8080"),
        ("[::]:8080", "0.0.0.0:8080"),
        ("[::]:8080", "127.0.0.1:8080"),
        ("0.0.0.0:8080", "[::ffff:127.0.0.1]:8080"),
    ] {
        for config in [at(one, other), at(other, one)] {
            assert!(error_of(&config).starts_with("admin.listen: "), "{config}");
        }
    }
    for (one, other) in [
        ("127.0.0.1:8080", "127.0.0.2:8080"),
        ("0.0.0.0:8080", "[::1]:8080"),
        ("0.0.0.0:8080", "0.0.0.0:8081"),
        ("0.0.0.0:0", "127.0.0.1:0"),
    ] {
        assert!(parse(&at(one, other)).is_ok(), "{one} {other}");
    }
}

#[test]
fn an_otlp_endpoint_holds_no_credentials_and_is_not_quoted_if_it_does() {
    for endpoint in [
        "http://user:hunter2@collector:4318",
        "http://hunter2@collector:4318",
        "http://:hunter2@collector:4318",
        "https://collector:4318/?key=hunter2",
        "https://collector:4318/v1?",
        "https://collector:4318/#hunter2",
        "ftp://collector",
        "collector",
    ] {
        let error = error_of(&format!(
            "telemetry.otlp_endpoint = {endpoint:?}\n{ACCOUNT}"
        ));
        assert!(error.starts_with("telemetry.otlp_endpoint: "), "{error}");
        let of_environment = parse_with(
            ACCOUNT,
            &Environment::from([("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]),
        );
        let errors = of_environment.err().unwrap();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].starts_with("OTEL_EXPORTER_OTLP_ENDPOINT: "),
            "{errors:?}"
        );
        assert!(!error.contains("hunter2") && !errors[0].contains("hunter2"));
    }
}

#[test]
fn check_prints_what_the_environment_and_a_single_account_put_into_effect() {
    let config = parse_with(
        &format!("log.level = \"warn\"\n{ACCOUNT}"),
        &Environment::from([
            ("RUST_LOG", "hyper=debug"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/"),
        ]),
    )
    .unwrap_or_else(|errors| panic!("{errors:?}"));

    for line in [
        "level = \"hyper=debug\"",
        "otlp_endpoint = \"http://127.0.0.1:4318\"",
        "default_account = \"main\"",
    ] {
        assert!(
            config.effective.lines().any(|it| it == line),
            "{line} is missing:\n{}",
            config.effective
        );
    }
    let plain = parse(&format!("log.level = \"warn\"\n{ACCOUNT}"));
    let effective = plain.ok().unwrap().effective;
    assert!(effective.contains("level = \"warn\"\n"), "{effective}");
    assert!(effective.contains("otlp_endpoint = \"\"\n"), "{effective}");
}

#[test]
fn a_secret_that_is_given_twice_is_refused_even_if_it_is_empty() {
    let with = |keys: &str| {
        let account = ACCOUNT.replace("client_secret = \"hunter2-secret\"\n", keys);
        error_of(&account)
    };
    let both = "accounts.main.client_secret_file: and client_secret are both given";

    for keys in [
        "client_secret = \"\"\nclient_secret_file = \"/dev/null\"\n",
        "client_secret = \"s\"\nclient_secret_file = \"\"\n",
        "client_secret = \"s\"\nclient_secret_file = []\n",
        "client_secret = \"\"\nclient_secret_file = []\n",
    ] {
        assert!(with(keys).starts_with(both), "{}", with(keys));
    }
    assert!(with("client_secret = \"\"\n").starts_with("accounts.main.client_secret: must be"));
    assert!(
        with("client_secret_file = []\n")
            .starts_with("accounts.main.client_secret_file: is missing")
    );
}

#[test]
fn output_that_cannot_be_written_is_a_failure_and_no_panic() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let (reader, broken) = std::io::pipe().unwrap();
    drop(reader);
    for stdout in [Stdio::from(full), Stdio::from(broken)] {
        let (code, stderr) = Program::run_into(stdout, &["check"], ACCOUNT);

        assert_eq!(code, 1, "{stderr}");
        assert!(
            stderr.starts_with("bigin-photo-proxy: standard output cannot be written: "),
            "{stderr}"
        );
    }
}

#[test]
fn a_proxy_is_a_bare_url_and_its_credentials_stand_elsewhere() {
    let proxy = |keys: &str| parse(&format!("[upstream]\n{keys}\n{ACCOUNT}"));
    let error = |keys: &str| error_of(&format!("[upstream]\n{keys}\n{ACCOUNT}"));
    let path = std::env::temp_dir().join(format!("password-{:016x}", fastrand::u64(..)));
    std::fs::write(&path, "hunter2\n").unwrap();
    let file = format!("proxy_password_file = {path:?}");

    let config = proxy("proxy = \"http://proxy.example:3128\"").ok().unwrap();
    assert_eq!(
        config.upstream.proxy.unwrap().url.as_str(),
        "http://proxy.example:3128/"
    );
    assert!(proxy("").ok().unwrap().upstream.proxy.is_none());
    for url in [
        "proxy.example:3128",
        "https://proxy.example:3128",
        "socks5://proxy.example:1080",
        "http://proxy.example/path",
        "http://proxy.example/?q",
        "http://user@proxy.example",
        "http://user:hunter2@proxy.example",
    ] {
        let error = error(&format!("proxy = {url:?}"));
        assert!(error.starts_with("upstream.proxy: must "), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    let with_proxy = |keys: &str| format!("proxy = \"http://proxy.example:3128\"\n{keys}");
    let config = proxy(&with_proxy(&format!("proxy_user = \"u\"\n{file}")))
        .ok()
        .unwrap();
    assert!(!format!("{:?}", config.upstream).contains("dTpodW50ZXIy"));
    assert!(
        config.effective.contains("proxy_user = \"u\"") && !config.effective.contains("hunter2")
    );
    for (keys, begin) in [
        (
            format!("proxy_user = \"u\"\n{file}"),
            "upstream.proxy: is missing",
        ),
        (
            with_proxy("proxy_user = \"u\""),
            "upstream.proxy_password_file: is missing",
        ),
        (with_proxy(&file), "upstream.proxy_user: is missing"),
        (
            with_proxy(&format!("proxy_user = \"u:v\"\n{file}")),
            "upstream.proxy_user: must ",
        ),
        (
            with_proxy("proxy_user = \"u\"\nproxy_password_file = \"/nonexistent\""),
            "upstream.proxy_password_file: cannot be read",
        ),
    ] {
        let error = error(&keys);
        assert!(error.starts_with(begin), "{error}");
    }
    std::fs::write(&path, "two words").unwrap();
    let error = error(&with_proxy(&format!("proxy_user = \"u\"\n{file}")));
    assert!(
        error.starts_with("upstream.proxy_password_file: must "),
        "{error}"
    );
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn daily_calls_are_a_number_in_the_file_and_in_the_environment_and_off_without() {
    let daily_calls = |config: Result<Config, Vec<String>>| match config {
        Ok(config) => Ok(config.accounts[0].daily_calls),
        Err(errors) => Err(errors),
    };
    let given = |value: &str| daily_calls(parse(&format!("{ACCOUNT}daily_calls = {value}\n")));
    let variable = "BIGIN_PHOTO_PROXY__ACCOUNTS__MAIN__DAILY_CALLS";
    let set = |value: &str| daily_calls(parse_with(ACCOUNT, &[(variable, value)].into()));

    assert_eq!(daily_calls(parse(ACCOUNT)), Ok(None));
    assert_eq!(given("5000"), Ok(Some(5000)));
    assert_eq!(set("7"), Ok(Some(7)));
    for wrong in [
        given("0"),
        given("\"many\""),
        given("1.5"),
        set("many"),
        set("-1"),
    ] {
        let errors = wrong.err().unwrap();
        assert!(
            errors[0].starts_with("accounts.main.daily_calls: must be a whole number"),
            "{errors:?}"
        );
    }
}

#[test]
fn a_blank_network_is_an_error_and_does_not_let_everybody_in() {
    for blank in [
        "[\"\"]",
        "[\" \"]",
        "\"\"",
        "[\"10.0.0.0/8\", \"\"]",
        "\",\"",
    ] {
        let error = error_of(&format!("server.allowed_peers = {blank}\n{ACCOUNT}"));
        assert!(
            error.starts_with("server.allowed_peers: must be networks"),
            "{error}"
        );
    }
    let variable = "BIGIN_PHOTO_PROXY__SERVER__ALLOWED_PEERS";
    let errors = parse_with(ACCOUNT, &[(variable, ",")].into())
        .err()
        .unwrap();
    assert!(errors[0].contains("must be networks"), "{errors:?}");
    let none = parse(&format!("server.allowed_peers = []\n{ACCOUNT}"));
    assert!(none.ok().unwrap().server.allowed_peers.is_empty());
}

#[test]
fn a_file_that_is_a_pipe_is_an_error_and_does_not_hold_up_the_start() {
    let pipe = pipe();
    let link = pipe.with_extension("link");
    std::os::unix::fs::symlink(&pipe, &link).unwrap();
    let proxy = "upstream.proxy = \"http://127.0.0.1:1\"\nupstream.proxy_user = \"u\"";
    for (key, config) in [
        (
            "server.caller_token_file",
            format!("server.caller_token_file = {link:?}\n{ACCOUNT}"),
        ),
        (
            "upstream.ca_file",
            format!("upstream.ca_file = {pipe:?}\n{ACCOUNT}"),
        ),
        (
            "upstream.proxy_password_file",
            format!("{proxy}\nupstream.proxy_password_file = {pipe:?}\n{ACCOUNT}"),
        ),
        (
            "accounts.main.client_secret_file",
            ACCOUNT.replace(
                "client_secret = \"hunter2-secret\"",
                &format!("client_secret_file = {link:?}"),
            ),
        ),
    ] {
        assert_eq!(error_of(&config), format!("{key}: is not a regular file"));
    }
    std::fs::remove_file(&link).unwrap();
    std::fs::remove_file(&pipe).unwrap();
}

/// A pipe that nobody writes into.
fn pipe() -> PathBuf {
    let pipe = std::env::temp_dir().join(format!("pipe-{:016x}", fastrand::u64(..)));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    pipe
}

#[test]
fn an_audit_path_that_is_a_pipe_is_an_error_and_does_not_hold_up_the_start() {
    let pipe = pipe();

    let error = error_of(&format!("audit.path = {pipe:?}\n{ACCOUNT}"));

    assert!(error.starts_with("audit.path: names a pipe"), "{error}");
    std::fs::remove_file(&pipe).unwrap();
}
