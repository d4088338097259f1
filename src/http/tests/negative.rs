//! Requests that must not pass, and the one answer that each kind of failure gets.

use super::fake::{ADVICE, Fake};
use super::{Answer, Running, basic};
use crate::http::Limits;

const CHALLENGE: &str = "Basic realm=\"reg.test\",charset=\"UTF-8\"";

fn check_401(answer: &Answer, message: &str) {
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), CHALLENGE);
    assert_eq!(answer.error(), ("UNAUTHORIZED".into(), "invalid_grant".into(), message.into()));
}

#[tokio::test]
async fn n1_to_n4_everything_that_is_no_proof_gets_the_answer_of_a_wrong_password() {
    let running = Running::start().await;
    let wrong = running.get_as("/token?service=reg.test", "alice:bad").await;
    check_401(&wrong, "invalid username or password");
    for authorization in [
        basic("nobody:bad").as_str(),
        &basic("alice:"),
        &basic(":garbage"),
        &basic("<token>:garbage"),
        &basic("alice:a\0b"),
        &basic("al\nice:good"),
        &basic(&format!("alice:{}", "x".repeat(5000))),
        &basic(&format!("{}:good", "x".repeat(5000))),
        "Basic !!!",
        "Basic",
        "Basic YWxpY2U",
        "Basic /zr/",
        "Bearer x",
        "Negotiate YII=",
        "Digest username=\"alice\"",
        "",
    ] {
        let answer = running.send(&format!("GET /token?service=reg.test\nAuthorization: {authorization}"), "").await;
        assert_eq!(answer.without_id(), wrong.without_id(), "{authorization}");
    }
    let doubled = format!("GET /token?service=reg.test\nAuthorization: {0}\nAuthorization: {0}", basic("alice:good"));
    assert_eq!(running.send(&doubled, "").await.without_id(), wrong.without_id());
    let good = running.asked().into_iter().filter(|line| line.contains("good")).count();
    assert_eq!(good, 0);
    for form in [
        "username=alice&password=bad",
        "username=alice&password=",
        "username=alice",
        "username=&password=x",
        "username=a%00b&password=good",
    ] {
        assert_eq!(running.post(&format!("grant_type=password&{form}")).await.without_id(), wrong.without_id(), "{form}");
    }
}

#[tokio::test]
async fn n5_a_saved_login_that_has_ended_says_so() {
    let running = Running::start().await;
    let message = "the saved login has ended: run docker login again, or docker-credential-narrows login where that is set up";
    for token in ["nrw_other", "REFRESH-123", "", "good", "nrl_code", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln", "%00"] {
        check_401(&running.post(&format!("grant_type=refresh_token&refresh_token={token}&service=reg.test")).await, message);
    }
    let asked = running.asked();
    assert_eq!(asked[0], "reg.test |  | identity nrw_other | RefreshToken");
    assert!(asked[1..].iter().all(|line| line == "reg.test |  | unusable: no identity token | RefreshToken"), "{asked:?}");
}

