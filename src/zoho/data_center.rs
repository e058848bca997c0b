//! Zoho's data centers: the only place that knows a host name of Zoho's.
//!
//! A literal table. A host is never built from a country code: Canada's accounts server is `zohocloud.ca` while its API
//! is `zohoapis.ca`. Sources: <https://www.bigin.com/developer/docs/apis/multi-dc.html> and the list of domains on
//! <https://www.bigin.com/developer/docs/apis/v2/delete-image.html>.

use super::Origin;

/// A region in which a Zoho organisation, its users and its tokens live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataCenter {
    /// The name that the configuration uses.
    pub name: &'static str,
    /// Where access tokens are issued.
    pub accounts_url: &'static str,
    /// Where the Bigin API answers.
    pub api_url: &'static str,
}

impl DataCenter {
    /// Every data center that Bigin's documentation lists.
    #[rustfmt::skip]
    pub const ALL: [Self; 8] = [
        Self { name: "us", accounts_url: "https://accounts.zoho.com",     api_url: "https://www.zohoapis.com" },
        Self { name: "eu", accounts_url: "https://accounts.zoho.eu",      api_url: "https://www.zohoapis.eu" },
        Self { name: "au", accounts_url: "https://accounts.zoho.com.au",  api_url: "https://www.zohoapis.com.au" },
        Self { name: "in", accounts_url: "https://accounts.zoho.in",      api_url: "https://www.zohoapis.in" },
        Self { name: "cn", accounts_url: "https://accounts.zoho.com.cn",  api_url: "https://www.zohoapis.com.cn" },
        Self { name: "jp", accounts_url: "https://accounts.zoho.jp",      api_url: "https://www.zohoapis.jp" },
        Self { name: "sa", accounts_url: "https://accounts.zoho.sa",      api_url: "https://www.zohoapis.sa" },
        Self { name: "ca", accounts_url: "https://accounts.zohocloud.ca", api_url: "https://www.zohoapis.ca" },
    ];

    /// The data center whose API this is.
    #[must_use]
    pub fn of_api(api: &Origin) -> Option<Self> {
        let url = api.to_string();
        Self::ALL.into_iter().find(|center| center.api_url == url)
    }

    /// The data center of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|center| center.name == name)
    }
}
