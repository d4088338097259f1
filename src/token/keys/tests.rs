//! Keys through their front door: made, opened, renewed, changed and lost, with every token verified by another library.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use data_encoding::BASE64;
use jsonwebtoken::{Algorithm as Verified, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;
use tempfile::TempDir;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;
use crate::registry::{ActionSet, Resource};
use crate::source::Located;
use crate::token::Access;
use crate::token::settings::BroughtKey;
use crate::token::{Claims, TokenId, accept_loss, activate, finish, prepare};

const NOW: Timestamp = Timestamp(1_800_000_000);
const SERVICE: &str = "registry.corp.example:5000";
const DAY: i64 = 24 * 3600;

/// One service in a folder of its own.
struct Site {
    folder: TempDir,
    settings: SigningSettings,
    service: ServiceSettings,
    clock: Clock,
}

impl Site {
    fn new(kind: RegistryKind, algorithm: Algorithm) -> Self {
        let service = ServiceSettings {
            address: None,
            name: Located::nowhere(SERVICE.to_owned()),
            registry: Located::nowhere(kind),
            issuer: Located::nowhere("narrows".to_owned()),
            token_ttl: crate::token::settings::TokenTtl::default(),
            algorithm: Located::nowhere(algorithm),
            signing: None,
            rules: None,
        };
        Self { folder: tempfile::tempdir().unwrap(), settings: SigningSettings::default(), service, clock: Clock::fixed(NOW) }
    }

    fn made(kind: RegistryKind, algorithm: Algorithm) -> Self {
        let site = Self::new(kind, algorithm);
        assert_eq!(site.initialise().unwrap(), [SERVICE]);
        site
    }

    fn initialise(&self) -> Result<Vec<String>, KeysError> {
        Keys::initialise(&self.settings, std::slice::from_ref(&self.service), self.folder.path(), &self.clock)
    }
    fn open_remembering(&self, fingerprint: Option<&str>) -> Result<Keys, KeysError> {
        let remembered = fingerprint.map(|one| (SERVICE.to_owned(), one.to_owned())).into_iter().collect();
        Keys::open(&self.settings, std::slice::from_ref(&self.service), self.folder.path(), &remembered, &self.clock)
    }
    fn open(&self) -> Keys {
        self.open_remembering(None).unwrap()
    }
    fn prepare(&self) -> Advance {
        prepare(&self.settings, &self.service, self.folder.path(), &self.clock).unwrap()
    }
    fn activate(&self) -> Result<Advance, KeysError> {
        activate(&self.settings, &self.service, self.folder.path())
    }
    fn finish(&self) -> Result<Advance, KeysError> {
        finish(&self.settings, &self.service, self.folder.path())
    }
    fn keys_folder(&self) -> PathBuf {
        self.folder.path().join("keys/registry.corp.example%3a5000")
    }

    fn token(&self, keys: &Keys) -> String {
        keys.signer(SERVICE).unwrap().sign(&claims(self.clock.now())).unwrap()
    }

    /// Brings a fixed pair that another site made.
    fn bring(&mut self, key: &[u8], certificate: &[u8]) {
        let (key_file, certificate_file) = (self.folder.path().join("own.key"), self.folder.path().join("own.crt"));
        fs::write(&key_file, key).unwrap();
        fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&certificate_file, certificate).unwrap();
        let located = |name: &str| Located::nowhere(PathBuf::from(name));
        self.service.signing = Some(BroughtKey { certificate: located("own.crt"), key: located("own.key") });
    }
}

fn claims(issued: Timestamp) -> Claims {
    Claims {
        issuer: "narrows".to_owned(),
        subject: "alice".to_owned(),
        audience: SERVICE.to_owned(),
        issued,
        lifetime: 300,
        id: TokenId::random().unwrap(),
        access: vec![Access {
            resource: Resource::Repository("team/app".parse().unwrap()),
            actions: ActionSet::REPOSITORY,
            denied_tags: Vec::new(),
        }],
    }
}

