//! Which account a call is made with: the right data center, the right token, chosen by the path alone.

use std::path::Path;

use bigin_photo_proxy::zoho::DataCenter;
use futures_util::future::join_all;
use zoho_sandbox::{ApiFault, ApiFaultKind, Sandbox, Settings, When};

use crate::support::{TestApp, eventually};

/// The table on <https://www.bigin.com/developer/docs/apis/multi-dc.html>.
const DATA_CENTERS: [(&str, &str, &str); 8] = [
    (
        "us",
        "https://accounts.zoho.com",
        "https://www.zohoapis.com",
    ),
    (
        "au",
        "https://accounts.zoho.com.au",
        "https://www.zohoapis.com.au",
    ),
    ("eu", "https://accounts.zoho.eu", "https://www.zohoapis.eu"),
    ("in", "https://accounts.zoho.in", "https://www.zohoapis.in"),
    (
        "cn",
        "https://accounts.zoho.com.cn",
        "https://www.zohoapis.com.cn",
    ),
    ("jp", "https://accounts.zoho.jp", "https://www.zohoapis.jp"),
    ("sa", "https://accounts.zoho.sa", "https://www.zohoapis.sa"),
    (
        "ca",
        "https://accounts.zohocloud.ca",
        "https://www.zohoapis.ca",
    ),
];

#[test]
fn each_data_center_has_its_accounts_host_and_its_api_host() {
    for (name, accounts_url, api_url) in DATA_CENTERS {
        assert_eq!(
            DataCenter::named(name),
            Some(DataCenter {
                name,
                accounts_url,
                api_url
            })
        );
    }
    assert_eq!(DataCenter::ALL.len(), DATA_CENTERS.len());
    assert_eq!(DataCenter::named("uk"), None);
}

#[test]
fn an_account_of_each_data_center_is_sent_to_its_hosts() {
    use bigin_photo_proxy::config::{self, Environment};
    for (name, accounts_url, api_url) in DATA_CENTERS {
        let text = format!(
            "[accounts.main]\ndata_center = {name:?}\nclient_id = \"1000.X\"\n\
             client_secret = \"s\"\nrefresh_token = \"r\"\n"
        );
        let config = config::parse(&text, &Environment::default()).unwrap();

        assert_eq!(config.accounts[0].accounts.to_string(), accounts_url);
        assert_eq!(config.accounts[0].api.to_string(), api_url);
    }
}

#[test]
fn no_other_source_file_knows_a_host_of_zohos() {
    fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    files(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut found,
    );
    assert!(found.len() > 40);

    for path in found
        .iter()
        .filter(|path| !path.ends_with("zoho/data_center.rs") && !path.ends_with("tests.rs"))
    {
        let text = std::fs::read_to_string(path).unwrap();
        // Tests and comments may name one; code may not.
        let code = text.split("#[cfg(test)]").next().unwrap();
        let lines = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in lines {
            let knows = line.contains("accounts.zoho") || line.contains("www.zohoapis");
            let explains = line.contains("such as https://www.zohoapis.eu");
            assert!(!knows || explains, "{}: {line}", path.display());
        }
    }
}

/// Two organisations, each with a Zoho of its own.
pub(crate) fn two_accounts(first: &Sandbox, second: &Sandbox, keys: &str) -> String {
    let account = |name: &str, zoho: &Sandbox| {
        let settings = zoho.settings();
        format!(
            "[accounts.{name}]\nclient_id = {:?}\nclient_secret = {:?}\nrefresh_token = {:?}\n\
             accounts_url = {:?}\napi_url = {:?}\n",
            settings.client_id,
            settings.client_secret,
            settings.refresh_token,
            zoho.accounts_url(),
            zoho.api_url(),
        )
    };
    format!(
        "server.listen = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:0\"\n{keys}\n{}{}",
        account("main", first),
        account("north-1", second),
    )
}

