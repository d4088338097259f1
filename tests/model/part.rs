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
    Within,
}

impl Part {
    /// Every part that the generator knows with these features.
    pub fn all(features: Features) -> Vec<Self> {
        use Part::{
            Ahead, AliasRealm, All, AmbiguousAllow, AmbiguousDeny, Anonymous, AuthenticatedWorkload, Catalog, Change, Claims, Deny,
            DenyChange, Dn, ExactCase, Except, ExceptRepository, ExceptUnknown, ForeignUser, From, Group, Hide, HomeRealm, IgnoredCase,
            LongestTtl, LowerCase, Mfa, MfaChange, MissingClaim, MissingFactor, MissingSource, Provider, Realm, Rename, Reserved,
            RoleCapture, Services, Source, Tags, Ttl, TtlAction, UnreadableDn, Until, User, UserCapture, Weekly, When, Within,
            WorkloadProvider, Zone,
        };
        let mut parts = vec![
            Deny,
            Except,
            ExceptRepository,
            ExceptUnknown,
            Anonymous,
            AuthenticatedWorkload,
            WorkloadProvider,
            Provider,
            Realm,
            HomeRealm,
            User,
            Group,
            All,
            IgnoredCase,
            ExactCase,
            LowerCase,
            AmbiguousAllow,
            AmbiguousDeny,
            Reserved,
            UserCapture,
            ForeignUser,
            RoleCapture,
            Rename,
            Hide,
            AliasRealm,
            Dn,
            Catalog,
        ];
        let mut more = |known: bool, some: &[Self]| parts.extend(some.iter().filter(|_| known));
        more(features.contains(&Feature::Claims), &[Claims, MissingClaim]);
        more(features.contains(&Feature::Mfa), &[Mfa, MissingFactor, MfaChange]);
        more(
            features.contains(&Feature::When),
            &[When, Services, Source, MissingSource, From, Until, Weekly, Zone, Ahead, Change, DenyChange],
        );
        more(features.contains(&Feature::Ttl), &[Ttl, TtlAction, LongestTtl]);
        more(features.contains(&Feature::Tags), &[Tags]);
        more(features.contains(&Feature::Files), &[Within]);
        more(features.contains(&Feature::Unreadable), &[UnreadableDn]);
        parts
    }
}

/// What rule files may hold beside the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    When,
    Claims,
    Mfa,
    Ttl,
    Tags,
    Files,
    /// Groups of which the DN cannot be read.
    Unreadable,
}

pub type Features = &'static [Feature];
