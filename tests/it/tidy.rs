//! What the sources and pages promise about themselves, checked by reading them as text.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// From top to bottom; a module imports from its own line and the lines below it.
const LAYERS: [&[&str]; 13] = [
    &["cli", "http"],
    &["lifecycle"],
    &["app"],
    &["config"],
    &["issue"],
    &["audit"],
    &["token"],
    &["authz"],
    &["authn"],
    &["store"],
    &["registry"],
    &["clock", "metrics"],
    &["source"],
];

/// Which sources may name a third-party crate.
const FENCES: [(&str, &[&str]); 11] = [
    ("anyhow", &["src/main.rs", "src/cli.rs", "src/cli/", "src/app.rs", "src/app/"]),
    ("axum", &["src/http.rs", "src/http/"]),
    ("jsonwebtoken", &["src/token.rs", "src/token/", "src/authn/jwt.rs", "src/authn/jwt/"]),
    ("ldap3", &["src/authn/ldap.rs", "src/authn/ldap/"]),
    ("maud", &["src/http.rs", "src/http/"]),
    ("moka", &["src/authn/cache.rs", "src/authn/cache/", "src/authz/cache.rs"]),
    ("openidconnect", &["src/authn/oidc.rs", "src/authn/oidc/"]),
    ("reqwest", &["src/authn/oidc.rs", "src/authn/oidc/", "src/bin/"]),
    ("serde_saphyr", &[]),
    ("serde_yaml", &["src/source.rs", "src/source/"]),
    ("sqlx", &["src/store.rs", "src/store/"]),
];

/// Names that say nothing about what a file holds.
const EMPTY_NAMES: [&str; 9] = ["mod", "util", "utils", "helper", "helpers", "common", "misc", "types", "prelude"];

/// A file without its tests is at most this long.
const MAX_LINES: usize = 500;

/// A text file of this package.
struct File {
    /// From the package's folder, with `/`.
    path: String,
    text: String,
}

impl File {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Its lines with their numbers, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| {
            let code = if line.starts_with("//") { "" } else { line.split(" //").next().unwrap_or_default() };
            (index + 1, code)
        })
    }

    /// How many lines stand before its tests.
    fn length(&self, of_tests: &BTreeSet<String>) -> usize {
        if of_tests.contains(&self.path) { 0 } else { self.text.lines().take_while(|line| *line != "#[cfg(test)]").count() }
    }

    /// `authn`, `ldap`, `wire` of `src/authn/ldap/wire.rs`; nothing for the roots.
    fn module(&self) -> Vec<&str> {
        let path = self.path.strip_prefix("src/").and_then(|path| path.strip_suffix(".rs")).unwrap_or_default();
        match path {
            "" | "lib" | "main" => Vec::new(),
            path if path.starts_with("bin/") => Vec::new(),
            path => path.split('/').collect(),
        }
    }
}

/// The files that another one declares by `#[cfg(test)] mod x;`.
fn of_tests(files: &[File]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for File { path, text } in files {
        let folder = path.trim_end_matches("lib.rs").trim_end_matches(".rs").trim_end_matches('/');
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2) {
            if let ["#[cfg(test)]", declared] = pair
                && let Some(name) = declared.strip_prefix("mod ").and_then(|name| name.strip_suffix(';'))
            {
                found.insert(format!("{folder}/{name}.rs"));
            }
        }
    }
    found
}

// === The checks: each answers with what it found, as `file:line: what` ===

/// Imports that go up.
fn climbing_imports(files: &[File]) -> Vec<String> {
    let level = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    let mut findings = Vec::new();
    for file in files {
        let module = file.module();
        let Some(&own) = module.first() else { continue };
        let Some(own_level) = level(own) else {
            findings.push(format!("{}:1: module `{own}` is in no layer", file.path));
            continue;
        };
        for (number, name) in imported(file) {
            if level(&name).is_some_and(|other| other < own_level) || (level(&name) == Some(own_level) && own == "http" && name == "cli") {
                findings.push(format!("{}:{number}: {own} -> {name}", file.path));
            }
        }
    }
    findings
}

