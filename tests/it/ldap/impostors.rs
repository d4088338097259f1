//! Entries that look like somebody else's, and servers that know less than the others.

use std::fs;

use narrows::authn::provider::Health;

use super::{directory_at, word};
use crate::slapd::{Options, SERVICE_DN, Slapd};

#[tokio::test]
async fn a_server_that_refuses_the_service_account_does_not_take_the_others_along() {
    let (Some(first), Some(second)) = (Slapd::start(Options::default()).await, Slapd::start(Options::default()).await) else { return };
    // The new password has not come there yet.
    second.modify(&format!("dn: {SERVICE_DN}\nchangetype: modify\nreplace: userPassword\nuserPassword: another\n"));
    let authorities = [&first, &second].map(|lab| fs::read_to_string(lab.folder().join("ca.pem")).unwrap()).concat();
    fs::write(first.folder().join("both.pem"), authorities).unwrap();
    let servers = format!("servers: [\"{}\", \"{}\"]", first.tls_url(), second.tls_url());
    for _ in 0..4 {
        // Whichever is asked first.
        let before = second.binds(SERVICE_DN);
        let staff = directory_at(first.folder(), "", &[("servers", &servers), ("tls", "tls: {ca: {file: both.pem}}")]);
        for _ in 0..60 {
            assert_eq!(word(&staff, "alice", "secret").await, "authenticated alice");
        }
        assert_eq!(second.binds(SERVICE_DN), before + 1, "it is left alone there");
        assert!(matches!(staff.health(), Health::Impaired(why) if why.contains(&second.tls_url())), "{:?}", staff.health());
    }
}
