//! Requests as real clients were seen to send them, and the answer that they read.

use super::fake::{IDENTITY_TOKEN, TOKEN};
use super::{Answer, Running};

/// A GET with `alice:good`, and what the service was asked for it.
async fn check_get(query: &str, expected: &str) -> Answer {
    let running = Running::start().await;
    let answer = running.get_as(&format!("/token?{query}"), "alice:good").await;
    assert_eq!(running.asked(), [expected], "{query}");
    assert_eq!(answer.status, 200);
    answer
}

async fn check_post(content_type: &str, form: &str, expected: &str) -> Answer {
    let running = Running::start().await;
    let answer = running.send(&format!("POST /token\nContent-Type: {content_type}"), form).await;
    assert_eq!(running.asked(), [expected], "{form}");
    assert_eq!(answer.status, 200);
    answer
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn w1_docker_login() {
    let running = Running::start().await;
    let head = "GET /token?account=alice&client_id=docker&offline_token=true&service=reg.test
        User-Agent: docker/20.10.24+dfsg1 go/go1.19.8 UpstreamClient(Docker-Client/28.2.2 \\(linux\\))
        Authorization: Basic YWxpY2U6Z29vZA==
        Accept-Encoding: gzip";
    let answer = running.send(head, "").await;
    assert_eq!(running.asked(), ["reg.test |  | alice/good | Basic offline"]);
    assert_eq!(answer.json()["refresh_token"], IDENTITY_TOKEN);
}

#[tokio::test]
async fn w2_w3_dockerd_with_an_identity_token() {
    let form = "client_id=docker&grant_type=refresh_token&refresh_token=nrw_REFRESH-123&scope=repository%3Aother%2Fx%3Apush%2Cpull+repository%3Ateam%2Fapp%3Apull&service=reg.test";
    let expected = "reg.test | repository:other/x:pull,push repository:team/app:pull | identity nrw_REFRESH-123 | RefreshToken";
    assert_eq!(check_post(FORM, form, expected).await.json()["refresh_token"], IDENTITY_TOKEN);
    let login = "client_id=docker&grant_type=refresh_token&refresh_token=nrw_REFRESH-123&scope=&service=reg.test";
    check_post(FORM, login, "reg.test |  | identity nrw_REFRESH-123 | RefreshToken").await;
}

#[tokio::test]
async fn w4_w7_w10_w11_get_with_a_password() {
    let one = "reg.test | repository:team/app:pull | alice/good | Basic";
    check_get("account=alice&scope=repository%3Ateam%2Fapp%3Apull&service=reg.test", one).await;
    check_get("service=reg.test&scope=repository%3Ateam%2Fapp%3Apull", one).await;
    check_get("account=u&client_id=regclient&scope=repository%3Ateam%2Fapp%3Apull&service=reg.test", one).await;
    check_get(
        "account=alice&scope=repository%3Aother%2Fy%3Apush%2Cpull&scope=repository%3Aother%2Fx%3Apull&service=reg.test",
        "reg.test | repository:other/y:pull,push repository:other/x:pull | alice/good | Basic",
    )
    .await;
    check_get(
        "account=alice&scope=repository%3Ateam%2Fapp2%3A%2A&service=reg.test",
        "reg.test | repository:team/app2:* | alice/good | Basic",
    )
    .await;
    check_get("account=alice&service=reg.test", "reg.test |  | alice/good | Basic").await;
    check_get(
        "scope=repository%3Ateam%2Fapp5%3Apush%2Cpull%2Cdelete&service=reg.test",
        "reg.test | repository:team/app5:pull,push,delete | alice/good | Basic",
    )
    .await;
    check_get("scope=registry%3Acatalog%3A%2A&service=reg.test", "reg.test | registry:catalog:* | alice/good | Basic").await;
    // ggcr forwards the challenge's scope unsplit, and sends an empty service where there is none.
    check_get(
        "scope=repository%3Aa%3Apull%20repository%3Ab%3Apull&service=",
        "- | repository:a:pull repository:b:pull | alice/good | Basic",
    )
    .await;
    check_get("scope=&service=reg.test", "reg.test |  | alice/good | Basic").await;
}

#[tokio::test]
async fn w5_dockerd_with_nobody() {
    let running = Running::start().await;
    let answer = running.get("/token?scope=repository%3Apublic%2Fapp%3Apull&service=reg.test").await;
    assert_eq!((answer.status, running.asked()), (200, vec!["reg.test | repository:public/app:pull | anonymous | Basic".to_owned()]));
    let answer = running.get("/token?scope=repository%3Ateam%2Fapp%3Apull&service=reg.test").await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn w6_w14_containerd_and_buildkit() {
    for client in ["containerd-client", "buildkit-client"] {
        check_post(
            "application/x-www-form-urlencoded; charset=utf-8",
            &format!("client_id={client}&grant_type=password&password=good&scope=repository%3Ateam%2Fapp9%3Apull+repository%3Ateam%2Fapp9%3Apull%2Cpush+repository%3Ateam%2Fapp%3Apull&service=reg.test&username=alice"),
            "reg.test | repository:team/app9:pull,push repository:team/app:pull | alice/good | Password",
        )
        .await;
    }
    let nerdctl = "access_type=offline&client_id=nerdctl&grant_type=password&password=good&service=reg.test&username=alice";
    let answer = check_post(FORM, nerdctl, "reg.test |  | alice/good | Password offline").await;
    assert_eq!(answer.json()["refresh_token"], IDENTITY_TOKEN);
}

#[tokio::test]
async fn w8_skopeo_sends_its_identity_token_in_chunks() {
    let running = Running::start().await;
    let form = "client_id=containers%2Fimage&grant_type=refresh_token&refresh_token=nrw_REFRESH-123&scope=repository%3Ateam%2Fapp%3Apull&scope=repository%3Aother%2Fx%3Apull&service=reg.test";
    let (first, second) = form.split_at(50);
    let body = format!("{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", first.len(), second.len());
    let head = "POST /token
        User-Agent: skopeo/1.9.3
        Transfer-Encoding: chunked
        Content-Type: application/x-www-form-urlencoded";
    let answer = running.send(head, &body).await;
    let expected = "reg.test | repository:team/app:pull repository:other/x:pull | identity nrw_REFRESH-123 | RefreshToken";
    assert_eq!((answer.status, running.asked()), (200, vec![expected.to_owned()]));
}

#[tokio::test]
async fn w9_buildkit_sends_its_identity_token_as_a_password_without_a_name() {
    let running = Running::start().await;
    let target = "/token?scope=repository%3Ateam%2Fapp%3Apull&service=reg.test";
    let expected = "reg.test | repository:team/app:pull | identity nrw_REFRESH-123 | Basic";
    for pair in [":nrw_REFRESH-123", "<token>:nrw_REFRESH-123", "alice:nrw_REFRESH-123"] {
        assert_eq!(running.get_as(target, pair).await.status, 200);
        assert_eq!(running.asked(), [expected]);
    }
    assert_eq!(running.get_as(target, ":REFRESH-123").await.status, 401);
    assert_eq!(running.asked(), ["reg.test | repository:team/app:pull | unusable: no identity token | Basic"]);
}

#[tokio::test]
async fn w12_helm_login() {
    check_post(
        FORM,
        "client_id=oras-go&grant_type=password&password=good&service=reg.test&username=alice",
        "reg.test |  | alice/good | Password",
    )
    .await;
    let running = Running::start().await;
    let answer = running.post("client_id=oras-go&grant_type=password&password=&service=reg.test&username=").await;
    assert_eq!((answer.status, running.asked()), (401, vec!["reg.test |  | anonymous | Password".to_owned()]));
}

#[tokio::test]
async fn w13_regctl() {
    let form = "client_id=regclient&grant_type=refresh_token&refresh_token=nrw_REFRESH-123&service=reg.test";
    check_post("Application/X-WWW-form-urlencoded;Charset=\"UTF-8\"", form, "reg.test |  | identity nrw_REFRESH-123 | RefreshToken").await;
}

#[tokio::test]
async fn names_and_passwords_of_every_kind_arrive_as_typed() {
    for (name, password) in [
        ("alice", "a:b:c"),
        ("CORP\\alice", "50%+1 & more=x"),
        ("alice@corp.example", "p\u{e4}ssw\u{f6}rd \u{1f511}"),
        ("\u{e4}lice", "tab\tand space "),
        ("a;b&c=d", "\"';--"),
    ] {
        let running = Running::start().await;
        let expected = |grant| vec![format!("reg.test |  | {name}/{password} | {grant}")];
        running.get_as("/token?service=reg.test", &format!("{name}:{password}")).await;
        assert_eq!(running.asked(), expected("Basic"));
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("grant_type", "password"), ("service", "reg.test"), ("username", name), ("password", password)])
            .finish();
        running.post(&form).await;
        assert_eq!(running.asked(), expected("Password"));
    }
}