fn fingerprint(keys: &Keys) -> String {
    keys.fingerprints()[SERVICE].clone()
}

fn verifier(algorithm: Algorithm) -> Verified {
    match algorithm {
        Algorithm::Es256 => Verified::ES256,
        Algorithm::Es384 => Verified::ES384,
        Algorithm::Rs256 => Verified::RS256,
        Algorithm::EdDsa => Verified::EdDSA,
    }
}

/// Verifies a token as the registry would: with the key inside this certificate.
fn verify(token: &str, algorithm: Algorithm, certificate: &[u8]) -> Value {
    let (_, parsed) = X509Certificate::from_der(certificate).unwrap();
    let key = parsed.public_key();
    let key = match algorithm {
        Algorithm::Rs256 => DecodingKey::from_rsa_der(&key.subject_public_key.data),
        Algorithm::Es256 | Algorithm::Es384 => DecodingKey::from_ec_der(&key.subject_public_key.data),
        Algorithm::EdDsa => DecodingKey::from_ed_der(&key.subject_public_key.data),
    };
    let mut validation = Validation::new(verifier(algorithm));
    validation.validate_exp = false;
    validation.set_audience(&[SERVICE]);
    decode::<Value>(token, &key, &validation).unwrap().claims
}

fn certificates(pem: &str) -> Vec<Vec<u8>> {
    x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes()).map(|one| one.unwrap().contents).collect()
}

/// The leaf of a token, after its chain to the bundle was verified.
fn chained_leaf(token: &str, bundle: &str) -> Vec<u8> {
    let chain = decode_header(token).unwrap().x5c.unwrap();
    assert_eq!(chain.len(), 1);
    let der = BASE64.decode(chain[0].as_bytes()).unwrap();
    let (_, leaf) = X509Certificate::from_der(&der).unwrap();
    let signed = certificates(bundle).iter().any(|authority| {
        let (_, authority) = X509Certificate::from_der(authority).unwrap();
        authority.subject() == leaf.issuer() && leaf.verify_signature(Some(authority.public_key())).is_ok()
    });
    assert!(signed, "no certificate of the bundle signed the leaf");
    der
}

#[test]
fn every_kind_and_algorithm_makes_tokens_that_its_registry_verifies() {
    for kind in
        [RegistryKind::Distribution2, RegistryKind::Distribution3, RegistryKind::Distribution3Jwks, RegistryKind::Zot, RegistryKind::Gitlab]
    {
        for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::Rs256, Algorithm::EdDsa] {
            if !kind.verifies(algorithm) {
                continue;
            }
            let site = Site::made(kind, algorithm);
            let keys = site.open();
            let token = site.token(&keys);
            let header = decode_header(&token).unwrap();
            assert_eq!((header.alg, header.typ.as_deref()), (verifier(algorithm), Some("JWT")));
            assert_eq!(header.x5c.is_some(), kind.anchor() == Anchor::Authority, "{kind:?}");
            let kid = header.kid.unwrap();
            let libtrust = kid.len() == 59 && kid.matches(':').count() == 11;
            assert_eq!(libtrust, matches!(kind, RegistryKind::Distribution2 | RegistryKind::Gitlab), "{kind:?} {kid}");
            let claims = match (kind.anchor(), keys.bundle(SERVICE), keys.jwks(SERVICE)) {
                (Anchor::Authority, Some(bundle), None) => verify(&token, algorithm, &chained_leaf(&token, &bundle)),
                (Anchor::Fixed, Some(bundle), None) => verify(&token, algorithm, &certificates(&bundle)[0]),
                (Anchor::Fixed, None, Some(jwks)) => {
                    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(jwks).unwrap();
                    let jwk = set.find(&kid).unwrap();
                    assert_eq!(jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap(), kid);
                    let mut validation = Validation::new(verifier(algorithm));
                    validation.validate_exp = false;
                    validation.set_audience(&[SERVICE]);
                    decode::<Value>(&token, &DecodingKey::from_jwk(jwk).unwrap(), &validation).unwrap().claims
                }
                other => panic!("{kind:?}: {other:?}"),
            };
            assert_eq!(claims["access"][0]["actions"], serde_json::json!(["pull", "push", "delete"]));
            assert_eq!(claims["exp"], NOW.0 + 300);
        }
    }
}