async fn check_invalid(form: &str, status: u16, reason: &'static str, message: &str) {
    let running = Running::start().await;
    let answer = running.post(form).await;
    assert_eq!((answer.status, answer.error().2.as_str()), (status, message), "{form}");
    assert_eq!(*running.fake.invalid.lock().unwrap(), [reason], "{form}");
    assert_eq!(running.fake.ids.lock().unwrap()[0], answer.header("x-request-id"));
    assert_eq!(running.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn n6_other_grants_are_refused_by_name() {
    let message = "only grant_type=password and grant_type=refresh_token are supported";
    for grant in ["authorization_code", "client_credentials", "Password", "", "%00", "urn:ietf:params:oauth:grant-type:token-exchange"] {
        check_invalid(&format!("grant_type={grant}&username=alice&password=good"), 400, "unsupported_grant_type", message).await;
    }
    let running = Running::start().await;
    let (code, error, _) = running.post("grant_type=x").await.error();
    assert_eq!((code.as_str(), error.as_str()), ("UNSUPPORTED", "unsupported_grant_type"));
    check_invalid("username=alice&password=good", 400, "missing_parameter", "the parameter `grant_type` is missing").await;
    check_invalid("", 400, "missing_parameter", "the parameter `grant_type` is missing").await;
    check_invalid("grant_type=password", 400, "missing_parameter", "the parameter `username` is missing").await;
    check_invalid("grant_type=refresh_token", 400, "missing_parameter", "the parameter `refresh_token` is missing").await;
}

#[tokio::test]
async fn n7_bad_scopes_cost_only_themselves() {
    let running = Running::start().await;
    for scope in [
        "repository",
        "repository::pull",
        ":::",
        "repository:foo:",
        "repository:FOO:pull",
        "repository:foo/../bar:pull",
        "%00",
        "%ff",
        "%zz",
        "%0d%0aX:y",
    ] {
        let answer = running.get_as(&format!("/token?scope={scope}&scope=repository:good:pull"), "alice:good").await;
        assert_eq!((answer.status, running.asked()), (200, vec!["- | repository:good:pull | alice/good | Basic".to_owned()]), "{scope}");
        running.post(&format!("grant_type=password&username=alice&password=good&scope={scope}+repository:good:pull")).await;
        running.asked();
    }
    let answer = running.get_as("/token?scope=repository:a%20b:pull+repository:host:5000/a/b:pull", "alice:good").await;
    assert_eq!((answer.status, running.asked()), (200, vec!["- | repository:host:5000/a/b:pull | alice/good | Basic".to_owned()]));
    let many = vec!["a:b:c"; 101].join("+");
    check_invalid(
        &format!("grant_type=password&username=a&password=b&scope={many}"),
        400,
        "too_many_scopes",
        "a token request may ask for at most 100 scopes",
    )
    .await;
    assert_eq!(running.get_as(&format!("/token?scope={many}"), "alice:good").await.status, 400);
}

#[tokio::test]
async fn n10_a_body_that_is_no_form_is_refused() {
    let running = Running::start().await;
    for content_type in ["application/json", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencodedx", ""] {
        let answer = running.send(&format!("POST /token\nContent-Type: {content_type}"), "{\"grant_type\":\"password\"}").await;
        assert_eq!(answer.status, 415, "{content_type}");
        answer.error();
    }
    assert_eq!(running.send("POST /token", "grant_type=password").await.status, 415);
    let doubled = "POST /token\nContent-Type: application/x-www-form-urlencoded\nContent-Type: application/json";
    assert_eq!(running.send(doubled, "grant_type=password").await.status, 415);
    assert_eq!(running.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn n11_doubled_parameters_are_refused() {
    let valid = "grant_type=password&username=alice&password=good&service=reg.test&refresh_token=x";
    for name in ["grant_type", "username", "password", "service", "refresh_token"] {
        let message = format!("the parameter `{name}` is given more than once");
        check_invalid(&format!("{valid}&{name}=x"), 400, "doubled_parameter", &message).await;
        check_invalid(&format!("{name}=&{valid}"), 400, "doubled_parameter", &message).await;
        check_invalid(&format!("{name}=%ff&{valid}"), 400, "doubled_parameter", &message).await;
    }
    let running = Running::start().await;
    assert_eq!(running.get_as("/token?service=reg.test&service=reg.test", "alice:good").await.status, 400);
    assert_eq!(running.get_as("/whoami?service=reg.test&%73ervice=x", "alice:good").await.status, 400);
    assert_eq!(running.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn text_that_is_not_utf8_is_refused_where_it_matters() {
    for name in ["grant_type", "username", "password", "service", "refresh_token"] {
        let form: String = ["grant_type=password", "username=alice", "password=good", "service=reg.test", "refresh_token=x"]
            .into_iter()
            .filter(|pair| !pair.starts_with(name))
            .fold(String::new(), |form, pair| form + pair + "&");
        let message = format!("the parameter `{name}` is not percent-encoded UTF-8");
        for value in ["%ff", "100%", "%zz", "%ed%a0%80"] {
            check_invalid(&format!("{form}{name}={value}"), 400, "parameter_not_text", &message).await;
        }
    }
}

#[tokio::test]
async fn two_different_proofs_in_one_request_are_refused() {
    let running = Running::start().await;
    let check = async |pair: &str, form: &str, status: u16, expected: &[&str]| {
        let head = format!("POST /token\nAuthorization: {pair}\nContent-Type: application/x-www-form-urlencoded");
        assert_eq!(running.send(&head, form).await.status, status, "{pair} {form}");
        assert_eq!(running.asked(), expected, "{pair} {form}");
    };
    let form = "grant_type=password&username=alice&password=good";
    check(&basic("alice:good"), form, 200, &["- |  | alice/good | Password"]).await;
    check(&basic("alice:good"), "grant_type=password", 200, &["- |  | alice/good | Password"]).await;
    check("Basic Og==", form, 200, &["- |  | alice/good | Password"]).await;
    check(&basic("alice:bad"), form, 400, &[]).await;
    check(&basic("bob:good"), form, 400, &[]).await;
    check(&basic("alice:good"), "grant_type=password&username=alice", 400, &[]).await;
    check("Bearer x", form, 401, &["- |  | unusable: authorization is not Basic | Password"]).await;
    check("Basic !!!", form, 401, &["- |  | unusable: authorization is not base64 | Password"]).await;
    let form = "grant_type=refresh_token&refresh_token=nrw_REFRESH-123";
    check(&basic(":nrw_REFRESH-123"), form, 200, &["- |  | identity nrw_REFRESH-123 | RefreshToken"]).await;
    check(&basic("alice:good"), form, 400, &[]).await;
    check("Negotiate x", form, 401, &["- |  | unusable: authorization is not Basic | RefreshToken"]).await;
    assert!(running.fake.invalid.lock().unwrap().iter().all(|reason| *reason == "conflicting_credentials"));
}

#[tokio::test]
async fn every_refusal_has_its_status() {
    let running = Running::start().await;
    let target = "/token?service=reg.test";
    let required = running.get(target).await;
    check_401(&required, "authentication required: run docker login");
    check_401(&running.get_as(target, "expired:x").await, ADVICE);
    let down = running.get_as(target, "down:x").await;
    assert_eq!((down.status, down.header("retry-after")), (503, "3"));
    assert_eq!((down.error().0.as_str(), down.error().1.as_str()), ("UNAVAILABLE", "temporarily_unavailable"));
    let flood = running.get_as(target, "flood:x").await;
    assert_eq!((flood.status, flood.header("retry-after")), (429, "3"));
    assert_eq!((flood.error().0.as_str(), flood.error().1.as_str()), ("TOOMANYREQUESTS", "temporarily_unavailable"));
    let unknown = running.get_as("/token?service=other", "alice:good").await;
    assert_eq!((unknown.status, unknown.error().2.as_str()), (400, "unknown service"));
    for answer in [&down, &flood, &unknown] {
        assert!(!answer.headers.contains_key("www-authenticate"));
    }
    for answer in [required, down, flood, unknown] {
        assert!(!answer.body.contains(answer.header("x-request-id")));
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn what_a_proxy_may_have_read_in_another_way_is_refused() {
    let running = Running::start().await;
    let form = "grant_type=password&username=alice&password=good";
    let chunks = format!("{:x}\r\n{form}\r\n0\r\n\r\n", form.len());
    let post = async |headers: &str| {
        let head = format!("POST /token\nContent-Type: application/x-www-form-urlencoded\n{headers}");
        running.send(&head, &chunks).await
    };
    for good in ["Transfer-Encoding: chunked", "Transfer-Encoding: Chunked"] {
        assert_eq!(post(good).await.status, 200, "{good}");
    }
    assert_eq!(running.asked().len(), 2);
    for bad in ["gzip, chunked", "chunked, chunked", "chunked,", "gzip\nTransfer-Encoding: chunked", "chunked\nTransfer-Encoding: chunked"]
    {
        assert_eq!(post(&format!("Transfer-Encoding: {bad}")).await.status, 400, "{bad}");
    }
    let hosts = running.send("GET /token?service=reg.test\nHost: other.test", "").await;
    assert_eq!((hosts.status, hosts.error().2.as_str()), (400, "the request names more than one host"));
    assert_eq!(running.asked(), [""; 0]);
}

#[tokio::test]
async fn a_realm_never_repeats_what_the_client_sent() {
    let running = Running::with(Fake { services: vec!["a.test", "b.test"], ..Fake::default() }, Limits::default()).await;
    let realm = async |target: &str| running.get(target).await.header("www-authenticate").to_owned();
    assert_eq!(realm("/token?service=b.test").await, "Basic realm=\"b.test\",charset=\"UTF-8\"");
    let missing = running.get("/token").await;
    assert_eq!((missing.status, missing.error().2.as_str()), (400, "the service parameter is missing"));
    let evil = running.get("/token?service=evil%22%0d%0aX:%20y").await;
    assert_eq!(evil.status, 400);
    assert!(!format!("{evil:?}").contains("evil"));
}

#[tokio::test]
async fn a_panic_is_an_answer_of_500_and_the_next_request_is_served() {
    let running = Running::start().await;
    let answer = running.get_as("/token", "boom:x").await;
    assert_eq!((answer.status, answer.error().1.as_str()), (500, "server_error"));
    assert_eq!(answer.header("x-request-id").len(), 32);
    assert_eq!(running.get_as("/token", "alice:good").await.status, 200);
}