/// The top modules that a file names, by `crate::x`, `crate::{x, y::z}` or enough `super::`.
fn imported(file: &File) -> Vec<(usize, String)> {
    let depth = file.module().len();
    // A list in braces may go over several lines.
    let text: String = file.code().flat_map(|(_, line)| [line, "\n"]).collect();
    let above = "super::".repeat(depth);
    let mut names = Vec::new();
    for root in ["crate::", above.as_str()] {
        for (at, _) in text.match_indices(root) {
            let (before, rest) = around(&text, at, root);
            if before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_') || before.ends_with("super::") {
                continue;
            }
            let number = before.matches('\n').count() + 1;
            names.extend(first_names(rest).into_iter().map(|name| (number, name)));
        }
    }
    names
}

/// What stands before and after a piece that was found.
fn around<'text>(text: &'text str, at: usize, piece: &str) -> (&'text str, &'text str) {
    let (before, rest) = text.split_at(at);
    (before, rest.strip_prefix(piece).unwrap_or(rest))
}

/// `a` of `a::b`, and `a`, `c` of `{a::b, c::{d, e}}`.
fn first_names(path: &str) -> Vec<String> {
    let name = |path: &str| path.trim_start().chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect::<String>();
    let Some(list) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut names = vec![name(list)];
    let mut open = 1;
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => open += 1,
            '}' => open -= 1,
            ',' if open == 1 => names.push(name(around(list, at, ",").1)),
            _ => {}
        }
        if open == 0 {
            break;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Third-party crates outside their fences; tests may reach over them, as when they damage a database.
fn crates_over_fences(files: &[File]) -> Vec<String> {
    let of_tests = of_tests(files);
    let mut findings = Vec::new();
    for file in files {
        for (name, homes) in FENCES {
            if homes.iter().any(|home| file.path == *home || (home.ends_with('/') && file.path.starts_with(home))) {
                continue;
            }
            let outside = file.code().take(file.length(&of_tests)).filter(|(_, line)| names_crate(line, name));
            findings.extend(outside.map(|(number, _)| format!("{}:{number}: {name} is outside its fence", file.path)));
        }
    }
    findings
}

fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let (before, after) = around(line, at, name);
        let starts = !before.ends_with(|letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '"' | '`'));
        let used = before.trim_start().ends_with("use ") && after.starts_with([';', ' ']);
        starts && (after.starts_with("::") || used)
    })
}

/// Files that are long, say nothing in their first line, or have a name that says nothing.
fn shapeless_files(files: &[File]) -> Vec<String> {
    let of_tests = of_tests(files);
    let mut findings = Vec::new();
    for file in files {
        let (File { path, text }, lines) = (file, file.length(&of_tests));
        if lines > MAX_LINES {
            findings.push(format!("{path}:{lines}: over {MAX_LINES} lines without its tests; split it by idea"));
        }
        if !text.starts_with("//! ") {
            findings.push(format!("{path}:1: the first line should say in `//! …` what the file is for"));
        }
        let name = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        if EMPTY_NAMES.contains(&name) {
            findings.push(format!("{path}:1: the name `{name}` says nothing"));
        }
    }
    findings
}

/// Work left undone, tests switched off, and paths of one machine.
fn leftovers(files: &[File]) -> Vec<String> {
    // In pieces, so that this file does not find itself.
    let words =
        [["TO", "DO"], ["FIX", "ME"], ["#[ig", "nore"], ["/ro", "ot/"], ["/ho", "me/"], ["\"/t", "mp"]].map(|pieces| pieces.concat());
    let mut findings = Vec::new();
    for File { path, text } in files {
        for (index, line) in text.lines().enumerate() {
            findings.extend(words.iter().filter(|word| line.contains(*word)).map(|word| format!("{path}:{}: {word}", index + 1)));
        }
    }
    findings
}

