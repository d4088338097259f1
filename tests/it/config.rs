//! Configurations: every shipped one loads, and every bad one says where and what.

mod access_review;
mod bad;
mod check;
mod policy_tests;
mod reference;
mod schema;
mod shipped;
