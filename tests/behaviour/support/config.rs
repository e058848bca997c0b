//! The configuration of a proxy in front of a sandbox.

use zoho_sandbox::Sandbox;

/// A configuration with one account, `main`, at `zoho`.
pub(crate) fn config_for(zoho: &Sandbox, keys: &str) -> String {
    let settings = zoho.settings();
    format!(
        "server.listen = \"127.0.0.1:0\"
admin.listen = \"127.0.0.1:0\"
{keys}
[accounts.main]
client_id = {:?}
client_secret = {:?}
refresh_token = {:?}
accounts_url = {:?}
api_url = {:?}
",
        settings.client_id,
        settings.client_secret,
        settings.refresh_token,
        zoho.accounts_url(),
        zoho.api_url(),
    )
}