/// Pages that the summary does not list, and links that lead nowhere.
fn lost_pages(pages: &[File], exists: impl Fn(&str) -> bool) -> Vec<String> {
    const SUMMARY: &str = "docs/SUMMARY.md";
    let mut findings = Vec::new();
    let mut listed = BTreeSet::from([SUMMARY.to_owned()]);
    for page in pages {
        for (number, target) in links(&page.text) {
            let target = resolve(&page.path, target);
            if !exists(&target) {
                findings.push(format!("{}:{number}: the link leads to {target}, which does not exist", page.path));
            }
            if page.path == SUMMARY {
                listed.insert(target);
            }
        }
    }
    let unlisted = pages.iter().filter(|page| page.path.starts_with("docs/") && !listed.contains(&page.path));
    findings.extend(unlisted.map(|page| format!("{}:1: {SUMMARY} does not list this page", page.path)));
    findings
}

/// The relative targets of `[…](…)`, with their lines; not those in code blocks.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    let mut code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            code = !code;
        }
        if code {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let Some((target, _)) = around(line, at, "](").1.split_once(')') else { continue };
            let target = target.split_once('#').map_or(target, |(file, _)| file);
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                links.push((index + 1, target));
            }
        }
    }
    links
}

/// A relative target as seen from the package's folder.
fn resolve(page: &str, target: &str) -> String {
    let mut place: Vec<&str> = page.split('/').collect();
    place.pop();
    for step in target.split('/') {
        match step {
            "." | "" => {}
            ".." => drop(place.pop()),
            step => place.push(step),
        }
    }
    place.join("/")
}

// === The package ===

const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

/// All files below a folder whose names end so.
fn read(folder: &str, ending: &str) -> Vec<File> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(Path::new(PACKAGE).join(&folder)) else { continue };
        for entry in entries {
            let entry = entry.unwrap();
            let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.ends_with(ending) {
                files.push(File { text: fs::read_to_string(entry.path()).unwrap(), path });
            }
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files
}

fn sources() -> Vec<File> {
    let sources = read("src", ".rs");
    assert!(sources.len() > 20, "the sources should be found below {PACKAGE}");
    sources
}

fn all_rust() -> Vec<File> {
    [sources(), read("tests", ".rs"), read("benches", ".rs")].into_iter().flatten().collect()
}

fn pages() -> Vec<File> {
    let mut pages = read("docs", ".md");
    for name in ["README.md", "CHANGELOG.md"] {
        pages.extend(fs::read_to_string(Path::new(PACKAGE).join(name)).map(|text| File::new(name, &text)));
    }
    pages
}

