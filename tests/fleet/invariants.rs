//! What holds of every history of a fleet, whatever happened in it, by Zoho's ledger and the replicas' logs.

use std::time::Duration;

use zoho_sandbox::Sandbox;

use crate::fleet::Replica;
use crate::support::client;

/// The budget of the defaults.
const BUDGET: usize = 8;

/// At most eight token requests in any window, over all replicas together. For the clocks of a busy machine the window is a
/// little shorter here.
pub(crate) fn assert_one_budget(zoho: &Sandbox, window: Duration) {
    let most = zoho
        .ledger()
        .most_token_requests_within(window.mul_f64(0.97));
    assert!(most <= BUDGET, "{most} token requests in {window:?}");
}

/// No replica ever went back to an older token, and none was sent past its end.
pub(crate) fn assert_newest_token<'a>(
    zoho: &Sandbox,
    replicas: impl IntoIterator<Item = &'a Replica>,
) {
    for replica in replicas {
        let versions = replica.versions();
        let rises = versions.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(rises, "{versions:?}");
    }
    assert_eq!(zoho.ledger().expired_token_uses, 0);
}

#[tokio::test]
async fn a_budget_that_is_exceeded_is_noticed() {
    let zoho = Sandbox::start().await;
    let client = client();
    for _ in 0..=BUDGET {
        let request = client.post(format!("{}/oauth/v2/token", zoho.accounts_url()));
        request.send().await.unwrap();
    }

    let checked = std::panic::catch_unwind(|| assert_one_budget(&zoho, Duration::from_mins(10)));

    assert!(checked.is_err());
}
