//! Groups from wherever an issuer keeps them: all of them, or an outage.

use super::super::flow::DevicePoll;
use super::*;

const OID: &str = "8c5f2f6a-33e5-4d6b-9a55-0c6d1f4f9b11";
const TID: &str = "11111111-2222-3333-4444-555555555555";

fn graph() -> String {
    format!("/v1.0/users/{OID}/getMemberObjects")
}

/// The groups of whoever signs in next, or what is in the way.
async fn groups(scene: &Scene) -> String {
    match scene.party.poll_device(&secret("dc"), soon()).await {
        Ok(DevicePoll::SignedIn(signed_in)) => group_names(&signed_in.identity).join(" "),
        Ok(other) => format!("{other:?}"),
        Err(error) => error.reason,
    }
}

#[tokio::test]
async fn userinfo_is_asked_where_a_source_stands_there_and_only_then() {
    let scene = scene("groups: {sources: [{claim: groups}, {from: userinfo, claim: groups}]}").await;
    scene.grants("7", json!({"groups": ["a"]}), &[]);
    scene.tells(&json!({"sub": "7", "groups": ["b"]}));
    assert_eq!(groups(&scene).await, "a b");
    assert_eq!(scene.issuer.asked(USERINFO).pop().unwrap().authorization.as_deref(), Some("Bearer at"));
    let plain = self::scene("").await;
    plain.grants("7", json!({"groups": ["a"]}), &[]);
    assert_eq!(groups(&plain).await, "a");
    assert!(plain.issuer.asked(USERINFO).is_empty());
    // Missing altogether is none; issuers leave the claim out then.
    plain.grants("7", json!({}), &[]);
    assert_eq!(groups(&plain).await, "");
}

#[tokio::test]
async fn userinfo_that_cannot_be_gone_by_is_an_outage() {
    let scene = scene("groups: {sources: [{from: userinfo, claim: groups}]}").await;
    let signed = Reply::text(200, "eyJh.eyJz.c2ln").header("content-type", "application/jwt");
    for (reply, expected) in [
        (Reply::json(200, &json!({"sub": "8", "groups": ["a"]})), "the userinfo endpoint's `sub` is not that of the id_token"),
        (Reply::json(200, &json!({"groups": ["a"]})), "the userinfo endpoint's `sub` is not that of the id_token"),
        (signed, "userinfo: the answer is no JSON: signed or encrypted userinfo is not read"),
        (Reply::json(401, &json!({})), "userinfo: answer: HTTP status 401"),
        (Reply::text(500, ""), "127.0.0.1: HTTP status 500"),
    ] {
        scene.grants("7", json!({"groups": ["not this"]}), &[]);
        scene.issuer.next(USERINFO, reply);
        assert_eq!(groups(&scene).await, expected);
    }
    scene.issuer.next(TOKEN, Reply::json(200, &json!({"id_token": scene.issuer.token("7", NOW, json!({}))})));
    assert!(groups(&scene).await.contains("sent no access token"));
}

#[tokio::test]
async fn groups_that_were_left_out_are_an_outage() {
    let scene = scene("").await;
    let elsewhere = json!({"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://evil.example"}}});
    scene.grants("7", elsewhere, &[]);
    let reason = groups(&scene).await;
    assert!(reason.contains("`_claim_names`") && reason.contains("`groups.overage`"), "{reason}");
    let okta = self::scene("preset: okta").await;
    okta.grants("7", json!({"groups": (0..100).map(|number| format!("g{number}")).collect::<Vec<_>>()}), &[]);
    assert!(groups(&okta).await.starts_with("groups were left out of a token"));
    okta.grants("7", json!({"groups": (0..99).map(|number| format!("g{number}")).collect::<Vec<_>>()}), &[]);
    assert_eq!(groups(&okta).await.split(' ').count(), 99);
}

#[tokio::test]
async fn what_was_left_out_is_fetched_from_userinfo() {
    let scene = scene("groups: {sources: [{claim: groups}, {claim: roles}], overage: fetch}").await;
    let cut = json!({"groups": ["part"], "hasgroups": true, "roles": ["r"]});
    scene.grants("7", cut.clone(), &[]);
    scene.tells(&json!({"sub": "7", "groups": ["a", "b"], "roles": ["not this"]}));
    assert_eq!(groups(&scene).await, "a b r");
    for userinfo in [json!({"sub": "7"}), json!({"sub": "7", "groups": ["a"], "_claim_names": {"groups": "x"}})] {
        scene.grants("7", cut.clone(), &[]);
        scene.tells(&userinfo);
        assert!(groups(&scene).await.ends_with("userinfo does not hold them all either"));
    }
    scene.grants("7", cut, &[]);
    scene.issuer.next(USERINFO, Reply::text(503, ""));
    assert!(groups(&scene).await.ends_with("HTTP status 503"));
}

#[tokio::test]
async fn microsofts_overage_is_fetched_from_graph_and_nowhere_else() {
    let scene = scene("preset: entra\nidentity: {username: sub}\ngroups: {overage: fetch}").await;
    let place = format!("http://{}", scene.issuer.address()).parse().unwrap();
    let scene = Scene { party: scene.party.with_graph(place), ..scene };
    let ours = format!("http://{}/elsewhere", scene.issuer.address());
    let sources = json!({"src1": {"endpoint": ours}});
    let cut = || json!({"_claim_names": {"groups": "src1"}, "_claim_sources": sources, "oid": OID, "tid": TID, "roles": ["app"]});
    scene.grants("7", cut(), &[]);
    scene.issuer.next(&graph(), Reply::json(200, &json!({"value": [OID, TID]})));
    assert_eq!(groups(&scene).await, format!("{TID} {OID} app"));
    assert_eq!(scene.issuer.asked(&graph()).pop().unwrap().authorization.as_deref(), Some("Bearer at"));
    for reply in [
        Reply::json(403, &json!({"error": {"code": "Authorization_RequestDenied"}})),
        Reply::json(200, &json!({"value": [OID], "@odata.nextLink": "https://graph.microsoft.com/x"})),
        Reply::json(200, &json!({"values": []})),
        Reply::text(500, ""),
    ] {
        scene.grants("7", cut(), &[]);
        scene.issuer.next(&graph(), reply);
        let reason = groups(&scene).await;
        assert!(reason.contains("Microsoft Graph did not tell them"), "{reason}");
    }
    for (name, value) in [("oid", json!("../me")), ("tid", Value::Null), ("oid", json!(5))] {
        let mut claims = cut();
        claims[name] = value;
        scene.grants("7", claims, &[]);
        assert!(groups(&scene).await.contains("lacks `oid` and `tid`"));
    }
    assert!(scene.issuer.asked("/elsewhere").is_empty() && scene.issuer.asked(USERINFO).is_empty());
}
