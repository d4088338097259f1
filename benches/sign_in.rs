//! `make bench`: what a login by the password grant, a use of an identity token, and a re-check at the issuer cost: the processor time
//! of narrows alone for each.
//!
//! The issuer is a small one of this program: it answers at once and signs with RS256, over plain HTTP on loopback. It and the clients share
//! the machine's cores with the service.

mod site;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use data_encoding::BASE64URL_NOPAD;

use narrows::clock::Clock;
use site::{Client, Service, ask_many, free_address, narrows, token_request};

const PEOPLE: usize = 500;
const IN_FLIGHT: usize = 16;
const SERVICE: &str = "registry.test";
const PASSWORD: &str = "bench-password";

fn main() -> Result<()> {
    // `cargo test --all-targets` runs this binary too, without `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let issuer = Issuer::start()?;

    let site = Site::start(folder.path(), "logins", issuer, "5m")?;
    site.measure("password logins", 20_000, |number| token_request(site.address, SERVICE, &name(number), PASSWORD))?;
    let tokens = site.identity_tokens()?;
    site.measure("identity tokens", 50_000, |number| site.refresh(&tokens, number))?;
    drop(site);

    let site = Site::start(folder.path(), "looks", issuer, "0s")?;
    let tokens = site.identity_tokens()?;
    site.measure("the same, each with a look", 10_000, |number| site.refresh(&tokens, number))
}

fn name(number: usize) -> String {
    format!("user{:03}", number % PEOPLE)
}

/// A running service that remembers nothing of passwords.
struct Site {
    service: Service,
    address: SocketAddr,
}

impl Site {
    fn start(folder: &Path, called: &str, issuer: SocketAddr, recheck: &str) -> Result<Self> {
        let (address, admin) = (free_address()?, free_address()?);
        let folder = folder.join(called);
        fs::create_dir(&folder)?;
        fs::write(folder.join("secret"), "bench-secret")?;
        let rules =
            "version: 1\nreserved: []\nrules: [{to: {group: \"registry-{team}\"}, allow: contributor, repository: \"{team}/**\"}]\n";
        fs::write(folder.join("rules.yaml"), rules)?;
        let configuration = folder.join("narrows.yaml");
        let text = format!(
            "listen: {address}\nadmin_listen: {admin}\npublic_url: http://{address}\nservices: [{{name: {SERVICE}}}]\nrules: rules.yaml\n\
             credentials_cache: {{verified: 0s, rejected: 0s}}\nidentity_tokens: {{recheck: {recheck}}}\n\
             audit: {{file: audit.jsonl}}\nlog: {{level: error}}\n\
             providers:\n  - name: sso\n    oidc:\n      issuer: http://{issuer}\n      client: {{id: bench, secret: {{file: secret}}}}\n\
             \x20     identity: {{username: [sub]}}\n      password_grant: {{enabled: true}}\n"
        );
        fs::write(&configuration, text)?;
        narrows(&["keys", "init", "--config", configuration.to_str().context("a path of UTF-8")?], "")?;
        let mut service = Service::start(&configuration, folder.join("log"))?;
        service.wait_until_ready(address)?;
        Ok(Self { service, address })
    }

    /// One of each person.
    fn identity_tokens(&self) -> Result<Vec<String>> {
        let mut client = Client::connect(self.address)?;
        let mut tokens = Vec::new();
        for number in 0..PEOPLE {
            let asked = token_request(self.address, SERVICE, &name(number), PASSWORD).replacen("/token?", "/token?offline_token=true&", 1);
            client.ask(&asked)?;
            let answer: serde_json::Value = serde_json::from_str(&client.body())?;
            tokens.push(answer.get("refresh_token").and_then(|token| token.as_str()).context("an identity token")?.to_owned());
        }
        Ok(tokens)
    }

    fn refresh(&self, tokens: &[String], number: usize) -> String {
        let token = tokens.get(number % PEOPLE).map_or("", String::as_str);
        let scope = "repository%3Apayments%2Fapi%3Apull%2Cpush";
        let form = format!("grant_type=refresh_token&refresh_token={token}&service={SERVICE}&scope={scope}&client_id=bench");
        format!(
            "POST /token HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.address,
            form.len(),
        )
    }

