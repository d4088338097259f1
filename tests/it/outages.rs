//! Faults: directories that die, stall or lie, crowds, forged state, bad reloads and garbage, at a real bridge over HTTP.

mod certificate;
mod crowd;
mod directory_down;
mod faults;
mod flood;
mod identity_tokens;
mod lab;
mod last_good;
mod lookup;
mod online;
mod policy_tests;
mod readers;
mod refusals;
mod rehearsal;
mod reload;
mod ruled;
mod shield;
mod stale;
mod swaps;
mod widening;
mod wire;