#[test]
fn the_authority_may_sign_leaves_and_nothing_that_signs() {
    let site = Site::made(RegistryKind::Distribution2, Algorithm::Es384);
    let keys = site.open();
    let bundle = keys.bundle(SERVICE).unwrap();
    let authority = &certificates(&bundle)[0];
    let (_, authority) = X509Certificate::from_der(authority).unwrap();
    let constraints = authority.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca && constraints.value.path_len_constraint == Some(0));
    let usage = authority.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign() && !usage.value.digital_signature());
    let leaf = chained_leaf(&site.token(&keys), &bundle);
    let (_, leaf) = X509Certificate::from_der(&leaf).unwrap();
    assert!(!leaf.is_ca());
    assert!(leaf.key_usage().unwrap().unwrap().value.digital_signature());
    assert_eq!(leaf.validity().not_before.timestamp(), NOW.0 - 600);
    assert_eq!(leaf.validity().not_after.timestamp(), NOW.0 + 2 * DAY);
}

#[test]
fn a_renewal_changes_the_leaf_and_nothing_that_a_registry_holds() {
    let site = Site::made(RegistryKind::Distribution3, Algorithm::Es256);
    let keys = site.open();
    let (bundle, before) = (keys.bundle(SERVICE).unwrap(), site.token(&keys));
    assert_eq!(keys.renew(&site.clock).unwrap(), 0);
    site.clock.advance(DAY - 1);
    assert_eq!(keys.renew(&site.clock).unwrap(), 0);
    site.clock.advance(1);
    assert_eq!(keys.renew(&site.clock).unwrap(), 1);
    let after = site.token(&keys);
    assert_eq!(keys.bundle(SERVICE).unwrap(), bundle);
    let (old, new) = (chained_leaf(&before, &bundle), chained_leaf(&after, &bundle));
    assert_ne!(old, new);
    verify(&before, Algorithm::Es256, &old);
    verify(&after, Algorithm::Es256, &new);
    assert_eq!(keys.report()[0].not_after, NOW.plus(3 * DAY));
}

#[test]
fn a_leaf_past_its_end_signs_nothing() {
    let site = Site::made(RegistryKind::Distribution2, Algorithm::Es256);
    let signer = site.open().signer(SERVICE).unwrap();
    signer.sign(&claims(NOW.plus(2 * DAY - 1))).unwrap();
    assert_eq!(signer.sign(&claims(NOW.plus(2 * DAY))), Err(crate::token::SignError::Expired));
}

#[test]
fn a_folder_that_vanishes_while_serving_stops_neither_tokens_nor_renewal() {
    let site = Site::made(RegistryKind::Distribution2, Algorithm::Es256);
    let keys = site.open();
    let bundle = keys.bundle(SERVICE).unwrap();
    fs::rename(site.folder.path().join("keys"), site.folder.path().join("away")).unwrap();
    site.clock.advance(3 * DAY);
    assert!(matches!(keys.renew(&site.clock), Err(KeysError::Gone { .. })));
    chained_leaf(&site.token(&keys), &bundle);
}

#[test]
fn opening_makes_nothing_unless_told_to() {
    let mut site = Site::new(RegistryKind::Distribution2, Algorithm::Es256);
    let message = site.open_remembering(None).unwrap_err().to_string();
    assert!(message.contains("narrows keys init"), "{message}");
    assert!(!site.folder.path().join("keys").exists());
    site.settings.create = true;
    let first = fingerprint(&site.open());
    assert_eq!(fingerprint(&site.open()), first);
    assert!(site.initialise().unwrap().is_empty());
}

