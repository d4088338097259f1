//! What is wrong with a handshake, and how to mend it.

use std::io::{Error, ErrorKind};

use rustls::CertificateError;
use rustls::pki_types::UnixTime;

use super::trouble::printable;

/// A failed handshake in words for an operator.
pub(super) fn explain(error: &Error) -> String {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return of_rustls(tls);
    }
    let ended = matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
    format!("{error}{}", if ended { " (does this port speak TLS? ldaps:// is 636, StartTLS 389)" } else { "" })
}

fn of_rustls(error: &rustls::Error) -> String {
    if let rustls::Error::InvalidCertificate(certificate) = error {
        return of_certificate(certificate);
    }
    let hint = if matches!(error, rustls::Error::InvalidMessage(_)) {
        " (this port does not speak TLS: ldaps:// is 636, StartTLS 389)"
    } else if matches!(error, rustls::Error::AlertReceived(_)) {
        " (the directory refuses: it may want a client certificate (`tls.certificate`), not trust it, or offer no TLS version from \
         `tls.min_version` on)"
    } else if matches!(error, rustls::Error::PeerIncompatible(_)) {
        " (the directory offers no TLS version or cipher that is accepted here)"
    } else {
        ""
    };
    format!("{error}{hint}")
}

fn of_certificate(error: &CertificateError) -> String {
    if let CertificateError::NotValidForNameContext { expected, presented } = error {
        return of_name(&expected.to_str(), presented);
    }
    if let CertificateError::ExpiredContext { not_after, .. } = error {
        return format!("the server's certificate expired on {}: renew it on the directory", date(*not_after));
    }
    if let CertificateError::NotValidYetContext { not_before, .. } = error {
        return format!("the server's certificate is not valid before {}: are the clocks right?", date(*not_before));
    }
    if matches!(error, CertificateError::UnknownIssuer) {
        let why = "the server's certificate is signed by an authority that is not trusted here (UnknownIssuer)";
        return format!("{why}: name the authority's certificate in `tls.ca`");
    }
    format!("the server's certificate cannot be used: {}", printable(&format!("{error:?}")))
}

fn of_name(expected: &str, presented: &[String]) -> String {
    let wrong = format!("the server's certificate is not valid for name `{expected}`");
    if presented.is_empty() {
        let kind = if expected.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" };
        return format!(
            "{wrong}: it bears no name (subjectAltName) at all, and a common name does not count; give the directory a certificate \
             with subjectAltName {kind}:{expected}"
        );
    }
    // They come as `DnsName("ldap.corp.example")` and `IpAddress(10.0.0.1)`.
    let bare = |name: &String| printable(name.split_once('(').map_or(name.as_str(), |(_, name)| name).trim_matches(['(', ')', '"']));
    let names: Vec<String> = presented.iter().take(8).map(bare).collect();
    format!("{wrong}: it bears {}; write one of these in `servers` or `tls.server_name`", names.join(", "))
}

fn date(at: UnixTime) -> String {
    crate::clock::Timestamp(i64::try_from(at.as_secs()).unwrap_or(i64::MAX)).rfc3339()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::pki_types::ServerName;

    use super::*;

    fn check(error: rustls::Error, expected: &[&str]) {
        let shown = explain(&Error::new(ErrorKind::InvalidData, error));
        for expected in expected {
            assert!(shown.contains(expected), "{expected}: {shown}");
        }
    }

    #[test]
    fn a_certificate_that_is_wrong_is_named_with_what_mends_it() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let certificate = |error| rustls::Error::InvalidCertificate(error);
        check(certificate(CertificateError::UnknownIssuer), &["not trusted", "tls.ca"]);
        let expired = CertificateError::ExpiredContext { time: at(1_800_000_000), not_after: at(1_700_000_000) };
        check(certificate(expired), &["expired on 2023-11-14T22:13:20Z", "renew"]);
        let early = CertificateError::NotValidYetContext { time: at(1), not_before: at(1_700_000_000) };
        check(certificate(early), &["not valid before 2023-11-14", "clocks"]);
        let name = |presented: &[&str]| CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("dc1.corp.example").unwrap(),
            presented: presented.iter().map(|name| (*name).to_owned()).collect(),
        };
        check(certificate(name(&[])), &["bears no name (subjectAltName)", "subjectAltName DNS:dc1.corp.example"]);
        let others = name(&["DnsName(\"dc2.corp.example\")", "IpAddress(10.0.0.1)"]);
        check(certificate(others), &["dc1.corp.example", "bears dc2.corp.example, 10.0.0.1;", "tls.server_name"]);
        check(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType), &["does not speak TLS"]);
        check(rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired), &["client certificate"]);
    }
}