#[tokio::test]
async fn the_answer_has_every_field_that_some_client_reads() {
    let expected = serde_json::json!({
        "token": TOKEN, "access_token": TOKEN, "token_type": "Bearer", "expires_in": 300,
        "issued_at": "2023-11-14T22:13:20Z", "scope": "repository:team/app:pull",
    });
    let get = check_get("scope=repository:team/app:pull", "- | repository:team/app:pull | alice/good | Basic").await;
    assert_eq!(get.json(), expected);
    let form = "grant_type=password&username=alice&password=good&scope=repository:team/app:pull";
    let post = check_post(FORM, form, "- | repository:team/app:pull | alice/good | Password").await;
    assert_eq!(post.json(), expected);
    for answer in [get, post] {
        assert!(answer.body.contains("\"expires_in\":300,"), "{}", answer.body);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("pragma"), "no-cache");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0");
        assert!(!answer.headers.contains_key("set-cookie") && !answer.headers.contains_key("location"));
    }
}

#[tokio::test]
async fn an_identity_token_is_given_only_where_it_was_asked_for() {
    for (query, offline) in
        [("", ""), ("offline_token=true", " offline"), ("offline_token=false", ""), ("offline_token=", ""), ("access_type=offline", "")]
    {
        let answer = check_get(query, &format!("- |  | alice/good | Basic{offline}")).await;
        assert_eq!(answer.json().get("refresh_token").is_some(), !offline.is_empty(), "{query}");
    }
    let form = "grant_type=password&username=alice&password=good&offline_token=true";
    check_post(FORM, form, "- |  | alice/good | Password offline").await;
    // The answer to HEAD has no body: an identity token would be made for nobody.
    let running = Running::start().await;
    let head = "HEAD /token?offline_token=true\nAuthorization: Basic YWxpY2U6Z29vZA==";
    running.send(head, "").await;
    assert_eq!(running.asked(), ["- |  | alice/good | Basic"]);
}

#[tokio::test]
async fn every_alias_is_the_same_door() {
    let running = Running::start().await;
    for path in ["/token", "/auth", "/auth/token", "/v2/token"] {
        assert_eq!(running.get_as(&format!("{path}?service=reg.test"), "alice:good").await.status, 200, "{path}");
        let head = format!("POST {path}\nContent-Type: {FORM}");
        assert_eq!(running.send(&head, "grant_type=password&username=alice&password=good").await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn hints_and_unknown_parameters_are_ignored() {
    check_get("account=bob&account=eve&client_id=a&client_id=b&foo=%ff&%zz&=&&username=eve&password=x", "- |  | alice/good | Basic").await;
    let running = Running::start().await;
    running.get("/token?service=reg.test&username=alice&password=good&grant_type=password&refresh_token=nrw_REFRESH-123").await;
    assert_eq!(running.asked(), ["reg.test |  | anonymous | Basic"]);
    let head =
        "POST /token?username=alice&password=good&service=other&grant_type=password\nContent-Type: application/x-www-form-urlencoded";
    running.send(head, "grant_type=password&username=bob&password=x").await;
    assert_eq!(running.asked(), ["- |  | bob/x | Password"]);
}
