//! Parts of the language that the model can leave out, to see whether random cases would notice.

/// One part, read as if it were not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Deny,
    Except,
    ExceptRepository,
    /// An exception that is not known to hold is taken to hold (in a deny) or not to hold (in an allow).
    ExceptUnknown,
    Anonymous,
    /// `authenticated` means workloads too.
    AuthenticatedWorkload,
    /// A map without a provider means workloads too.
    WorkloadProvider,
    Provider,
    Realm,
    /// A plain name means every realm.
    HomeRealm,
    User,
    Group,
    /// `all` means any.
    All,
    /// Case counts everywhere.
    IgnoredCase,
    /// Case counts nowhere.
    ExactCase,
    /// Captured letters stay as they are.
    LowerCase,
    /// An ambiguous split counts as one that is not.
    AmbiguousAllow,
    /// A deny with an ambiguous split does not apply.
    AmbiguousDeny,
    Reserved,
    UserCapture,
    /// `{user}` of another realm than the file's has a value.
    ForeignUser,
    RoleCapture,
    Rename,
    /// A group called like an alias is what it is called.
    Hide,
    /// Aliases hold in every realm.
    AliasRealm,
    Dn,
    UnreadableDn,
    Catalog,
    Claims,
    /// A claim that is missing is taken to hold (allow) or not to hold (deny).
    MissingClaim,
    Mfa,
    MissingFactor,
    When,
    Services,
    Source,
    MissingSource,
    From,
    Until,
    Weekly,
    /// Days and times of day are those of UTC.
    Zone,
    /// A minute ahead counts as reached.
    Ahead,
    Change,
    DenyChange,
    MfaChange,
    Ttl,
    TtlAction,
    /// The shortest counts.
    LongestTtl,
    Tags,
}

impl Part {
    pub const ALL: [Self; 48] = [
        Self::Deny,
        Self::Except,
        Self::ExceptRepository,
        Self::ExceptUnknown,
        Self::Anonymous,
        Self::AuthenticatedWorkload,
        Self::WorkloadProvider,
        Self::Provider,
        Self::Realm,
        Self::HomeRealm,
        Self::User,
        Self::Group,
        Self::All,
        Self::IgnoredCase,
        Self::ExactCase,
        Self::LowerCase,
        Self::AmbiguousAllow,
        Self::AmbiguousDeny,
        Self::Reserved,
        Self::UserCapture,
        Self::ForeignUser,
        Self::RoleCapture,
        Self::Rename,
        Self::Hide,
        Self::AliasRealm,
        Self::Dn,
        Self::UnreadableDn,
        Self::Catalog,
        Self::Claims,
        Self::MissingClaim,
        Self::Mfa,
        Self::MissingFactor,
        Self::When,
        Self::Services,
        Self::Source,
        Self::MissingSource,
        Self::From,
        Self::Until,
        Self::Weekly,
        Self::Zone,
        Self::Ahead,
        Self::Change,
        Self::DenyChange,
        Self::MfaChange,
        Self::Ttl,
        Self::TtlAction,
        Self::LongestTtl,
        Self::Tags,
    ];
}