async fn start(seed: u64) -> Sandbox {
    let settings = Settings {
        seed,
        ..Settings::default()
    };
    Sandbox::bind(([127, 0, 0, 1], 0).into(), settings)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_caller_chooses_an_account_with_its_base_url_alone() {
    let (main, north) = (start(1).await, start(2).await);
    let app = TestApp::of_config(&two_accounts(&main, &north, "default_account = \"main\""));
    eventually("ready", async || app.readyz().await.status == 200).await;

    assert_eq!(
        app.delete("/bigin/v2/Contacts/1/photo").await.outcome(),
        "deleted"
    );
    assert_eq!(
        app.delete("/main/bigin/v2/Contacts/2/photo")
            .await
            .outcome(),
        "deleted"
    );
    assert_eq!(
        app.delete("/north-1/bigin/v2/Contacts/3/photo")
            .await
            .outcome(),
        "deleted"
    );

    let ids = |zoho: &Sandbox| {
        zoho.ledger()
            .deletions
            .iter()
            .map(|it| it.id)
            .collect::<Vec<_>>()
    };
    assert_eq!((ids(&main), ids(&north)), (vec![1, 2], vec![3]));
    assert_eq!(
        north.ledger().requests[0].target,
        "/bigin/v2/Contacts/3/photo"
    );
}

#[tokio::test]
async fn each_account_is_told_apart_in_the_metrics() {
    let (main, north) = (start(1).await, start(2).await);
    let app = TestApp::of_config(&two_accounts(&main, &north, "default_account = \"main\""));
    eventually("ready", async || app.readyz().await.status == 200).await;

    app.delete("/north-1/bigin/v2/Contacts/3/photo").await;

    let deletes = async |account| app.metric("bigin_photo_deletes_total", &[account]).await;
    assert!((deletes(r#"account="north-1""#).await - 1.0).abs() < f64::EPSILON);
    assert!(deletes(r#"account="main""#).await.abs() < f64::EPSILON);
}

#[tokio::test]
async fn accounts_with_the_same_refresh_token_at_the_same_hosts_share_token_and_budget() {
    let zoho = start(1).await;
    let app = TestApp::of_config(&two_accounts(&zoho, &zoho, "default_account = \"main\""));
    eventually("ready", async || app.readyz().await.status == 200).await;

    assert_eq!(
        app.delete("/main/bigin/v2/Contacts/1/photo")
            .await
            .outcome(),
        "deleted"
    );
    assert_eq!(
        app.delete("/north-1/bigin/v2/Contacts/2/photo")
            .await
            .outcome(),
        "deleted"
    );

    assert_eq!(zoho.ledger().token_requests, 1);
    assert_eq!(zoho.ledger().calls_per_token, [2]);
}

#[tokio::test]
async fn identical_deletions_of_two_accounts_share_no_call() {
    let (main, north) = (start(1).await, start(2).await);
    let keys =
        "default_account = \"main\"\nupstream.max_in_flight = 1\nupstream.queue_timeout = \"10s\"";
    let app = TestApp::of_config(&two_accounts(&main, &north, keys));
    eventually("ready", async || app.readyz().await.status == 200).await;
    for zoho in [&main, &north] {
        let slow = ApiFaultKind::Slow { milliseconds: 1000 };
        zoho.on_delete(When::Next(1), ApiFault::before(slow));
    }
    let delete = |account: &str, id: u64| {
        let path = format!("/{account}/bigin/v2/Contacts/{id}/photo");
        let app = &app;
        async move { app.delete(&path).await.outcome().to_owned() }
    };
    let first = join_all(["main", "north-1"].map(|account| delete(account, 1)));
    let second = async {
        eventually("both are busy", async || {
            main.ledger().calls + north.ledger().calls == 2
        })
        .await;
        join_all(["main", "north-1", "main", "north-1"].map(|account| delete(account, 7))).await
    };

    let (first, second) = tokio::join!(first, second);

    assert!(
        first
            .iter()
            .chain(&second)
            .all(|outcome| outcome == "deleted")
    );
    for zoho in [&main, &north] {
        let ids: Vec<_> = zoho.ledger().deletions.iter().map(|it| it.id).collect();
        assert_eq!(ids, [1, 7]);
    }
}

#[tokio::test]
async fn one_account_in_trouble_does_not_touch_another() {
    let (main, north) = (start(1).await, start(2).await);
    let config = two_accounts(&main, &north, "default_account = \"main\"");
    north.change(|settings| settings.refresh_token = "another".to_owned());
    let app = TestApp::of_config(&config);

    eventually("main has a token", async || {
        app.delete("/main/bigin/v2/Contacts/1/photo")
            .await
            .outcome()
            == "deleted"
    })
    .await;

    let north = app.delete("/north-1/bigin/v2/Contacts/1/photo").await;
    assert_eq!(north.code(), "TOKEN_UNAVAILABLE");
    assert_eq!(north.json()["details"]["act"], "operator");
}

#[tokio::test]
async fn a_refresh_token_has_one_budget_even_if_its_accounts_use_different_apis() {
    let (zoho, other) = (start(1).await, start(2).await);
    let settings = zoho.settings();
    let account = |name: &str, api_url: &str| {
        format!(
            "[accounts.{name}]\nclient_id = {:?}\nclient_secret = {:?}\nrefresh_token = {:?}\n\
             accounts_url = {:?}\napi_url = {api_url:?}\n",
            settings.client_id,
            settings.client_secret,
            settings.refresh_token,
            zoho.accounts_url()
        )
    };
    let app = TestApp::of_config(&format!(
        "default_account = \"main\"\n\
         [server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [token]\nbudget = 1\n{}{}",
        account("main", &zoho.api_url()),
        account("odd", &other.api_url()),
    ));

    eventually("one of them has its token", async || {
        zoho.ledger().token_requests == 1
    })
    .await;
    let replies = [
        app.delete("/main/bigin/v2/Contacts/1/photo").await,
        app.delete("/odd/bigin/v2/Contacts/1/photo").await,
    ];
    assert!(
        replies
            .iter()
            .any(|reply| reply.code() == "TOKEN_UNAVAILABLE")
    );
    assert_eq!(zoho.ledger().token_requests, 1);
}
