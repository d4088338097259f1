//! The sign-in page as somebody without scripts uses it: forms and links.

use crate::labs::accounts::Person;
use crate::labs::bridge::Bridge;
use crate::labs::oidc::Issuer;
use crate::labs::visitor::{self, Visitor};

/// Somebody's browser at the page.
pub struct SignInPage<'a> {
    pub visitor: Visitor,
    bridge: &'a Bridge,
}

impl<'a> SignInPage<'a> {
    /// Opens it and signs in; the page is there afterwards.
    pub async fn signed_in<O: Issuer>(bridge: &'a Bridge, op: &O, person: &Person) -> Self {
        let page = Self { visitor: Visitor::new(), bridge };
        let first = page.open().await;
        assert!(first.contains("action=\"/login/start\""), "{first}");
        let answer = page.visitor.post(&bridge.url("/login/start"), &[("provider", "corp")]).await;
        let authorization = visitor::redirect(&answer).unwrap_or_else(|| panic!("no redirect but {}", answer.status()));
        let callback = op.sign_in(person, &authorization).await;
        let answer = page.visitor.get(&callback).await;
        let status = answer.status();
        let back = visitor::redirect(&answer);
        assert_eq!(back, Some(bridge.url("/login")), "{status}: {}\n{}", answer.text().await.unwrap(), bridge.log());
        page
    }

    /// What it shows now.
    pub async fn open(&self) -> String {
        self.visitor.get(&self.bridge.url("/login")).await.text().await.unwrap()
    }

    /// Asks for a login code.
    pub async fn code(&self, service: &str) -> String {
        let csrf = field(&self.open().await, "csrf");
        let answer = self.visitor.post(&self.bridge.url("/login/code"), &[("csrf", &csrf), ("service", service)]).await;
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 200, "{text}");
        let (_, code) = text.split_once("nrl_").unwrap_or_else(|| panic!("no code in {text}"));
        let code = code.chars().take_while(|letter| letter.is_ascii_alphanumeric() || "-_".contains(*letter));
        format!("nrl_{}", code.collect::<String>())
    }
}

/// The value of a form's hidden field.
fn field(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no {name} in {page}"));
    rest.split_once('"').unwrap().0.to_owned()
}