#[test]
fn a_lost_volume_never_swaps_the_trust_silently() {
    let mut site = Site::made(RegistryKind::Distribution2, Algorithm::Es256);
    site.settings.create = true;
    let first = fingerprint(&site.open());
    fs::remove_dir_all(site.folder.path().join("keys")).unwrap();
    let message = site.open_remembering(Some(&first)).unwrap_err().to_string();
    assert!(message.contains("are gone") && message.contains(&format!("--lost {first}")), "{message}");
    assert!(!site.folder.path().join("keys").exists(), "nothing is made for a service that had keys");
    site.initialise().unwrap();
    let message = site.open_remembering(Some(&first)).unwrap_err().to_string();
    assert!(message.contains("are not the ones it had"), "{message}");
    accept_loss(&site.settings, &site.service, site.folder.path(), "nonsense").unwrap_err();
    accept_loss(&site.settings, &site.service, site.folder.path(), &first).unwrap();
    assert_ne!(fingerprint(&site.open_remembering(Some(&first)).unwrap()), first);
}

#[test]
fn a_running_service_does_not_take_up_a_foreign_authority() {
    let site = Site::made(RegistryKind::Distribution2, Algorithm::Es256);
    let keys = site.open();
    let first = fingerprint(&keys);
    fs::remove_dir_all(site.folder.path().join("keys")).unwrap();
    site.initialise().unwrap();
    assert!(matches!(keys.renew(&site.clock), Err(KeysError::Changed { .. })));
    assert_eq!(fingerprint(&keys), first);
}

#[test]
fn a_change_of_the_authority_is_published_before_it_signs() {
    let site = Site::made(RegistryKind::Distribution2, Algorithm::Es256);
    let keys = site.open();
    let first = fingerprint(&keys);
    assert!(site.activate().unwrap_err().to_string().contains("without `--activate`"));
    assert_eq!(site.prepare(), Advance::Done);
    assert_eq!(site.prepare(), Advance::Already);
    assert_eq!(keys.renew(&site.clock).unwrap(), 1);
    let both = keys.bundle(SERVICE).unwrap();
    assert_eq!((certificates(&both).len(), fingerprint(&keys)), (2, first.clone()));
    assert!(site.finish().unwrap_err().to_string().contains("--activate"));

    assert_eq!(site.activate().unwrap(), Advance::Done);
    assert_eq!(site.activate().unwrap(), Advance::Already);
    assert_eq!(keys.renew(&site.clock).unwrap(), 1);
    let second = fingerprint(&keys);
    assert_ne!(second, first);
    chained_leaf(&site.token(&keys), &both);

    assert_eq!(site.finish().unwrap(), Advance::Done);
    assert_eq!(site.finish().unwrap(), Advance::Already);
    keys.renew(&site.clock).unwrap();
    assert_eq!(certificates(&keys.bundle(SERVICE).unwrap()).len(), 1);
    // Who slept through all of it still starts: the folder vouches for the change.
    assert_eq!(fingerprint(&site.open_remembering(Some(&first)).unwrap()), second);
    assert!(!site.keys_folder().join("ca-1").exists());
}

#[test]
fn a_fixed_key_stays_until_the_next_one_is_activated() {
    let mut site = Site::made(RegistryKind::Distribution3Jwks, Algorithm::Es256);
    let first = site.open().signer(SERVICE).unwrap().kid().to_owned();
    site.clock.advance(400 * DAY);
    let keys = site.open();
    assert_eq!(keys.renew(&site.clock).unwrap(), 0);
    assert_eq!(keys.signer(SERVICE).unwrap().kid(), first);

    site.service.algorithm = Located::nowhere(Algorithm::Rs256);
    let message = site.open_remembering(None).unwrap_err().to_string();
    assert!(message.contains("signs ES256") && message.contains("keys rotate"), "{message}");
    site.prepare();
    let keys = site.open();
    assert_eq!(keys.signer(SERVICE).unwrap().kid(), first);
    let set = keys.jwks(SERVICE).unwrap();
    let shown: Vec<_> = set["keys"].as_array().unwrap().iter().map(|key| key["alg"].as_str().unwrap()).collect();
    assert_eq!(shown, ["ES256", "RS256"]);
    assert!(!set.to_string().contains("\"d\""));
    site.activate().unwrap();
    keys.renew(&site.clock).unwrap();
    let signer = keys.signer(SERVICE).unwrap();
    assert_eq!((signer.algorithm(), signer.kid()), ("RS256", set["keys"][1]["kid"].as_str().unwrap()));
}

