use super::*;
use crate::telemetry::DeletionKind;

const WELL: AccountReading = AccountReading {
    token_expiry: 0.0,
    token_version: 3,
    tokens_live: 1,
    token_budget: 7,
    token_cooldown: Duration::ZERO,
    in_flight: 2,
    waiting: 0,
    cap: 10,
    breaker_open: false,
    retries_refused: 0,
    credits_remaining: None,
    daily_calls_remaining: None,
};

const REFUSED: Standing = Standing::Failed(Failure::Refused("invalid_code"));

fn in_minutes(minutes: u64) -> f64 {
    let expiry = now() + Duration::from_mins(minutes);
    expiry
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

fn kind(account: &str, outcome: &str, code: &str, act: &str) -> DeletionKind {
    DeletionKind {
        account: account.to_owned(),
        outcome: outcome.to_owned(),
        code: code.to_owned(),
        act: act.to_owned(),
    }
}

#[test]
fn the_worst_account_is_what_the_page_begins_with() {
    let none = AccountReading {
        token_version: 0,
        ..WELL
    };
    let broken = AccountReading {
        breaker_open: true,
        ..WELL
    };
    let spent = AccountReading {
        credits_remaining: Some(0),
        ..WELL
    };
    let later = Standing::Failed(Failure::Transient("status 503"));
    for (standing, reading, class, word) in [
        (Standing::Good, WELL, "good", "well"),
        (Standing::Good, none, "warn", "waiting for a token"),
        (Standing::Untried, none, "idle", "starting"),
        (later, WELL, "warn", "token is not renewed yet"),
        (later, none, "bad", "no token"),
        (REFUSED, WELL, "bad", "token cannot be renewed"),
        (Standing::Good, broken, "bad", "Zoho is unreachable"),
        (Standing::Good, spent, "bad", "no calls left"),
    ] {
        let (mood, said, _) = state(standing, &reading);
        assert_eq!((mood.class(), said), (class, word));
    }
    let api = Origin::parse("https://www.zohoapis.eu").ok().unwrap();
    let account = |name, standing| Seen {
        name,
        api: &api,
        standing,
        reading: WELL,
    };

    let page = render(
        &[account("a", Standing::Good), account("b", REFUSED)],
        &[],
        None,
    );

    assert!(page.contains("<title>b: token cannot be renewed – bigin-photo-proxy</title>"));
    assert!(page.contains("The operator must act"));
}

#[test]
fn nothing_that_is_shown_can_be_markup() {
    let api = Origin::parse("https://www.zohoapis.eu").ok().unwrap();
    let account = Seen {
        name: "<a>",
        api: &api,
        standing: REFUSED,
        reading: WELL,
    };
    let minutes = [(
        0,
        Deletions::from([(kind("<a>", "unknown", "<b>&\"", "operator"), 1)]),
    )];

    let page = render(&[account], &minutes, None);

    assert!(!page.contains("<a>") && !page.contains("<b>&\""));
    assert!(page.contains("&lt;b&gt;&amp;&quot;"));
}

/// A page with an hour that shows everything: for whoever takes its picture, and as a check that each number is there.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "no configuration: where a picture is taken from"
)]
fn an_hour_of_two_accounts_is_on_the_page() {
    let (eu, us) = ("https://www.zohoapis.eu", "https://www.zohoapis.com");
    let [eu, us] = [eu, us].map(|url| Origin::parse(url).ok().unwrap());
    let main = AccountReading {
        token_expiry: in_minutes(44),
        credits_remaining: Some(3120),
        ..WELL
    };
    let other = AccountReading {
        token_expiry: in_minutes(12),
        token_budget: 2,
        token_cooldown: Duration::from_secs(95),
        in_flight: 0,
        cap: 4,
        daily_calls_remaining: Some(812),
        ..WELL
    };
    let accounts = [
        Seen {
            name: "main",
            api: &eu,
            standing: Standing::Good,
            reading: main,
        },
        Seen {
            name: "subsidiary",
            api: &us,
            standing: Standing::Failed(Failure::Transient("status 503")),
            reading: other,
        },
    ];
    let minutes = (0..MINUTES).map(|ago| {
        let wave = (ago * 7 % 11 + ago * 13 % 17) * 3;
        let mut brought =
            Deletions::from([(kind("main", "deleted", "SUCCESS", "nobody"), 40 + wave)]);
        if ago > 20 {
            brought.insert(
                kind("subsidiary", "deleted", "SUCCESS", "nobody"),
                9 + wave / 5,
            );
        }
        if (23..27).contains(&ago) {
            brought.insert(kind("main", "not-sent", "OVERLOADED", "nobody"), 35);
        }
        if ago % 19 == 4 {
            brought.insert(kind("main", "refused", "INVALID_DATA", "caller"), 2);
        }
        if (8..12).contains(&ago) {
            brought.insert(
                kind(
                    "subsidiary",
                    "refused",
                    "OAUTH_SCOPE_MISMATCH",
                    "zoho-admin",
                ),
                5,
            );
        }
        if ago < 3 {
            brought.insert(
                kind("subsidiary", "not-sent", "TOKEN_UNAVAILABLE", "operator"),
                3,
            );
        }
        (ago, brought)
    });

    let page = render(&accounts, &minutes.collect::<Vec<_>>(), None);

    if let Some(path) = std::env::var_os("STATUS_PAGE") {
        std::fs::write(path, &page).unwrap();
    }
    for part in [
        "data center eu · www.zohoapis.eu",
        "<dd>7</dd>",
        "<dd>3120</dd>",
        "<dd>in 95 s</dd>",
        "<dd>812</dd>",
        "<td class=\"code\">OAUTH_SCOPE_MISMATCH</td><td>20 ×</td><td>subsidiary</td>",
        "the Zoho administrator</span></td><td class=\"quiet\">8 min ago</td>",
        "<td class=\"code\">TOKEN_UNAVAILABLE</td><td>9 ×</td>",
        "subsidiary: token is not renewed yet",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(page.contains("<dd>43 min</dd>") || page.contains("<dd>44 min</dd>"));
}