#[track_caller]
fn none(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn imports_go_down_only() {
    none(&climbing_imports(&sources()));
}

#[test]
fn crates_stay_inside_their_fences() {
    none(&crates_over_fences(&sources()));
}

#[test]
fn files_are_short_and_say_what_they_are() {
    none(&shapeless_files(&all_rust()));
}

#[test]
fn nothing_is_left_over() {
    let others = [read("config", ".yaml"), read(".ci", ""), pages()].into_iter().flatten();
    let files: Vec<File> = all_rust().into_iter().chain(others).collect();
    none(&leftovers(&files));
}

#[test]
fn pages_are_listed_and_links_lead_somewhere() {
    none(&lost_pages(&pages(), |path| Path::new(PACKAGE).join(path).exists()));
}

// === The checks can fail ===

#[test]
fn an_import_that_climbs_is_found() {
    #[track_caller]
    fn check(path: &str, text: &str, expected: &[&str]) {
        assert_eq!(climbing_imports(&[File::new(path, text)]), expected, "{path}: {text}");
    }
    check("src/store/rows.rs", "use crate::token::Keys;", &["src/store/rows.rs:1: store -> token"]);
    check("src/store.rs", "\nfn f() { crate::http::serve() }", &["src/store.rs:2: store -> http"]);
    check("src/authn.rs", "use crate::{\n    clock::Clock,\n    authz::{Policy, http},\n};", &["src/authn.rs:1: authn -> authz"]);
    check("src/authn/ldap/wire.rs", "use super::super::super::app::App;", &["src/authn/ldap/wire.rs:1: authn -> app"]);
    check("src/source/yaml.rs", "use crate::clock::Clock;", &["src/source/yaml.rs:1: source -> clock"]);
    check("src/http/token.rs", "use crate::cli::Serve;", &["src/http/token.rs:1: http -> cli"]);
    check("src/elsewhere.rs", "", &["src/elsewhere.rs:1: module `elsewhere` is in no layer"]);
    check("src/http/token.rs", "use crate::issue::Issuer;\nuse crate::http::error::Failure;", &[]);
    check("src/authn/ldap/wire.rs", "use super::super::http;\n// use crate::app::App;\nuse narrows_crate::app;", &[]);
    check("src/main.rs", "use narrows::cli;", &[]);
}

#[test]
fn a_crate_over_its_fence_is_found() {
    #[track_caller]
    fn check(path: &str, text: &str, expected: &[&str]) {
        assert_eq!(crates_over_fences(&[File::new(path, text)]), expected, "{path}: {text}");
    }
    check("src/issue.rs", "use axum::Router;", &["src/issue.rs:1: axum is outside its fence"]);
    check("src/authn/file.rs", "fn f(e: ldap3::LdapError) {}", &["src/authn/file.rs:1: ldap3 is outside its fence"]);
    check("src/authz/decide.rs", "use moka;", &["src/authz/decide.rs:1: moka is outside its fence"]);
    check("src/config.rs", "use ::serde_yaml::Value;", &["src/config.rs:1: serde_yaml is outside its fence"]);
    check("src/http_client.rs", "use axum::Router;", &["src/http_client.rs:1: axum is outside its fence"]);
    check("src/http/token.rs", "use axum::Router;", &[]);
    check("src/issue.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n    use axum::Router;\n}", &[]);
    let tests = File::new("src/issue/damage.rs", "use sqlx::query;");
    assert_eq!(crates_over_fences(&[File::new("src/issue.rs", "#[cfg(test)]\nmod damage;"), tests]), [""; 0]);
    let product = File::new("src/issue/damage.rs", "use sqlx::query;");
    assert_eq!(crates_over_fences(&[File::new("src/issue.rs", "mod damage;"), product]).len(), 1);
    check("src/issue.rs", "// axum::Router is not known here\nuse my_axum::x; let a = b.axum;", &[]);
}

#[test]
fn a_shapeless_file_is_found() {
    let long = format!("//! Long.\n{}", "fn f() {}\n".repeat(MAX_LINES));
    let tests = format!("//! Short.\n#[cfg(test)]\n{}", "fn f() {}\n".repeat(MAX_LINES));
    let files = [
        File::new("src/a.rs", &long),
        File::new("src/b.rs", &tests),
        File::new("src/c.rs", "use x;"),
        File::new("src/d/utils.rs", "//! D."),
    ];
    assert_eq!(
        shapeless_files(&files),
        [
            "src/a.rs:501: over 500 lines without its tests; split it by idea",
            "src/c.rs:1: the first line should say in `//! …` what the file is for",
            "src/d/utils.rs:1: the name `utils` says nothing",
        ]
    );
}

#[test]
fn a_leftover_is_found() {
    let text = ["fn f() {}\n// TO", "DO: more\n"].concat();
    assert_eq!(leftovers(&[File::new("src/a.rs", &text)]).len(), 1);
    assert_eq!(leftovers(&[File::new("src/a.rs", "fn f() {}\n")]).len(), 0);
}

#[test]
fn a_lost_page_is_found() {
    let pages = [
        File::new("docs/SUMMARY.md", "- [One](one.md)\n- [Gone](gone.md)\n- [Web](https://example.test/x)"),
        File::new("docs/one.md", "[up](../README.md) [down](deep/two.md#part) [here](#part)\n```\n[code](none.md)\n```"),
        File::new("docs/deep/two.md", "[back](../one.md)"),
    ];
    let exists = |path: &str| ["docs/SUMMARY.md", "docs/one.md", "docs/deep/two.md", "README.md"].contains(&path);
    assert_eq!(
        lost_pages(&pages, exists),
        [
            "docs/SUMMARY.md:2: the link leads to docs/gone.md, which does not exist",
            "docs/deep/two.md:1: docs/SUMMARY.md does not list this page",
        ]
    );
}
