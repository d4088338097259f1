//! `narrows hash`: a password hash for the users file.

use std::io::{BufRead, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::password;
use crate::authn::file::{HashAlgorithm, hash_password};

const EXAMPLE: &str = "\
Reads one password from standard input and prints its hash, and nothing else.

Example:
  $ read -rs PASSWORD; printf %s \"$PASSWORD\" | narrows hash
  $argon2id$v=19$m=19456,t=2,p=1$…

Put the hash behind `password:` in the users file, in quotes.";

const DEFAULT_COST: u32 = 12;

/// Hash a password for the users file.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct HashArgs {
    /// How to hash.
    #[arg(long, value_enum, default_value_t = Algorithm::Argon2id)]
    pub algorithm: Algorithm,
    /// What bcrypt costs, from 10 to 14; each step doubles the time. Default 12.
    #[arg(long)]
    pub cost: Option<u32>,
}

/// The kinds of hashes that a users file accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Algorithm {
    /// The better one: guessing costs memory too.
    Argon2id,
    /// For an htpasswd file; at most 72 bytes.
    Bcrypt,
}

/// Reads the password, prints the hash. An error is bad usage and says what to do.
pub fn run(args: &HashArgs, input: &mut dyn BufRead, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let algorithm = match (args.algorithm, args.cost) {
        (Algorithm::Argon2id, None) => HashAlgorithm::Argon2id,
        (Algorithm::Argon2id, Some(_)) => bail!("`--cost` belongs to bcrypt: leave it out, or add `--algorithm bcrypt`"),
        (Algorithm::Bcrypt, cost) => HashAlgorithm::Bcrypt { cost: cost.unwrap_or(DEFAULT_COST) },
    };
    let password = password::read(input, "narrows hash")?;
    let hash = hash_password(password.as_bytes(), algorithm)?;
    writeln!(out, "{hash}").context("the hash could not be written")?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: HashArgs,
    }

    /// What is printed, or the refusal.
    fn hashed(args: &[&str], input: &[u8]) -> Result<String, String> {
        let args = Command::try_parse_from([&["hash"], args].concat()).map_err(|error| error.to_string())?.args;
        let mut out = Vec::new();
        run(&args, &mut &*input, &mut out).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn check_refused(args: &[&str], input: &[u8], expected: &str) {
        assert_eq!(hashed(args, input), Err(expected.to_owned()));
    }

    #[test]
    fn the_hash_alone_is_printed_and_one_line_break_does_not_count() {
        for (args, prefix) in [(&[][..], "$argon2id$v=19$m=19456,t=2,p=1$"), (&["--algorithm", "bcrypt", "--cost", "10"][..], "$2y$10$")] {
            for input in ["correct horse", "correct horse\n", "correct horse\r\n"] {
                let printed = hashed(args, input.as_bytes()).unwrap();
                let hash = printed.strip_suffix('\n').unwrap();
                assert!(hash.starts_with(prefix) && !hash.contains(char::is_whitespace), "{hash}");
                let matches = if prefix.starts_with("$2y") {
                    bcrypt::verify("correct horse", hash).unwrap()
                } else {
                    use argon2::PasswordVerifier;
                    argon2::Argon2::default()
                        .verify_password(b"correct horse", &argon2::password_hash::phc::PasswordHash::new(hash).unwrap())
                        .is_ok()
                };
                assert!(matches, "{input:?}");
            }
        }
    }

    #[test]
    fn what_could_never_log_in_is_refused() {
        check_refused(&[], b"", "the password is empty: pipe it in, as in `printf %s \"$PASSWORD\" | narrows hash`");
        check_refused(&[], b"\n", "the password is empty: pipe it in, as in `printf %s \"$PASSWORD\" | narrows hash`");
        check_refused(&[], b"a\0b", "nobody can log in with this password: control characters");
        check_refused(&[], b"one\ntwo\n", "standard input holds more than one line: pipe in one password");
        check_refused(&[], b"\xff\xfe", "the password is not UTF-8, so no client could send it");
        check_refused(&[], b"nrw_x", "nobody can log in with this password: it looks like a token");
        check_refused(&[], &[b'x'; 4097], "nobody can log in with this password: too long");
        check_refused(&[], &[b'x'; 10_000], "nobody can log in with this password: too long");
    }

    #[test]
    fn bcrypt_has_its_bounds() {
        let bcrypt = ["--algorithm", "bcrypt"];
        check_refused(&bcrypt, &[b'x'; 73], "the password has more than 72 bytes, and bcrypt ignores the rest: take argon2id");
        check_refused(&["--algorithm", "bcrypt", "--cost", "9"], b"x", "bcrypt's cost is a number from 10 to 14");
        check_refused(&["--algorithm", "bcrypt", "--cost", "15"], b"x", "bcrypt's cost is a number from 10 to 14");
        check_refused(&["--cost", "12"], b"x", "`--cost` belongs to bcrypt: leave it out, or add `--algorithm bcrypt`");
    }

    #[test]
    fn the_help_shows_an_example() {
        assert!(Command::command().render_help().to_string().contains("| narrows hash"));
    }
}