#[test]
fn zot_is_given_the_active_certificate_alone() {
    let site = Site::made(RegistryKind::Zot, Algorithm::Es256);
    site.prepare();
    let keys = site.open();
    let before = keys.bundle(SERVICE).unwrap();
    assert_eq!(certificates(&before).len(), 1);
    site.activate().unwrap();
    keys.renew(&site.clock).unwrap();
    let after = keys.bundle(SERVICE).unwrap();
    assert_eq!(certificates(&after).len(), 1);
    assert_ne!(before, after);
}

#[test]
fn a_key_or_folder_that_others_can_reach_is_refused() {
    let site = Site::made(RegistryKind::Distribution2, Algorithm::Es256);
    let key = site.keys_folder().join("ca-1/ca.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(site.keys_folder()).unwrap().permissions().mode() & 0o7777, 0o700);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(site.open_remembering(None).unwrap_err().to_string().contains("chmod 600"));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(site.keys_folder(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(site.open_remembering(None).unwrap_err().to_string().contains("chmod 700"));
}

#[test]
fn damaged_files_are_refused_by_name_and_never_replaced() {
    let damage = |file: &str, content: &str, expected: &str| {
        let mut site = Site::made(RegistryKind::Distribution2, Algorithm::Es256);
        site.settings.create = true;
        let path = site.keys_folder().join(file);
        fs::write(&path, content).unwrap();
        let message = site.open_remembering(None).unwrap_err().to_string();
        assert!(message.contains(expected), "{file}: {message}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    };
    damage("ca-1/ca.key", "", "PKCS#8");
    damage("ca-1/ca.key", "-----BEGIN PRIVATE KEY-----\nMIGH", "PKCS#8");
    damage("ca-1/ca.crt", "-----BEGIN CERTIFICATE-----\nMIIB", "is not a certificate");
    damage("ca-active", "", "ca-active");
    damage("ca-active", "7", "ca-active");
    let other = Site::made(RegistryKind::Distribution2, Algorithm::Es256);
    let foreign = fs::read_to_string(other.keys_folder().join("ca-1/ca.key")).unwrap();
    damage("ca-1/ca.key", &foreign, "is not the one of its certificate");
}

#[test]
fn what_an_interrupted_init_left_is_completed_or_ignored() {
    let site = Site::made(RegistryKind::Distribution2, Algorithm::Es256);
    let first = fingerprint(&site.open());
    // Stopped before the generation was activated: it is taken up.
    fs::remove_file(site.keys_folder().join("ca-active")).unwrap();
    assert!(site.open_remembering(None).unwrap_err().to_string().contains("ca-active"));
    assert_eq!(site.initialise().unwrap(), [SERVICE]);
    assert_eq!(fingerprint(&site.open()), first);
    // Stopped in the middle of writing: the name is one that nobody looks at.
    fs::create_dir(site.keys_folder().join(".0123.tmp")).unwrap();
    fs::write(site.keys_folder().join(".0123.tmp/ca.key"), "half").unwrap();
    assert_eq!(fingerprint(&site.open()), first);
}

#[test]
fn a_brought_pair_is_exported_as_itself() {
    let donor = Site::made(RegistryKind::Gitlab, Algorithm::Es256);
    let read = |name: &str| fs::read(donor.keys_folder().join("fixed-1").join(name)).unwrap();
    let (key, certificate) = (read("fixed.key"), read("fixed.crt"));
    let mut site = Site::new(RegistryKind::Distribution2, Algorithm::Es256);
    site.bring(&key, &certificate);
    assert!(site.initialise().unwrap().is_empty());
    let keys = site.open();
    assert_eq!(keys.bundle(SERVICE).unwrap().as_bytes(), certificate);
    let token = site.token(&keys);
    let carried = decode_header(&token).unwrap().x5c.unwrap();
    assert_eq!(BASE64.decode(carried[0].as_bytes()).unwrap(), certificates(std::str::from_utf8(&certificate).unwrap())[0]);
    // A brought key is changed by bringing another one, which is never silent.
    site.open_remembering(Some("another")).unwrap();
    assert!(prepare(&site.settings, &site.service, site.folder.path(), &site.clock).unwrap_err().to_string().contains("brought"));
}

#[test]
fn a_brought_pair_that_cannot_work_is_refused() {
    let donor = Site::made(RegistryKind::Gitlab, Algorithm::Es256);
    let read = |site: &Site, name: &str| fs::read(site.keys_folder().join("fixed-1").join(name)).unwrap();
    let (key, certificate) = (read(&donor, "fixed.key"), read(&donor, "fixed.crt"));
    let refusal = |algorithm, key: &[u8], certificate: &[u8], later: i64| {
        let mut site = Site::new(RegistryKind::Distribution2, algorithm);
        site.bring(key, certificate);
        site.clock.advance(later);
        site.open_remembering(None).unwrap_err().to_string()
    };
    assert!(refusal(Algorithm::Rs256, &key, &certificate, 0).contains("write `algorithm: ES256`"));
    assert!(refusal(Algorithm::Es256, &key, &certificate, 4000 * DAY).contains("ended at"));
    assert!(refusal(Algorithm::Es256, &key, &certificate, -DAY).contains("begins at"));
    assert!(refusal(Algorithm::Es256, &certificate, &certificate, 0).contains("PKCS#8"));
    let other = Site::made(RegistryKind::Gitlab, Algorithm::Es256);
    assert!(refusal(Algorithm::Es256, &read(&other, "fixed.key"), &certificate, 0).contains("not the one of its certificate"));
}

#[test]
fn a_change_of_kind_in_the_same_folder_is_known_to_be_meant() {
    let mut site = Site::made(RegistryKind::Distribution2, Algorithm::Es256);
    let authority = fingerprint(&site.open());
    site.service.registry = Located::nowhere(RegistryKind::Zot);
    site.initialise().unwrap();
    assert_ne!(fingerprint(&site.open_remembering(Some(&authority)).unwrap()), authority);
}

#[test]
fn threads_sign_while_leaves_change() {
    let site = Site::made(RegistryKind::Distribution2, Algorithm::Es256);
    let keys = site.open();
    let bundle = keys.bundle(SERVICE).unwrap();
    std::thread::scope(|scope| {
        let signing: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| (0..50).map(|_| keys.signer(SERVICE).unwrap().sign(&claims(NOW)).unwrap()).collect::<Vec<_>>()))
            .collect();
        for _ in 0..5 {
            site.clock.advance(DAY);
            keys.renew(&site.clock).unwrap();
        }
        for token in signing.into_iter().flat_map(|thread| thread.join().unwrap()) {
            verify(&token, Algorithm::Es256, &chained_leaf(&token, &bundle));
        }
    });
}

#[test]
fn no_secret_is_shown_by_debug() {
    let site = Site::made(RegistryKind::Distribution3Jwks, Algorithm::EdDsa);
    let keys = site.open();
    let pem = fs::read_to_string(site.keys_folder().join("fixed-1/fixed.key")).unwrap();
    let secret = pem.lines().nth(1).unwrap();
    let shown = format!("{keys:?} {:?}", keys.signer(SERVICE));
    assert!(!shown.contains(secret) && !shown.contains("pkcs8"), "{shown}");
}
