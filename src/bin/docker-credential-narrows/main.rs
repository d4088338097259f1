//! `docker-credential-narrows`: signs people in at narrows in a browser, and gives docker and its relatives the identity
//! token whenever they ask.
//!
//! - [`arguments`]: the commands
//! - [`setup`], [`login`], [`protocol`]: what each of them does; the last one is docker's side
//! - [`bridge`], [`challenge`], [`client`]: what is said to narrows and to a registry
//! - [`pins`], [`tokens`], [`folder`]: what is kept, and where
//! - [`docker_config`], [`json_members`], [`replace`]: one key in a file that belongs to docker
//! - [`address`], [`token`], [`environment`], [`terminal`], [`browser`], [`failure`]: the small parts

mod address;
mod arguments;
mod bridge;
mod browser;
mod challenge;
mod client;
mod docker_config;
mod environment;
mod failure;
mod folder;
mod json_members;
#[cfg(not(feature = "keyring"))]
#[path = "no_keyring.rs"]
mod keyring;
#[cfg(feature = "keyring")]
#[path = "system_keyring.rs"]
mod keyring;
mod login;
mod pins;
mod protocol;
mod replace;
mod setup;
mod terminal;
mod token;
mod tokens;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use failure::Failure;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(failure::BAD));
        }
    };
    match arguments.command {
        Command::Setup(wanted) => told(setup::run(&wanted)),
        Command::Login(wanted) => told(login::run(&wanted)),
        Command::Get => answered(protocol::get(&mut std::io::stdin())),
        Command::Store => answered(protocol::store(&mut std::io::stdin())),
        Command::Erase => answered(protocol::erase(&mut std::io::stdin())),
        Command::List => answered(protocol::list()),
        Command::Version => answered(Ok(protocol::version())),
    }
}

/// How a command for people ends: what went wrong is talk.
fn told(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::talk(&format!("error: {failure}"));
            ExitCode::from(failure.code())
        }
    }
}

/// How a command of docker's protocol ends: it reads the answer and the error alike from standard output, and knows one
/// code for errors.
fn answered(result: Result<protocol::Answer, Failure>) -> ExitCode {
    let (text, code) = match result {
        Ok(answer) => (answer, ExitCode::SUCCESS),
        Err(failure) => (protocol::Answer::new(failure.to_string()), ExitCode::from(failure::DENIED)),
    };
    if text.is_empty() {
        return code;
    }
    let mut out = std::io::stdout().lock();
    // Docker has to have read all of it.
    if writeln!(out, "{}", text.as_str()).and_then(|()| out.flush()).is_err() { ExitCode::from(failure::DENIED) } else { code }
}
