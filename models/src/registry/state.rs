//! The life of a package, as shown to people.

/// ```text
///   installed -> building -> ready -> active -> deactivated
///                    |                  |
///                    +---> refused <----+   (a later build may mend it)
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum PackageState {
    /// Its files and its signature are good; nothing is known of how it runs here.
    Installed,
    /// `fraction` of the whole build, 0 to 1.
    Building { stage: String, fraction: f64 },
    /// It loads here and gave its golden answer.
    Ready,
    /// Its task uses it.
    Active,
    /// It is not used, and why.
    Refused(String),
    /// Its task used it until someone switched it off.
    Deactivated,
}

impl PackageState {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Building { .. } => "building",
            Self::Ready => "ready",
            Self::Active => "active",
            Self::Refused(_) => "refused",
            Self::Deactivated => "deactivated",
        }
    }

    /// Why it is refused; empty when it is not.
    pub fn reason(&self) -> &str {
        if let Self::Refused(reason) = self { reason } else { "" }
    }
}
