//! Exact outputs over one rule file, and the examples that operators read.

use std::path::PathBuf;

use clap::Parser;

use super::*;

const RULES: &str = r#"version: 1
realm: corp
reserved: [prod, base]
groups:
  data: ["CN=GG Data,OU=teams,DC=corp"]
rules:
  - name: base images are public
    to: anyone
    allow: viewer
    repository: base/**
  - name: a team owns its namespace
    to: {group: "registry-{team}"}
    allow: contributor
    repository: "{team}/**"
  - name: by organizational unit
    to: {group: "CN=images-{team},OU=Registry,DC=corp"}
    allow: owner
    repository: "{team}/**"
  - name: releasers work on production
    to: [{group: releasers}, {realm: robots, user: breakglass}]
    allow: contributor
    repository: prod/**
  - name: production is pushed by releasers
    to: anyone
    deny: [push, delete]
    repository: prod/**
    except: {group: releasers}
  - {to: {group: data}, allow: contributor, repository: data/**}
  - {to: {group: "{a}-{b}"}, allow: viewer, repository: "{a}/{b}"}
"#;

const CONFIG: &str = r"
listen: 127.0.0.1:5001
services: [{name: registry.corp.example}]
rules: rules.yaml
providers:
  - {name: robots, names: [breakglass], file: {path: there-is-no-such-file.yaml}}
  - name: staff
    names: [a]
    realm: corp
    ignore_case: true
    file: {path: there-is-no-such-file.yaml}
";

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: ExplainArgs,
}

struct Told {
    out: String,
    talk: String,
    code: ExitCode,
}

struct Scene(tempfile::TempDir);

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("rules.yaml"), RULES).unwrap();
        std::fs::write(folder.path().join("narrows.yaml"), CONFIG).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn try_run(&self, file: &str, words: &[&str]) -> anyhow::Result<Told> {
        let option = if file == "narrows.yaml" { "--config" } else { "--rules" };
        let path = self.path(file);
        let line = [&["explain", option, path.to_str().unwrap()], words].concat();
        let args = Line::try_parse_from(line)?.args;
        let (mut out, mut talk) = (Vec::new(), Vec::new());
        let code = explain(&args, &mut out, &mut talk)?;
        // The folder has another name each time.
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(&format!("{}/", self.0.path().display()), "");
        Ok(Told { out: text(out), talk: text(talk), code })
    }

    fn run(&self, file: &str, words: &[&str]) -> Told {
        self.try_run(file, words).unwrap()
    }

    #[track_caller]
    fn check(&self, words: &[&str], code: u8, expected: &str) {
        let told = self.run("rules.yaml", words);
        assert_eq!(told.out, expected, "{words:?}");
        assert_eq!(told.code, ExitCode::from(code), "{words:?}");
        assert_eq!(told.talk, "", "{words:?}");
    }

    #[track_caller]
    fn refuses(&self, file: &str, words: &[&str], expected: &str) {
        let error = self.try_run(file, words).map(|told| told.out).unwrap_err();
        assert!(format!("{error:#}").contains(expected), "{words:?}: {error:#}");
    }
}

#[test]
fn each_action_has_its_rule_or_what_is_missing() {
    Scene::new().check(
        &["--user", "alice", "--group", "registry-payments", "--scope", "repository:payments/api:pull,push,delete"],
        1,
        "repository:payments/api:pull,push,delete
  granted  pull    by `a team owns its namespace` (rules.yaml:11)
  granted  push    by `a team owns its namespace` (rules.yaml:11)
  refused  delete  no rule allows it
           rules that allow delete there:
             `by organizational unit` (rules.yaml:15) for group cn=images-{team},ou=Registry,dc=corp
token: repository:payments/api:pull,push
",
    );
}

#[test]
fn a_deny_and_a_rule_without_a_name_are_named() {
    Scene::new().check(
        &["--user", "breakglass", "--realm", "robots", "--scope", "repository:prod/api:* repository:data/x:pull"],
        1,
        "repository:prod/api:*
  granted  pull    by `releasers work on production` (rules.yaml:19)
  refused  push    denied by `production is pushed by releasers` (rules.yaml:23)
           it makes way for group releasers
  refused  delete  denied by `production is pushed by releasers` (rules.yaml:23)
           it makes way for group releasers
repository:data/x:pull
  refused  pull    no rule allows it
           rules that allow pull there:
             `a team owns its namespace` (rules.yaml:11) for group registry-{team}
             `by organizational unit` (rules.yaml:15) for group cn=images-{team},ou=Registry,dc=corp
             `rules.yaml:28` for group data
             `rules.yaml:29` for group {a}-{b}
token: repository:prod/api:pull
",
    );
}

#[test]
fn requests_without_credentials_are_explained_too() {
    let scene = Scene::new();
    scene.check(
        &["--anonymous", "--scope", "repository:base/debian:pull"],
        0,
        "repository:base/debian:pull
  granted  pull    by `base images are public` (rules.yaml:7)
token: repository:base/debian:pull
",
    );
    scene.check(
        &["--anonymous", "--scope", "repository:base/debian:delete", "--scope", "registry:catalog:*"],
        1,
        "repository:base/debian:delete
  refused  delete  no rule allows it
           no rule allows delete there to anybody
registry:catalog:*
  refused  *       no rule allows it
           no rule allows * there to anybody
token: nothing
",
    );
}

#[test]
fn a_group_with_an_equals_sign_is_a_dn() {
    let scene = Scene::new();
    scene.check(
        &["--user", "a", "--group", "cn=images-web, ou=registry, dc=corp", "--scope", "repository:web/x:delete"],
        0,
        "repository:web/x:delete
  granted  delete  by `by organizational unit` (rules.yaml:15)
token: repository:web/x:delete
",
    );
    let by_alias = ["--user", "a", "--group", "CN=GG Data,OU=teams,DC=corp", "--scope", "repository:data/x:push"];
    assert_eq!(scene.run("rules.yaml", &by_alias).code, ExitCode::SUCCESS);
    let by_name = scene.run("rules.yaml", &["--user", "a", "--group", "data", "--scope", "repository:data/x:push"]);
    assert_eq!(by_name.code, ExitCode::from(1));
    assert!(by_name.talk.starts_with("the group `data` matches nothing: the rules use that name as an alias"), "{}", by_name.talk);
    scene.refuses("rules.yaml", &["--user", "a", "--group", "CN=a,b", "--scope", "repository:a:pull"], "`CN=a,b` is no DN");
}

#[test]
fn what_is_not_known_is_the_reason_and_stands_once() {
    Scene::new().check(
        &["--user", "a", "--group", "x-y-z", "--scope", "repository:x/y-z:pull"],
        1,
        "repository:x/y-z:pull
  refused  pull    rule `rules.yaml:29`: a name has more than one way to be split over its captures, so it does not apply
token: nothing
",
    );
}

#[test]
fn what_is_no_scope_is_named_and_counts_as_not_granted() {
    let scene = Scene::new();
    let asked = "repository:base/x:pull,psh repository:base/X:pull  base/x:pull";
    let told = scene.run("rules.yaml", &["--anonymous", "--scope", asked]);
    assert_eq!(
        told.talk,
        "not granted: repository:base/X:pull: `X` is not a path component: lower-case letters and digits, joined by `.`, `_`, `__` or dashes
not granted: base/x:pull: a scope is `type:name:actions`
not granted: repository:base/x:pull,psh: `psh` is no action
"
    );
    assert!(told.out.ends_with("token: repository:base/x:pull\n"), "{}", told.out);
    assert_eq!(told.code, ExitCode::from(1));
}

#[test]
fn programs_read_the_same_as_json() {
    let scene = Scene::new();
    let words = ["--user", "a", "--group", "registry-web", "--scope", "repository:web/x:pull,delete nonsense", "--json"];
    let told = scene.run("rules.yaml", &words);
    let mut got: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    for file in ["/scopes/0/actions/0/by/0/file", "/scopes/0/actions/1/others/0/rule/file"] {
        assert_eq!(got.pointer_mut(file).unwrap().take(), "rules.yaml");
    }
    let expected = serde_json::json!({
        "granted": ["repository:web/x:pull"],
        "scopes": [{
            "scope": "repository:web/x:pull,delete",
            "actions": [
                {"action": "pull", "granted": true, "by": [{"name": "a team owns its namespace", "file": null, "line": 11}]},
                {"action": "delete", "granted": false, "reason": "no rule allows it", "others": [
                    {"rule": {"name": "by organizational unit", "file": null, "line": 15}, "to": "group cn=images-{team},ou=Registry,dc=corp"},
                ]},
            ],
            "notes": [],
        }],
        "dropped": [{"scope": "nonsense", "reason": "a scope is `type:name:actions`"}],
    });
    assert_eq!(got, expected);
    assert_eq!(told.code, ExitCode::from(1));
}

#[test]
fn a_configuration_says_how_names_compare_and_whose_they_are() {
    let scene = Scene::new();
    let upper = ["--user", "a", "--group", "REGISTRY-web", "--scope", "repository:web/x:push"];
    assert_eq!(scene.run("rules.yaml", &upper).code, ExitCode::from(1), "without a configuration case counts");
    let told = scene.run("narrows.yaml", &upper);
    assert_eq!((told.code, told.talk.as_str()), (ExitCode::SUCCESS, ""));
    let breakglass = ["--user", "breakglass", "--provider", "robots", "--scope", "repository:prod/x:pull"];
    assert_eq!(scene.run("narrows.yaml", &breakglass).code, ExitCode::SUCCESS);

    let asks = |more: &[&'static str]| [more, &["--user", "a", "--scope", "repository:a:pull"]].concat();
    scene.refuses("narrows.yaml", &asks(&["--realm", "lab"]), "no realm `lab`; it has corp, robots");
    scene.refuses("narrows.yaml", &asks(&["--provider", "sso"]), "no provider `sso`");
    scene.refuses(
        "narrows.yaml",
        &asks(&["--realm", "corp", "--provider", "robots"]),
        "the realm `corp` has no provider `robots`; it has staff",
    );
    scene.refuses("narrows.yaml", &asks(&["--service", "other"]), "no service `other`; it has registry.corp.example");
}

#[test]
fn a_service_is_explained_by_its_own_rules() {
    let scene = Scene::new();
    let config = CONFIG.replace("{name: registry.corp.example}", "{name: one}, {name: two, rules: own.yaml}");
    std::fs::write(scene.path("narrows.yaml"), config).unwrap();
    let own = "version: 1\nrealm: corp\nrules: [{name: own, to: anyone, allow: pull, repository: own/x}]\n";
    std::fs::write(scene.path("own.yaml"), own).unwrap();
    let ask = |service: &[&str], repository: &str| {
        let scope = format!("repository:{repository}:pull");
        let told = scene.run("narrows.yaml", &[service, &["--anonymous", "--scope", &scope]].concat());
        let token = told.out.lines().last().unwrap();
        token.split(", for 300 s").next().unwrap().to_owned()
    };
    for (service, base, own) in [
        (&[][..], "token: repository:base/x:pull", "token: nothing"),
        (&["--service", "one"], "token: repository:base/x:pull", "token: nothing"),
        (&["--service", "two"], "token: nothing", "token: repository:own/x:pull"),
    ] {
        assert_eq!((ask(service, "base/x").as_str(), ask(service, "own/x").as_str()), (base, own), "{service:?}");
    }
    // A mistake in the rules of another service is none here.
    std::fs::write(scene.path("rules.yaml"), "nothing").unwrap();
    assert_eq!(ask(&["--service", "two"], "own/x"), "token: repository:own/x:pull");
}

#[test]
fn rules_alone_may_leave_their_realm_open() {
    let scene = Scene::new();
    let rules = "version: 1\nrules:\n  - {to: {user: a}, allow: pull, repository: x}\n  - {to: {realm: lab, user: b}, allow: pull, repository: x}\n";
    std::fs::write(scene.path("open.yaml"), rules).unwrap();
    for (words, code) in [(&["--user", "a"][..], 0), (&["--user", "b"], 1), (&["--user", "b", "--realm", "lab"], 0)] {
        let told = scene.run("open.yaml", &[words, &["--scope", "repository:x:pull"]].concat());
        assert_eq!(told.code, ExitCode::from(code), "{words:?}: {}", told.out);
    }
}

#[test]
fn bad_usage_is_refused() {
    let scene = Scene::new();
    scene.refuses(
        "rules.yaml",
        &["--scope", "repository:a:pull"],
        "say who asks: --user NAME with a --group for each group, or --anonymous",
    );
    scene.refuses("rules.yaml", &["--user", "a"], "--scope");
    scene.refuses("rules.yaml", &["--user", "a", "--anonymous", "--scope", "x"], "cannot be used with");
    scene.refuses("rules.yaml", &["--anonymous", "--group", "g", "--scope", "x"], "cannot be used with");
    scene.refuses("rules.yaml", &["--user", "", "--scope", "x"], "--user");
    scene.refuses("rules.yaml", &["--user", "a", "--source", "here", "--scope", "x"], "--source");
    scene.refuses("missing.yaml", &["--anonymous", "--scope", "repository:a:pull"], "cannot read the file");
}

const UNLOCKS: &str = r"version: 1
realm: corp
reserved: []
rules:
  - {name: fresh, to: {group: releasers, mfa: {within: 12h}}, allow: contributor, repository: prod/**}
  - {name: office, to: authenticated, allow: pull, repository: shared/**, when: {source: [10.0.0.0/8]}}
  - {name: later, to: authenticated, allow: pull, repository: later, when: {from: 2035-01-01T00:00:00Z}}
  - {name: live, to: {group: live}, allow: [pull, push], repository: live, ttl: {push: 10m}}
";

/// A folder with users, rules that need more than a name, an audit, and a configuration of them.
fn furnished() -> Scene {
    let scene = Scene::new();
    let write = |name: &str, text: &str| std::fs::write(scene.path(name), text).unwrap();
    write("unlocks.yaml", UNLOCKS);
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$8yQzUxP1d8xj0uFdqVQqz4kqg3B7q8l1bC5bq1cJv0E";
    write("users.yaml", &format!("users:\n  - {{name: Alice, password: \"{hash}\", groups: [live, releasers]}}\n"));
    let providers = "providers: [{name: staff, realm: corp, ignore_case: true, file: {path: users.yaml}}]";
    write(
        "narrows.yaml",
        &format!("services: [{{name: reg}}]\nadmin_listen: 127.0.0.1:1\naudit: {{file: audit.jsonl}}\nrules: unlocks.yaml\n{providers}\n"),
    );
    let line = |id: &str, outcome: &str, name: &str, requested: &str, granted: &str| {
        format!(
            r#"{{"time":"2026-11-23T18:00:00Z","request_id":"{id}","outcome":"{outcome}","client":"10.1.2.3","service":"reg","realm":"corp","provider":"staff","subject":"x","username":{name},"proof":null,"cached":false,"requested":[{requested}],"granted":[{granted}],"refused":[],"rules":[],"generation":3,"jti":"t","latency_us":8,"client_trusted":true}}"#
        )
    };
    let mut lines = vec![line("r1", "granted", "\"Alice\"", "\"repository:live:pull,push\"", "\"repository:live:pull,push\"")];
    lines.extend((0..2000).map(|number| line(&format!("x{number}"), "empty", "\"bob\"", "\"repository:shared/x:pull\"", "")));
    lines.push(line("r2", "rejected", "\"hmac:00\"", "", ""));
    write("audit.jsonl", &lines.join("\n"));
    scene
}

#[test]
fn what_would_have_to_change_is_said() {
    let scene = furnished();
    let shows = |words: &[&str], expected: &str| {
        let told = scene.run("unlocks.yaml", words);
        assert!(told.out.contains(expected), "{words:?}\n{}", told.out);
    };
    let releaser = ["--user", "a", "--group", "releasers", "--scope", "repository:prod/x:push"];
    let again =
        "would be granted by `fresh` (unlocks.yaml:5): the login had no second factor, or one that is too old: log in again with it";
    shows(&[&releaser[..], &["--mfa", "none"]].concat(), again);
    shows(&[&releaser[..], &["--mfa", "13h"]].concat(), again);
    shows(&[&releaser[..], &["--mfa", "1h"]].concat(), "granted  push    by `fresh`");
    let away = ["--user", "a", "--source", "192.0.2.1", "--scope", "repository:shared/x:pull"];
    shows(&away, "would be granted by `office` (unlocks.yaml:6): the client's address is none of its `source`");
    let later = ["--user", "a", "--scope", "repository:later:pull", "--at"];
    shows(&[&later[..], &["2034-12-31T00:00:00Z"]].concat(), "would be granted by `later` (unlocks.yaml:7): at this time it does not hold");
    shows(&[&later[..], &["2035-01-01T00:00:00Z"]].concat(), "granted  pull    by `later`");
    let ci = "version: 1\nrealm: corp\nrules: [{name: ci, to: {provider: github, claims: {ref: main}}, allow: pull, repository: ci}]\n";
    std::fs::write(scene.path("ci.yaml"), ci).unwrap();
    let pipeline = ["--provider", "github", "--claim", "ref=main", "--scope", "repository:ci:pull"];
    assert_eq!(scene.run("ci.yaml", &pipeline).code, ExitCode::SUCCESS);
}

#[test]
fn a_provider_says_the_groups_and_the_service_how_long_a_token_lives() {
    let scene = furnished();
    let told = scene
        .run("narrows.yaml", &["--user", "alice", "--lookup", "staff", "--at", "2026-11-23T18:00:00Z", "--scope", "repository:live:push"]);
    assert!(told.talk.ends_with("staff found Alice: live, releasers\n"), "{}", told.talk);
    assert!(told.out.ends_with("token: repository:live:push, for 600 s, until 2026-11-23T18:10:00Z\n"), "{}", told.out);
    let asks = |user, lookup| ["--user", user, "--lookup", lookup, "--scope", "repository:live:push"];
    scene.refuses("narrows.yaml", &asks("carol", "staff"), "the provider has no user `carol`");
    scene.refuses("narrows.yaml", &asks("alice", "gone"), "no provider `gone`; it has staff");
    scene.refuses("unlocks.yaml", &asks("alice", "staff"), "name it with --config");
    let issuer = "{name: sso, realm: corp, oidc: {issuer: \"https://sso.example\", client: {id: x, secret: s3cret}}}";
    let text = format!("services: [{{name: reg}}]\npublic_url: https://auth.example\nrules: unlocks.yaml\nproviders: [{issuer}]\n");
    std::fs::write(scene.path("narrows.yaml"), text).unwrap();
    let words = "provider `sso` is an OIDC issuer, which tells groups only to who signs in: leave --lookup out, and name each with --group";
    scene.refuses("narrows.yaml", &asks("alice", "sso"), words);
}

#[test]
fn a_request_of_the_audit_is_explained() {
    let scene = furnished();
    let told = scene.run("narrows.yaml", &["--event", "r1", "--lookup", "staff"]);
    assert!(told.out.ends_with("event: the same was granted then\n"), "{}", told.out);
    assert!(told.talk.contains("request r1 at 2026-11-23T18:00:00Z by Alice from 10.1.2.3: granted\n"), "{}", told.talk);
    assert!(told.talk.contains("decided by generation 3; which one runs could not be asked"), "{}", told.talk);
    let told = scene.run("narrows.yaml", &["--event", "r1"]);
    assert!(told.out.ends_with("it was granted repository:live:pull,push\n"), "{}", told.out);
    assert!(told.talk.contains("the audit has no groups"), "{}", told.talk);
    // Address and time are those of the event.
    let told = scene.run("narrows.yaml", &["--event", "x7", "--group", "a", "--json"]);
    let read: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((&read["granted"][0], &read["event"]["same"]), (&"repository:shared/x:pull".into(), &false.into()));
    let told = scene.run("narrows.yaml", &["--event", "r2"]);
    assert_eq!((told.out.as_str(), told.code), ("no rule was asked\n", ExitCode::from(1)));
    scene.refuses("narrows.yaml", &["--event", "r3"], "has no request `r3`");
    scene.refuses("narrows.yaml", &["--event", "r1", "--user", "a"], "cannot be used with");
}

/// Every `narrows explain …` of a text, as a shell would cut it; a line that ends with a backslash goes on.
fn commands(text: &str) -> Vec<Vec<String>> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(|line| line.trim().trim_start_matches("$ ").trim_start_matches("target/debug/"));
    let lines = lines.filter(|line| line.starts_with("narrows explain "));
    lines.map(|line| line.split_whitespace().skip(1).map(|word| word.trim_matches('\'').to_owned()).collect()).collect()
}

#[test]
fn the_examples_of_help_and_documentation_are_understood() {
    let pages = [EXAMPLES, include_str!("../../../README.md"), include_str!("../../../docs/rules.md")];
    for page in pages {
        let commands = commands(page);
        assert!(!commands.is_empty(), "{page}");
        for command in commands {
            assert!(Line::try_parse_from(&command).is_ok(), "{command:?}");
        }
    }
}

#[test]
fn the_rules_page_prints_what_is_printed() {
    let page = include_str!("../../../docs/rules.md");
    let shown: Vec<&str> = page.split("```\n$ narrows explain ").skip(1).collect();
    assert_eq!(shown.len(), 2);
    for block in shown {
        let shipped = |word: &str| word.replace("config/rules.yaml", concat!(env!("CARGO_MANIFEST_DIR"), "/config/rules.yaml"));
        let words = commands(&format!("narrows explain {block}")).remove(0);
        let args = Line::try_parse_from(words.iter().map(|word| shipped(word))).unwrap().args;
        let mut out = Vec::new();
        explain(&args, &mut out, &mut io::sink()).unwrap();
        let out = String::from_utf8(out).unwrap().replace(concat!(env!("CARGO_MANIFEST_DIR"), "/"), "");
        assert!(block.contains(&format!("\n{out}```")), "{out}");
    }
}

#[test]
fn the_quickstart_explains_its_refusal() {
    let scene = Scene::new();
    std::fs::write(scene.path("quickstart.yaml"), include_str!("../../../config/quickstart-rules.yaml")).unwrap();
    let readme = commands(include_str!("../../../README.md")).remove(0);
    let words: Vec<&str> = readme.iter().skip(3).map(String::as_str).collect();
    let told = scene.run("quickstart.yaml", &words);
    assert_eq!(
        told.out,
        "repository:other/app:pull,push
  refused  pull    no rule allows it
           rules that allow pull there:
             `a team owns its namespace` (quickstart.yaml:21) for group registry-{team}
  refused  push    no rule allows it
           rules that allow push there:
             `a team owns its namespace` (quickstart.yaml:21) for group registry-{team}
token: nothing
"
    );
    assert_eq!((told.talk.as_str(), told.code), ("", ExitCode::from(1)));
}
