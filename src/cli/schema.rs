//! `narrows schema`: what an editor needs to complete and check the files that people write.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::{authz, config};

const EXAMPLES: &str = "\
Examples:
  narrows schema config > narrows.schema.json
  narrows schema rules > rules.schema.json

An editor with a YAML language server completes and checks a file whose first line names the schema beside it:
  # yaml-language-server: $schema=narrows.schema.json

A schema knows one file and only its shape; `narrows check` reads everything as the service does.";

/// Print the JSON Schema (2020-12) of the configuration or of the rule file.
#[derive(Clone, Copy, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SchemaArgs {
    /// Which file the schema is for.
    #[arg(value_enum, value_name = "FILE")]
    pub file: Kind,
}

/// The files that have a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The configuration, narrows.yaml.
    Config,
    /// A rule file.
    Rules,
}

/// Prints the schema. Reads nothing.
pub fn run(args: &SchemaArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let schema = match args.file {
        Kind::Config => config::schema(),
        Kind::Rules => authz::schema(),
    };
    let text = serde_json::to_string_pretty(&schema)?;
    writeln!(out, "{text}").context("the schema could not be written")?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: SchemaArgs,
    }

    #[test]
    fn the_help_shows_commands_that_are_understood() {
        let help = Command::command().render_help().to_string();
        let examples: Vec<&str> = help.lines().filter_map(|line| line.trim().strip_prefix("narrows ")?.split(" >").next()).collect();
        assert_eq!(examples.len(), 2, "{help}");
        for example in examples {
            let args = Command::try_parse_from(example.split(' ')).unwrap().args;
            let mut out = Vec::new();
            run(&args, &mut out).unwrap();
            let schema: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        }
    }
}
