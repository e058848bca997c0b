//! The accounts that callers can choose between: one organisation in Bigin each.

/// Which account: its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AccountId(usize);

impl AccountId {
    /// The place in any list that has one entry an account.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0
    }
}

/// The names of all accounts, and which one requests without a name mean.
#[derive(Clone, Debug)]
pub struct Accounts {
    names: Vec<String>,
    default: AccountId,
}

impl Accounts {
    /// The accounts of these names. `None` unless `default` is one of them.
    #[must_use]
    pub fn new(names: Vec<String>, default: &str) -> Option<Self> {
        let default = AccountId(names.iter().position(|name| name == default)?);
        Some(Self { names, default })
    }

    /// The account of requests that name none.
    #[must_use]
    pub fn default_id(&self) -> AccountId {
        self.default
    }

    /// The account of that name.
    #[must_use]
    pub fn id_of(&self, name: &str) -> Option<AccountId> {
        self.names
            .iter()
            .position(|known| known == name)
            .map(AccountId)
    }

    /// The name of an account.
    #[must_use]
    pub fn name_of(&self, id: AccountId) -> &str {
        self.names
            .get(id.index())
            .expect("an AccountId is made by its own Accounts alone")
    }

    /// Every account, in the order of the configuration.
    pub fn ids(&self) -> impl Iterator<Item = AccountId> + use<> {
        (0..self.names.len()).map(AccountId)
    }
}

/// Whether a text may be an account's name: `[a-z][a-z0-9-]{0,31}`, and not `bigin`, which begins every path.
#[must_use]
pub fn is_account_name(text: &str) -> bool {
    let tail = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= 32
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(tail)
        && text != "bigin"
}
