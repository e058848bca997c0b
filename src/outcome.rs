//! What a caller is told about the photo: the word in `Delete-Outcome`.

/// What is known about the photo after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Zoho said that it is deleted.
    Deleted,
    /// Zoho said that it did not delete it.
    Refused,
    /// Zoho was not asked.
    NotSent,
    /// It may be deleted or not.
    Unknown,
}

impl Outcome {
    /// Every outcome, in the order of declaration.
    pub const ALL: [Self; 4] = [Self::Deleted, Self::Refused, Self::NotSent, Self::Unknown];

    /// As it is written in headers, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Refused => "refused",
            Self::NotSent => "not-sent",
            Self::Unknown => "unknown",
        }
    }
}
