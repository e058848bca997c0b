//! The OAuth scopes that deleting photos needs, and what is more than that.
//!
//! Source: <https://www.bigin.com/developer/docs/apis/v2/delete-image.html>.

/// The least: one for each module. There is none for photos alone.
const LEAST_SCOPES: [&str; 3] = [
    "ZohoBigin.modules.contacts.DELETE",
    "ZohoBigin.modules.accounts.DELETE",
    "ZohoBigin.modules.products.DELETE",
];

/// Allows everything in all modules.
const EVERYTHING: &str = "ZohoBigin.modules.ALL";

/// How scopes that were granted compare with those that are needed.
#[derive(Debug, PartialEq, Eq)]
pub struct ScopeCheck {
    /// Of the least, those that nothing stands in for: deleting photos of these modules will be refused.
    pub missing: Vec<&'static str>,
    /// Those that allow more than deleting in the three modules.
    pub needless: Vec<String>,
}

impl ScopeCheck {
    /// Compares scopes as Zoho tells them: divided by spaces or commas.
    #[must_use]
    pub fn of(granted: &str) -> Self {
        let granted: Vec<_> = granted
            .split([' ', ','])
            .filter(|scope| !scope.is_empty())
            .collect();
        let is_granted = |least: &&str| {
            let all_of_module = least.replace(".DELETE", ".ALL");
            let enough = [*least, &all_of_module, EVERYTHING];
            granted.iter().any(|scope| {
                enough
                    .iter()
                    .any(|enough| scope.eq_ignore_ascii_case(enough))
            })
        };
        let is_least = |scope: &&str| {
            LEAST_SCOPES
                .iter()
                .any(|least| scope.eq_ignore_ascii_case(least))
        };
        Self {
            missing: LEAST_SCOPES
                .into_iter()
                .filter(|least| !is_granted(least))
                .collect(),
            needless: granted
                .iter()
                .filter(|scope| !is_least(scope))
                .map(|scope| (*scope).to_owned())
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_is_enough_however_it_is_divided() {
        for divider in [" ", ",", ", "] {
            let check = ScopeCheck::of(&LEAST_SCOPES.join(divider));

            assert_eq!((check.missing, check.needless), (vec![], vec![]));
        }
    }

    #[test]
    fn what_is_missing_and_what_is_needless_is_named() {
        let check = ScopeCheck::of("ZohoBigin.modules.contacts.ALL ZohoBigin.settings.READ");

        assert_eq!(check.missing, LEAST_SCOPES[1..]);
        assert_eq!(
            check.needless,
            ["ZohoBigin.modules.contacts.ALL", "ZohoBigin.settings.READ"]
        );
        assert_eq!(ScopeCheck::of(EVERYTHING).missing, [""; 0]);
    }
}
