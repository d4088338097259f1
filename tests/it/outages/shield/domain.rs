//! The same at a domain that locks after five.

use std::net::IpAddr;

use futures_util::future::join_all;

use crate::labs::bridge::{Bridge, Site};
use crate::outages::lab::{Answer, PUBLIC, RULES, SERVICE};
use crate::samba::{BASE, PASSWORD, SERVICE_DN, Samba};

fn configuration(lab: &Samba) -> String {
    format!(
        "services:\n  - {{name: {SERVICE}, registry: distribution-2}}\nrules: rules.yaml\naudit: {{file: audit.jsonl}}\n\
         throttle: {{failures: 3}}\ncredentials_cache: {{verified: 0s}}\nrequest_deadline: 12s\n\
         providers:\n  - name: staff\n    realm: corp\n    ldap:\n      preset: active_directory\n      servers: [\"{}\"]\n      \
         tls: {{ca: {{file: ca.pem}}}}\n      service_account: {{dn: \"{SERVICE_DN}\", password: {{file: service-password}}}}\n      \
         user: {{bases: [\"OU=Staff,{BASE}\"]}}\n      groups: {{bases: [\"OU=Groups,{BASE}\"]}}\n      \
         timeouts: {{connect: 20s, tls: 20s, bind: 20s, search: 20s}}\n",
        lab.tls_url()
    )
}

async fn from(bridge: &Bridge, last: u8, password: &str) -> Answer {
    let client = reqwest::Client::builder().local_address(IpAddr::from([127, 0, 0, last])).build().unwrap();
    let request = client.get(bridge.url("/token")).query(&[("service", SERVICE), ("scope", PUBLIC)]);
    Answer::of(request.basic_auth("alice", Some(password))).await
}

#[tokio::test]
async fn guesses_stay_below_the_threshold_of_a_domain_and_its_owner_gets_in() {
    // One of its own: others count binds of the shared one.
    let Some(lab) = Samba::start().await else { return };
    let site = Site::new();
    for name in ["ca.pem", "service-password"] {
        site.write(name, &std::fs::read_to_string(lab.folder().join(name)).unwrap());
    }
    site.write("rules.yaml", RULES);
    site.configure(&configuration(&lab));
    site.command(&["keys", "init"]).await.ok();
    let mut bridge = site.serve().await;
    from(&bridge, 1, PASSWORD).await.ok();
    let before = lab.binds("alice");
    let guess = async |bridge: &Bridge, number: u8| from(bridge, 2 + number / 15, &format!("guess {number}")).await;
    for answer in join_all((0..200).map(|number| guess(&bridge, number))).await {
        assert!(matches!(answer.status, 401 | 429), "{answer:?}");
    }
    let (binds, counted) = (lab.binds("alice") - before, lab.read("alice", "badPwdCount"));
    eprintln!("measured: 200 different wrong passwords at a domain that locks after 5 were {binds} binds, badPwdCount {counted}");
    assert!((1..=3).contains(&binds));
    assert!(counted.parse::<u32>().unwrap() <= 3, "badPwdCount {counted}");
    from(&bridge, 1, PASSWORD).await.ok();
    assert_eq!(lab.read("alice", "badPwdCount"), "0");
    for number in 200..210 {
        guess(&bridge, number).await;
    }
    bridge.signal("KILL");
    bridge = bridge.end().serve().await;
    from(&bridge, 1, PASSWORD).await.ok();
    for number in 210..220 {
        guess(&bridge, number).await;
    }
    lab.set_password("alice", "Brand.New.1");
    from(&bridge, 1, "Brand.New.1").await.ok();
    assert!(matches!(lab.read("alice", "lockoutTime").as_str(), "" | "0"));
}
