//! Keys that may be written in more than one shape.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde_json::json;

use crate::source::{Located, SecretSource};

/// `URL` or `{url: URL, priority: N}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `ldap://HOST[:PORT]` or `ldaps://HOST[:PORT]`.
    pub url: String,
    /// Lower is asked first. Default 0.
    pub priority: u32,
}

impl JsonSchema for Server {
    fn schema_name() -> Cow<'static, str> {
        "LdapServer".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let url = json!({
            "description": "ldaps://HOST[:PORT], or ldap://HOST[:PORT], which means StartTLS.",
            "type": "string",
            "examples": ["ldaps://ldap.corp.example"],
        });
        let priority = json!({
            "description": "Lower is asked first; of equal ones either. Default 0.",
            "type": "integer",
            "minimum": 0,
            "default": 0,
        });
        json_schema!({
            "description": "A URL, or {url: URL, priority: NUMBER}.",
            "anyOf": [
                url,
                {"type": "object", "properties": {"url": url, "priority": priority}, "required": ["url"], "additionalProperties": false},
            ],
        })
    }
}

/// Who searches.
#[derive(Clone, Debug)]
pub enum ServiceAccount {
    /// A simple bind.
    Simple {
        /// The account's DN.
        dn: Located<String>,
        /// Its password.
        password: Located<SecretSource>,
    },
    /// The client certificate (SASL EXTERNAL).
    External,
    /// Nobody in particular.
    Anonymous,
}

impl JsonSchema for ServiceAccount {
    fn schema_name() -> Cow<'static, str> {
        "ServiceAccount".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let dn = json!({
            "description": "The account's DN; Active Directory also takes user@domain.",
            "type": "string",
            "examples": ["cn=narrows,ou=services,dc=corp,dc=example"],
        });
        let mut password = generator.subschema_for::<SecretSource>();
        password.insert("description".to_owned(), "The account's password, a secret: {file: PATH} or {env: NAME}.".into());
        json_schema!({
            "description": "Who searches: {dn: DN, password: SECRET}, external or anonymous.",
            "oneOf": [
                {
                    "type": "object",
                    "properties": {"dn": dn, "password": password},
                    "required": ["dn", "password"],
                    "additionalProperties": false,
                },
                {"description": "The client certificate (SASL EXTERNAL).", "const": "external"},
                {"description": "Nobody in particular: anonymous searches.", "const": "anonymous"},
            ],
        })
    }
}

impl<'de> Deserialize<'de> for Server {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Server;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a URL or {url: URL, priority: NUMBER}")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Server, E> {
                Ok(Server { url: text.to_owned(), priority: 0 })
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Server, A::Error> {
                let (mut url, mut priority) = (None, 0);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "url" => url = Some(map.next_value::<String>()?),
                        "priority" => priority = map.next_value()?,
                        other => return Err(de::Error::unknown_field(other, &["url", "priority"])),
                    }
                }
                Ok(Server { url: url.ok_or_else(|| de::Error::missing_field("url"))?, priority })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl<'de> Deserialize<'de> for ServiceAccount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ServiceAccount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("{dn: DN, password: {file: PATH}}, external or anonymous")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ServiceAccount, E> {
                match text {
                    "external" => Ok(ServiceAccount::External),
                    "anonymous" => Ok(ServiceAccount::Anonymous),
                    other => Err(E::unknown_variant(other, &["external", "anonymous"])),
                }
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<ServiceAccount, A::Error> {
                let (mut dn, mut password) = (None, None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "dn" => dn = Some(map.next_value()?),
                        "password" => password = Some(map.next_value()?),
                        other => return Err(de::Error::unknown_field(other, &["dn", "password"])),
                    }
                }
                Ok(ServiceAccount::Simple {
                    dn: dn.ok_or_else(|| de::Error::missing_field("dn"))?,
                    password: password.ok_or_else(|| de::Error::missing_field("password"))?,
                })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
