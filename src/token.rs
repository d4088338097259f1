//! What is signed and what stands for a login: claims, keys, signatures, identity tokens.

pub mod settings;
