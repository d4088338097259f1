//! An OpenID Provider, a bridge that trusts it, a registry that trusts the bridge, and a docker daemon.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::OnceCell;

use crate::end_to_end::lab::export;
use crate::labs::bridge::{Bridge, Site};
use crate::labs::dockerd::{self, Docker};
use crate::labs::oidc::{CLIENT_SECRET, Issuer, PASSWORDS};
use crate::labs::registry::{self, Registry};
use crate::labs::{ports, wait};
use crate::require;

/// What a change at the provider may need: the identity token is looked at again.
pub const NOTICED: Duration = Duration::from_secs(30);
/// What clients print of an identity token that is over.
pub const ENDED: &str = "the saved login has ended: run docker login again, or docker-credential-narrows login where that is set up";

pub const SERVICE: &str = "registry.test";

pub const RULES: &str = r#"
version: 1
realm: corp
reserved: []
rules:
  - {name: developers, to: {group: dev}, allow: contributor, repository: "dev/**"}
  - {name: operators, to: {group: ops}, allow: contributor, repository: "ops/**"}
  - {name: with a second factor, to: {group: dev, mfa: {within: 12h}}, allow: contributor, repository: "prod/**"}
"#;

/// What a scenario has beside the issuer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside<'a> {
    /// Providers, as they stand in the list.
    pub providers: &'a str,
    /// What stands beside the issuer's `name`, each line indented by four.
    pub provider: &'a str,
    /// What stands below its `oidc`, each line indented by six.
    pub settings: &'a str,
}

/// All of it.
pub struct House<O> {
    pub op: O,
    pub bridge: Bridge,
    pub registry: Registry,
    /// One for all houses of a run: it takes longer to start than all the rest.
    pub docker: &'static Docker,
    /// The configuration, but for who may use a device login that docker carries.
    configuration: String,
}

static DOCKER: OnceCell<Docker> = OnceCell::const_new();

/// What stands in the configuration for these networks.
const FROM: &str = "{from}";
/// Everybody here.
pub const HERE: &str = "127.0.0.0/8";

impl<O: Issuer> House<O> {
    /// Starts the rest around a provider; `None` where this machine lacks a part.
    pub async fn open(op: Option<O>) -> Option<Self> {
        Self::open_beside(op, Site::new(), Beside { settings: PASSWORDS, ..Beside::default() }).await
    }

    /// The same with other providers, and other settings than the password grant.
    pub async fn open_beside(op: Option<O>, site: Site, beside: Beside<'_>) -> Option<Self> {
        let op = op?;
        let registry = require::available("docker-registry", registry::present());
        if !(require::available("docker daemon (docker.io and containerd, as root)", dockerd::present()) && registry) {
            return None;
        }
        op.redirect_to(&site.url("/oidc/corp/callback")).await;
        site.write("rules.yaml", RULES);
        site.write("oidc-secret", CLIENT_SECRET);
        let (own, address, oidc) = (site.url(""), ports::free(), op.oidc());
        let Beside { providers, provider, settings } = beside;
        // The periods are short so that a test need not wait for what an operator may wait for.
        let configuration = format!(
            "public_url: {own}\nservices: [{{name: {SERVICE}, address: \"{address}\", registry: distribution-2}}]\nrules: rules.yaml\n\
             credentials_cache: {{verified: 1s}}\nidentity_tokens: {{recheck: 1s}}\naudit: {{file: audit.jsonl}}\nlog: {{level: debug}}\n\
             providers:\n{providers}  - name: corp\n{provider}    oidc:\n{oidc}{settings}\
             \x20     device_grant: {{enabled: true, in_band: true, from: [{FROM}]}}\n"
        );
        site.configure(&configuration.replace(FROM, HERE));
        site.command(&["keys", "init"]).await.ok();
        let bundle = export(&site, SERVICE).await;
        let bridge = site.serve().await;
        let realm = bridge.url("/token");
        let (registry, docker) =
            tokio::join!(Registry::start_at(address, &realm, SERVICE, "narrows", &bundle), DOCKER.get_or_init(Docker::start));
        Some(Self { op, bridge, registry, docker, configuration })
    }

    /// From now on docker may carry a device login from this network.
    pub async fn let_docker_sign_in_from(&self, network: &str) {
        let site = self.bridge.site();
        site.configure(&self.configuration.replace(FROM, network));
        site.command(&["reload"]).await.ok();
    }

    /// The name of an image at the registry.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.registry.host())
    }

    /// Pushes a new image of this name.
    pub async fn push(&self, client: &dockerd::Client, name: &str) -> crate::labs::process::Ran {
        let image = self.image(name);
        client.make(&image, name).await;
        client.push(&image).await
    }

    /// How narrows refuses an identity token; none where it does not.
    pub async fn refusal(&self, identity_token: &str) -> Option<(u16, String)> {
        let form = [("grant_type", "refresh_token"), ("service", SERVICE), ("refresh_token", identity_token)];
        let answer = reqwest::Client::new().post(self.bridge.url("/token")).form(&form).send().await.unwrap();
        let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
        (status != 200).then(|| (status, body["errors"][0]["message"].as_str().unwrap_or_default().to_owned()))
    }

    /// Waits until an identity token is refused for good.
    pub async fn until_refused(&self, identity_token: &str) {
        let refusal = wait::until(NOTICED, async || self.refusal(identity_token).await.ok_or_else(|| "it is taken".to_owned())).await;
        assert_eq!(refusal, (401, ENDED.to_owned()), "{}", self.bridge.log());
    }

    /// Waits until the issuer lets an identity token give nothing any more: the login has ended, or nobody can say whether it has,
    /// for which docker waits nearly a minute by itself.
    pub async fn until_ended(&self, identity_token: &str) {
        if O::TELLS_END {
            return self.until_refused(identity_token).await;
        }
        wait::until(NOTICED, async || match self.refusal(identity_token).await {
            Some((503, _)) => Ok(()),
            other => Err(format!("{other:?}\n{}", self.bridge.log())),
        })
        .await;
    }

    /// The live identity tokens of somebody, as operators see them.
    pub async fn tokens(&self, username: &str) -> Vec<Value> {
        let listed = self.bridge.site().command(&["tokens", "list", "--json", "--user", username]).await.ok();
        serde_json::from_str(&listed.stdout).unwrap_or_else(|error| panic!("{error}: {}", listed.stdout))
    }
}
