//! Each way to forge a token, and what becomes of it.

use std::sync::LazyLock;

use aws_lc_rs::hmac;
use serde_json::json;

use super::forge::{Forge, encoded};
use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000);
const ISSUER: &str = "https://sso.corp.example/realms/main";

/// The issuer's, and somebody's who is not.
static RSA: LazyLock<Forge> = LazyLock::new(|| Forge::rsa("rsa"));
static EC: LazyLock<Forge> = LazyLock::new(|| Forge::p256("ec"));
static EVIL: LazyLock<Forge> = LazyLock::new(|| Forge::rsa("rsa"));

fn published() -> KeySet {
    keys(&[RSA.jwk(), EC.jwk()])
}

fn keys(jwks: &[Value]) -> KeySet {
    KeySet::parse(json!({"keys": jwks}).to_string().as_bytes()).unwrap()
}

fn good() -> Value {
    json!({"iss": ISSUER, "aud": "registry", "sub": "1", "iat": NOW.0 - 5, "exp": NOW.0 + 300, "nonce": "n"})
}

/// The usual claims with some others; `null` removes one.
fn with(more: Value) -> Value {
    let mut claims = good();
    for (name, value) in more.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

fn verified(token: &str, keys: &KeySet, hashed: Hashed<'_>) -> Result<Claims, Refused> {
    let (audiences, parties) = (["registry".to_owned(), "other".to_owned()], ["registry".to_owned()]);
    let expected = Expected {
        issuer: ISSUER,
        audiences: &audiences,
        parties: &parties,
        leeway: std::time::Duration::from_secs(60),
        nonce: Some("n"),
        hashed,
    };
    let signed = Signed::parse(token, &Algorithm::ALL)?;
    keys.check(&signed).map_err(KeyError::as_str)?.claims(&expected, NOW)
}

#[track_caller]
fn check(token: &str, expected: Result<(), &str>) {
    assert_eq!(verified(token, &published(), Hashed::default()).map(drop), expected, "{token}");
}

#[track_caller]
fn says(more: Value, expected: Result<(), &str>) {
    check(&EC.token(&with(more)), expected);
}

/// A header of the issuer's RSA key with more in it.
#[track_caller]
fn heads(more: Value, expected: Result<(), &str>) {
    let mut header = json!({"alg": "RS256", "kid": "rsa"});
    for (name, value) in more.as_object().unwrap() {
        header[name] = value.clone();
    }
    check(&RSA.sign(Algorithm::Rs256, &header.to_string(), &good().to_string()), expected);
}

fn hmac_token(secret: &[u8]) -> String {
    let signed = format!("{}.{}", encoded(r#"{"alg":"HS256","kid":"rsa"}"#), encoded(good().to_string()));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", encoded(signature))
}

#[test]
fn every_signature_with_a_public_key_is_checked() {
    let forges = [Forge::p384("p384"), Forge::ed25519("ed")];
    let set = keys(&[RSA.jwk(), EC.jwk(), forges[0].jwk(), forges[1].jwk()]);
    let rsa = [Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512, Algorithm::Ps256, Algorithm::Ps384, Algorithm::Ps512];
    let all = rsa.map(|algorithm| (&*RSA, algorithm)).into_iter().chain([
        (&*EC, Algorithm::Es256),
        (&forges[0], Algorithm::Es384),
        (&forges[1], Algorithm::EdDsa),
    ]);
    for (forge, algorithm) in all {
        let header = json!({"alg": algorithm.as_str(), "kid": forge.id}).to_string();
        let token = forge.sign(algorithm, &header, &good().to_string());
        assert_eq!(verified(&token, &set, Hashed::default()).map(drop), Ok(()), "{algorithm}");
        // The last byte but for bits that base64 may leave over.
        let mut broken = token.clone().into_bytes();
        let at = broken.len() - 6;
        broken[at] = if broken[at] == b'A' { b'B' } else { b'A' };
        let broken = String::from_utf8(broken).unwrap();
        assert_eq!(verified(&broken, &set, Hashed::default()).map(drop), Err("signature"), "{algorithm}");
        // Each is refused where it is not on the list.
        let others: Vec<Algorithm> = Algorithm::ALL.into_iter().filter(|other| *other != algorithm).collect();
        assert_eq!(Signed::parse(&token, &others).map(drop), Err("algorithm"));
    }
}

#[test]
fn no_signature_and_a_shared_secret_are_none() {
    let payload = encoded(good().to_string());
    for none in ["none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "ES256K", "ES512", "RSA-OAEP"] {
        let header = encoded(json!({"alg": none, "kid": "rsa"}).to_string());
        check(&format!("{header}.{payload}."), Err("algorithm"));
        check(&format!("{header}.{payload}.AAAA"), Err("algorithm"));
    }
    for alg in [json!(null), json!(1), json!(["RS256"])] {
        let header = encoded(json!({"alg": alg}).to_string());
        check(&format!("{header}.{payload}.AAAA"), Err("algorithm"));
    }
    check(&format!("{}.{payload}.", encoded(r#"{"alg":"RS256","kid":"rsa"}"#)), Err("signature"));
    // With the client's secret, and with the public key in any form that a library may have taken for one.
    let jwk = RSA.jwk();
    for secret in [b"s3cret".to_vec(), jwk.to_string().into_bytes(), jwk["n"].as_str().unwrap().as_bytes().to_vec(), Vec::new()] {
        check(&hmac_token(&secret), Err("algorithm"));
    }
    let pem = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n";
    check(&hmac_token(pem.as_bytes()), Err("algorithm"));
    // A shared secret that is published is skipped.
    let shared = keys(&[json!({"kty": "oct", "k": encoded("s3cret"), "kid": "rsa", "alg": "HS256"})]);
    assert!(shared.is_empty());
}

#[test]
fn a_token_of_another_key_is_none() {
    check(&RSA.token(&good()), Ok(()));
    check(&EVIL.token(&good()), Err("signature"));
    let forger = Forge::rsa("mine");
    check(&forger.token(&good()), Err("unknown_key"));
    // The header brings its own judge.
    heads(json!({"jwk": EVIL.jwk()}), Ok(()));
    let own = |extra: Value| {
        let mut header = json!({"alg": "RS256", "kid": "rsa"});
        for (name, value) in extra.as_object().unwrap() {
            header[name] = value.clone();
        }
        EVIL.sign(Algorithm::Rs256, &header.to_string(), &good().to_string())
    };
    check(&own(json!({"jwk": EVIL.jwk()})), Err("signature"));
    check(&own(json!({"jku": "https://evil.example/jwks"})), Err("signature"));
    check(&own(json!({"x5u": "https://evil.example/chain.pem"})), Err("signature"));
    check(&own(json!({"x5c": ["MIIB"]})), Err("signature"));
    // One key's name with another one's algorithm.
    let crossed = EC.sign(Algorithm::Es256, r#"{"alg":"ES256","kid":"rsa"}"#, &good().to_string());
    check(&crossed, Err("signature"));
    let crossed = RSA.sign(Algorithm::Rs256, r#"{"alg":"ES256","kid":"ec"}"#, &good().to_string());
    check(&crossed, Err("signature"));
    let crossed = RSA.sign(Algorithm::Ps256, r#"{"alg":"RS256","kid":"rsa"}"#, &good().to_string());
    check(&crossed, Err("signature"));
}

#[test]
fn a_key_is_found_by_its_name_alone() {
    for name in ["../../rsa", "rsa' OR '1'='1", "rsa\u{0}", "RSA", " rsa", "rsa/", "file:///dev/null", ""] {
        heads(json!({"kid": name}), Err("unknown_key"));
    }
    heads(json!({"kid": "k".repeat(257)}), Err("key_id"));
    for kind in [json!(1), json!(null), json!(["rsa"]), json!({"rsa": 1})] {
        heads(json!({"kid": kind}), Err("key_id"));
    }
    // Without a name, each key that fits is tried.
    let nameless = EC.sign(Algorithm::Es256, r#"{"alg":"ES256"}"#, &good().to_string());
    check(&nameless, Ok(()));
    let set = keys(&[Forge::p256("a").jwk(), EC.jwk(), RSA.jwk()]);
    assert!(verified(&nameless, &set, Hashed::default()).is_ok());
    assert_eq!(verified(&nameless, &keys(&[RSA.jwk()]), Hashed::default()).map(drop), Err("unknown_key"));
    assert_eq!(verified(&nameless, &keys(&[Forge::p256("a").jwk()]), Hashed::default()).map(drop), Err("signature"));
}

#[test]
fn the_header_says_nothing_that_is_not_understood() {
    for good in [json!({"typ": "JWT"}), json!({"typ": "jwt"}), json!({"typ": "JOSE"}), json!({"x5t": "abc"})] {
        heads(good, Ok(()));
    }
    for kind in ["at+jwt", "application/at+jwt", "logout+jwt", "dpop+jwt", "narrows+jwt", "JWT ", ""] {
        heads(json!({"typ": kind}), Err("type"));
    }
    heads(json!({"typ": null}), Err("type"));
    heads(json!({"cty": "JWT"}), Err("type"));
    heads(json!({"crit": ["exp"], "exp": 1}), Err("crit"));
    heads(json!({"crit": ["b64"], "b64": false}), Err("crit"));
    heads(json!({"crit": []}), Err("crit"));
    let doubled = RSA.sign(Algorithm::Rs256, r#"{"alg":"RS256","kid":"rsa","alg":"RS256"}"#, &good().to_string());
    check(&doubled, Err("header"));
}

#[test]
fn what_was_signed_is_what_is_read() {
    let token = RSA.token(&good());
    let parts: Vec<&str> = token.split('.').collect();
    let tampered = encoded(with(json!({"sub": "2"})).to_string());
    check(&format!("{}.{tampered}.{}", parts[0], parts[2]), Err("signature"));
    let other = RSA.token(&with(json!({"sub": "2"})));
    check(&format!("{}.{}.{}", parts[0], parts[1], other.rsplit_once('.').unwrap().1), Err("signature"));
    check(&format!("{}.{}", parts[0], parts[1]), Err("not_a_jwt"));
    check(&format!("{token}.{}.{}", parts[1], parts[2]), Err("not_a_jwt"));
    for shapeless in ["", ".", "..", "a", "a.b", "..a", ".a.", "eyJhbGciOiJSUzI1NiJ9"] {
        check(shapeless, Err("not_a_jwt"));
    }
    for header in ["!!!", "e30=", "bm90IGpzb24", "W10", "e30"] {
        let word = if header == "e30" { "algorithm" } else { "header" };
        check(&format!("{header}.{}.{}", parts[1], parts[2]), Err(word));
    }
    check(&format!(" {token}"), Err("header"));
    check(&format!("{token}\n"), Err("signature"));
    check(&format!("{token}{}", "A".repeat(64 * 1024)), Err("too_large"));
    let sign = |payload: &str| RSA.sign(Algorithm::Rs256, r#"{"alg":"RS256","kid":"rsa"}"#, payload);
    check(&sign("[]"), Err("payload"));
    check(&sign("not json"), Err("payload"));
    let doubled = good().to_string().replacen('{', r#"{"sub":"admin","#, 1);
    check(&sign(&doubled), Err("payload"));
    check(&sign(&good().to_string().replacen('{', r#"{"deep":{"a":1,"a":2},"#, 1)), Err("payload"));
}

#[test]
fn a_token_of_another_issuer_or_for_another_client_is_none() {
    says(json!({"iss": "https://evil.example"}), Err("issuer"));
    says(json!({"iss": format!("{ISSUER}/")}), Err("issuer"));
    says(json!({"iss": ISSUER.to_uppercase()}), Err("issuer"));
    says(json!({"iss": [ISSUER]}), Err("issuer"));
    says(json!({"iss": null}), Err("issuer"));
    says(json!({"aud": "elsewhere"}), Err("audience"));
    says(json!({"aud": "other"}), Err("audience"));
    says(json!({"aud": ["registry"]}), Ok(()));
    says(json!({"aud": ["registry", "evil"], "azp": "registry"}), Err("audience"));
    says(json!({"aud": ["registry", 1], "azp": "registry"}), Err("audience"));
    says(json!({"aud": []}), Err("audience"));
    says(json!({"aud": {"registry": 1}}), Err("audience"));
    says(json!({"aud": null}), Err("audience"));
    says(json!({"aud": "registry "}), Err("audience"));
    says(json!({"aud": ["registry", "other"]}), Err("authorized_party"));
    says(json!({"aud": ["registry", "other"], "azp": "registry"}), Ok(()));
    says(json!({"azp": "registry"}), Ok(()));
    says(json!({"azp": "evil"}), Err("authorized_party"));
    says(json!({"azp": ["registry"]}), Err("authorized_party"));
}

#[test]
fn a_token_holds_at_its_time_alone() {
    says(json!({"exp": NOW.0 - 59}), Ok(()));
    says(json!({"exp": NOW.0 - 60}), Err("expired"));
    says(json!({"exp": (NOW.0 - 3600) as f64 + 0.5}), Err("expired"));
    says(json!({"exp": -1}), Err("expired"));
    says(json!({"exp": u64::MAX}), Ok(()));
    for wrong in [json!("1900000000"), json!(true), json!([1]), json!({})] {
        says(json!({"exp": wrong}), Err("expires"));
        says(json!({"iat": wrong}), Err("issued_at"));
        says(json!({"nbf": wrong}), Err("not_before"));
    }
    says(json!({"exp": null}), Err("expires"));
    says(json!({"iat": null}), Err("issued_at"));
    says(json!({"nbf": NOW.0 + 60}), Ok(()));
    says(json!({"nbf": NOW.0 + 61}), Err("not_yet_valid"));
    says(json!({"iat": NOW.0 + 60, "exp": NOW.0 + 600}), Ok(()));
    says(json!({"iat": NOW.0 + 61, "exp": NOW.0 + 600}), Err("issued_in_the_future"));
    says(json!({"iat": NOW.0 - 24 * 3600 - 61}), Err("too_old"));
    says(json!({"iat": i64::MIN}), Err("too_old"));
}

#[test]
fn a_token_is_a_sign_in_of_somebody_and_of_this_one() {
    for subject in [json!(""), json!(null), json!(7), json!("a\nb"), json!("\u{0}"), json!("s".repeat(256)), json!(["1"])] {
        says(json!({"sub": subject}), Err("subject"));
    }
    says(json!({"sub": "s".repeat(255)}), Ok(()));
    says(json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}), Err("events"));
    says(json!({"events": {}}), Err("events"));
    for nonce in [json!("m"), json!(null), json!(""), json!(1), json!("n ")] {
        says(json!({"nonce": nonce}), Err("nonce"));
    }
}

#[test]
fn what_comes_with_a_token_belongs_to_it() {
    // `OpenID Connect` Core A.3 and A.4: the hashes of these two with SHA-256.
    let (access_token, code) =
        ("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk");
    let (at_hash, c_hash) = ("77QmUPtjPfzWtF2AnpK9RQ", "LDktKdoQak3Pk0cnXxCltA");
    let hashed = Hashed { access_token: Some(access_token), code: Some(code) };
    let test = |more: Value, hashed, expected: Result<(), &str>| {
        assert_eq!(verified(&EC.token(&with(more.clone())), &published(), hashed).map(drop), expected, "{more}");
    };
    test(json!({"at_hash": at_hash, "c_hash": c_hash}), hashed, Ok(()));
    test(json!({}), hashed, Ok(()));
    test(json!({"at_hash": "x"}), Hashed::default(), Ok(()));
    test(json!({"at_hash": c_hash}), hashed, Err("at_hash"));
    test(json!({"at_hash": 1}), hashed, Err("at_hash"));
    test(json!({"c_hash": at_hash}), hashed, Err("c_hash"));
}

#[test]
fn keys_that_prove_nothing_are_skipped() {
    let changed = |name: &str, value: Value| {
        let mut jwk = RSA.jwk();
        jwk[name] = value;
        jwk
    };
    let short = "A".repeat(171);
    let mut point = EC.jwk();
    point["x"] = "AAAA".into();
    let useless = [
        changed("use", json!("enc")),
        changed("key_ops", json!(["encrypt"])),
        changed("alg", json!("RSA-OAEP")),
        changed("alg", json!("ES256")),
        changed("alg", json!("HS256")),
        changed("kty", json!("oct")),
        changed("kty", json!("EC")),
        changed("kty", json!("AKP")),
        changed("d", json!("AAAA")),
        changed("n", json!(format!("_{short}"))),
        changed("n", json!("")),
        changed("e", json!("AQ")),
        changed("e", json!("Ag")),
        changed("kid", json!(1)),
        point,
        json!("no key"),
        json!({}),
    ];
    let set = keys(&useless);
    assert_eq!((set.len(), set.skipped()), (0, useless.len()), "{set:?}");
    let only = keys(&[changed("alg", json!("PS256"))]);
    assert!(only.serves(Algorithm::Ps256) && !only.serves(Algorithm::Rs256));
    assert_eq!(verified(&RSA.token(&good()), &only, Hashed::default()).map(drop), Err("signature"));
    let many: Vec<Value> = (0..101).map(|_| json!({"kty": "AKP"})).collect();
    assert!(KeySet::parse(json!({"keys": many}).to_string().as_bytes()).is_err());
    for wrong in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
        assert!(KeySet::parse(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn nothing_of_a_token_is_shown() {
    let token = RSA.token(&good());
    let shown = format!("{:?}", Signed::parse(&token, &Algorithm::ALL).unwrap());
    assert!(token.split('.').all(|part| !shown.contains(part)), "{shown}");
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[A-Za-z0-9_.-]{0,64}|.{0,64}", bytes in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..64)) {
        let _ = verified(&text, &KeySet::default(), Hashed::default());
        let _ = KeySet::parse(&bytes);
        let parts = [&b"{\"alg\":\"RS256\"}"[..], &bytes, &bytes].map(encoded);
        let _ = verified(&parts.join("."), &published(), Hashed::default());
    }
}
