//! Whether a form was sent by one of our own pages.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Browsers say in `Sec-Fetch-Site` and in `Origin` where a form stands. Our pages send no referrer, and with that the `Origin`
/// of their forms is `null`, which any page can send: it will do only beside `Sec-Fetch-Site`, which none can.
pub(super) fn is_own(headers: &HeaderMap, url: &Url) -> bool {
    let (Ok(site), Ok(origin)) = (once(headers, &FETCH_SITE), once(headers, &ORIGIN)) else { return false };
    let same_site = match site {
        Some(site) if site == "same-origin" => true,
        Some(_) => return false,
        None => false,
    };
    match origin {
        Some(origin) if origin == "null" => same_site,
        Some(origin) => origin == url.origin().ascii_serialization().as_str(),
        // Not a browser of these years, or not a browser.
        None => same_site || once(headers, &HOST).is_ok_and(|host| host.is_some_and(|host| is_host(host, url))),
    }
}

fn is_host(host: &HeaderValue, url: &Url) -> bool {
    let Some(name) = url.host_str() else { return false };
    let same = |text: String| host.as_bytes().eq_ignore_ascii_case(text.as_bytes());
    match (url.port(), url.port_or_known_default()) {
        (Some(port), _) => same(format!("{name}:{port}")),
        (None, Some(port)) => same(name.to_owned()) || same(format!("{name}:{port}")),
        (None, None) => same(name.to_owned()),
    }
}

/// A header that may stand once.
fn once<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, ()> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() { Err(()) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, lines: &[(&str, &str)], expected: bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        assert_eq!(is_own(&headers, &url.parse().unwrap()), expected, "{url} {lines:?}");
    }

    #[test]
    fn a_form_of_another_page_is_told_from_our_own() {
        let url = "https://auth.corp.example";
        let (own, foreign) = (("origin", "https://auth.corp.example"), ("origin", "https://evil.example"));
        let (same, host) = (("sec-fetch-site", "same-origin"), ("host", "auth.corp.example"));
        for good in [
            &[same, own][..],
            &[same, ("origin", "null")],
            &[same],
            &[own],
            &[own, ("host", "inside:5001")],
            &[host],
            &[("host", "AUTH.corp.example:443")],
        ] {
            check(url, good, true);
        }
        for bad in [
            &[][..],
            &[foreign],
            &[foreign, host],
            &[same, foreign],
            &[("origin", "null"), host],
            &[("origin", "http://auth.corp.example"), host],
            &[("origin", "https://auth.corp.example:8443"), host],
            &[("origin", "https://auth.corp.example.evil.example"), host],
            &[("sec-fetch-site", "same-site"), own],
            &[("sec-fetch-site", "cross-site"), own],
            &[("sec-fetch-site", "none"), own],
            &[("sec-fetch-site", ""), host],
            &[same, same],
            &[own, own],
            &[own, foreign],
            &[("host", "evil.example")],
            &[("host", "auth.corp.example:80")],
        ] {
            check(url, bad, false);
        }
        check("http://127.0.0.1:5001", &[("origin", "http://127.0.0.1:5001")], true);
        check("http://127.0.0.1:5001", &[("host", "127.0.0.1:5001")], true);
        check("http://127.0.0.1:5001", &[("host", "127.0.0.1")], false);
        check("http://[::1]:5001", &[("host", "[::1]:5001")], true);
        check("https://auth.corp.example/narrows", &[own], true);
    }
}