    fn measure(&self, what: &str, count: usize, request: impl Fn(usize) -> String + Sync) -> Result<()> {
        // Connections are opened and code is warm before anything is measured.
        ask_many(self.address, IN_FLIGHT, count / 10, &request)?;
        let before = self.service.cpu()?;
        let seconds = ask_many(self.address, IN_FLIGHT, count, &request)?.as_secs_f64();
        let cpu = self.service.cpu()?.saturating_sub(before).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a count of requests is far below 2^52")]
        let (rate, micros) = (count as f64 / seconds, cpu * 1e6 / count as f64);
        writeln!(io::stdout(), "{what:<28} {rate:>9.0} /s   {micros:>6.0} µs of own processor time each")?;
        writeln!(io::stdout(), "resident after it            {:>9.1} MiB", self.service.resident_mib()?)?;
        Ok(())
    }
}

/// An issuer that lets everybody in.
struct Issuer {
    address: SocketAddr,
    key: KeyPair,
}

impl Issuer {
    /// Serves until the program ends.
    fn start() -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let key = KeyPair::generate(KeySize::Rsa2048).ok().context("an RSA key")?;
        let issuer = Arc::new(Self { address: listener.local_addr()?, key });
        let address = issuer.address;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let issuer = Arc::clone(&issuer);
                thread::spawn(move || issuer.serve(stream));
            }
        });
        Ok(address)
    }

    fn serve(&self, stream: TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        loop {
            let (mut path, mut length, mut line) = (String::new(), 0, String::new());
            loop {
                line.clear();
                if reader.read_line(&mut line)? == 0 {
                    return Ok(());
                }
                let text = line.trim_end();
                if text.is_empty() {
                    break;
                }
                if path.is_empty() {
                    text.split(' ').nth(1).context("a request line")?.clone_into(&mut path);
                } else if let Some(value) = text.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse()?;
                }
            }
            let mut form = vec![0; length];
            reader.read_exact(&mut form)?;
            let body = self.answer(&path, &form)?.to_string();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
            reader.get_mut().write_all(format!("{head}{body}").as_bytes())?;
        }
    }

    fn answer(&self, path: &str, form: &[u8]) -> Result<serde_json::Value> {
        let base = format!("http://{}", self.address);
        Ok(match path {
            "/.well-known/openid-configuration" => serde_json::json!({
                "issuer": base, "authorization_endpoint": format!("{base}/authorize"), "token_endpoint": format!("{base}/token"),
                "jwks_uri": format!("{base}/keys"), "response_types_supported": ["code"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }),
            "/keys" => {
                let public = self.key.public_key();
                let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
                let (n, e) = (public.modulus().big_endian_without_leading_zero(), public.exponent().big_endian_without_leading_zero());
                serde_json::json!({"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "bench", "n": text(n), "e": text(e)}]})
            }
            _ => {
                let fields: BTreeMap<_, _> = form_urlencoded::parse(form).into_owned().collect();
                let who = fields.get("username").or_else(|| fields.get("refresh_token")).context("a person")?;
                ensure!(fields.get("password").is_none_or(|password| password == PASSWORD), "the password is passed on");
                serde_json::json!({"access_token": "unused", "token_type": "Bearer", "expires_in": 300, "refresh_token": who, "id_token": self.id_token(&base, who)?})
            }
        })
    }

    fn id_token(&self, base: &str, who: &str) -> Result<String> {
        let now = Clock::system().now().0;
        let claims = serde_json::json!({
            "iss": base, "aud": "bench", "sub": who, "iat": now, "exp": now + 300, "auth_time": now, "name": who,
            "groups": ["registry-payments", "everybody", "berlin", "engineering"],
        });
        let header = BASE64URL_NOPAD.encode(br#"{"alg":"RS256","typ":"JWT","kid":"bench"}"#);
        let signed = format!("{header}.{}", BASE64URL_NOPAD.encode(claims.to_string().as_bytes()));
        let mut signature = vec![0; self.key.public_modulus_len()];
        let signing = self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature);
        signing.ok().context("a signature")?;
        Ok(format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature)))
    }
}
