//! One integration binary: the real `narrows` against real registries, daemons and directories.
#![cfg(test)]
#![expect(unreachable_pub, reason = "nothing is reachable from outside a test binary; `pub` says what a lab offers to the tests")]

mod active_directory;
mod config;
mod credential_helper;
mod dex;
mod ds389;
mod end_to_end;
mod glewlwyd;
mod interop;
mod keycloak;
mod labs;
mod ldap;
mod narrowing;
mod oidc;
mod openid_provider;
mod outages;
mod rehearsal;
mod require;
mod samba;
mod sign_in;
mod slapd;
mod tidy;
