//! What was met on the way to a server, for those who look at the way itself.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls::ClientConnection;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::trouble::printable;
use crate::authn::rehearsal::{Outcome, Step};
use crate::clock::Timestamp;

/// A certificate that ends sooner is worth a warning.
const SOON: i64 = 30 * DAY;
const DAY: i64 = 24 * 3600;

/// How far it went.
#[derive(Debug, Default)]
pub(super) struct Journey {
    /// Every address of the host, and how long that took to find out.
    pub(super) resolved: Option<(Vec<SocketAddr>, Duration)>,
    /// The one that answered.
    pub(super) connected: Option<(SocketAddr, Duration)>,
    /// What was agreed upon.
    pub(super) handshake: Option<Handshake>,
}

/// A TLS handshake that succeeded.
#[derive(Debug)]
pub(super) struct Handshake {
    version: String,
    cipher: String,
    /// The server's own certificate in DER.
    certificate: Option<Vec<u8>>,
    /// With StartTLS, where that came first.
    took: Duration,
}

impl Handshake {
    /// Of a connection.
    pub(super) fn of(connection: &ClientConnection, took: Duration) -> Self {
        let version = connection.protocol_version().and_then(|version| version.as_str());
        let cipher = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        let certificate = connection.peer_certificates().and_then(<[_]>::first);
        Self {
            version: version.unwrap_or("TLS").replace("TLSv", "TLS ").replace('_', "."),
            cipher: cipher.unwrap_or("an unknown cipher").to_owned(),
            certificate: certificate.map(|certificate| certificate.to_vec()),
            took,
        }
    }

    /// The step: version and cipher, and whose certificate it is, by whom and for how long.
    pub(super) fn step(&self, name: String, how: &str, now: Timestamp) -> Step {
        let agreed = format!("{how}, {}, {}", self.version, self.cipher);
        let parsed = self.certificate.as_deref().and_then(|der| X509Certificate::from_der(der).ok());
        let Some((_, certificate)) = parsed else { return Step::good(name, agreed).took(self.took) };
        let left = Timestamp(certificate.validity().not_after.timestamp()).since(now);
        let days = left / DAY;
        let mut names = names(&certificate).join(", ");
        if names.is_empty() {
            "none".clone_into(&mut names);
        }
        let details = vec![
            format!("certificate names: {names}"),
            format!("certificate issuer: {}", printable(&certificate.issuer().to_string())),
            format!("certificate ends in {days} days"),
        ];
        let outcome = if left < SOON { Outcome::Warning } else { Outcome::Good };
        let found = if left < SOON { format!("{agreed}; the certificate ends in {days} days") } else { agreed };
        let step = Step::new(name, outcome, found).details(details).took(self.took);
        if left < SOON { step.advice("renew the directory's certificate: once it has ended nobody can log in") } else { step }
    }
}

/// Those that count: a common name does not.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| {
        if let GeneralName::DNSName(name) = name {
            return Some(printable(name));
        }
        let GeneralName::IPAddress(bytes) = name else { return None };
        let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
        four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok().map(|address| address.to_string())
    };
    alternatives.value.general_names.iter().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_ends_soon_is_a_warning() {
        let now = Timestamp(1_700_000_000);
        let shown = |days: i64| {
            let names = ["dc1.corp.example".to_owned(), "10.0.0.1".to_owned()];
            let mut params = rcgen::CertificateParams::new(names).unwrap();
            params.not_before = rcgen::date_time_ymd(2023, 1, 1);
            // 2023-11-14T22:13:20Z plus the days.
            let civil = jiff::Timestamp::from_second(now.0 + days * DAY).unwrap().to_zoned(jiff::tz::TimeZone::UTC).date();
            let (month, day) = (civil.month().unsigned_abs(), civil.day().unsigned_abs());
            params.not_after = rcgen::date_time_ymd(civil.year().into(), month, day);
            let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
            let handshake = Handshake {
                version: "TLS 1.3".to_owned(),
                cipher: "C".to_owned(),
                certificate: Some(certificate.der().to_vec()),
                took: Duration::ZERO,
            };
            handshake.step("tls".to_owned(), "LDAPS", now)
        };
        let long = shown(400);
        assert_eq!((long.outcome, long.found.as_str()), (Outcome::Good, "LDAPS, TLS 1.3, C"));
        assert!(long.details.iter().any(|line| line == "certificate names: dc1.corp.example, 10.0.0.1"), "{long:?}");
        let short = shown(20);
        assert!(short.outcome == Outcome::Warning && short.found.ends_with("ends in 19 days"), "{short:?}");
        assert!(short.advice.is_some_and(|advice| advice.contains("renew")));
    }
}
