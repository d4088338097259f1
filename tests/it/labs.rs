//! Real programs, started on free ports of 127.0.0.1 in folders of their own, and ended with the test process.

pub mod accounts;
pub mod authenticator;
pub mod bridge;
pub mod certificates;
pub mod chromium;
pub mod credential_helper;
pub mod ctr;
pub mod dockerd;
pub mod image;
pub mod kept;
pub mod namespace;
pub mod oidc;
pub mod podman;
pub mod ports;
pub mod process;
pub mod python;
pub mod registry;
pub mod skopeo;
pub mod tap;
pub mod terminal;
pub mod visitor;
pub mod wait;
