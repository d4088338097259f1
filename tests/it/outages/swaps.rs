//! A thousand rule files are swapped in under load, most of them bad: nothing fails, and no answer is of two generations.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::ruled::{self, Ruled};

const SWAPS: usize = 1000;
const CLIENTS: usize = 24;
/// Between two swaps: less than two looks, so that most are over before they count.
const HASTE: Duration = Duration::from_millis(10);
/// After so many swaps one stands still for a while.
const REST_EVERY: usize = 12;
/// Long enough for two looks at `reload: {every: 100ms}`.
const REST: Duration = Duration::from_millis(350);
/// After so many a good one is waited for.
const GOOD_EVERY: usize = 50;

const SCOPES: [&str; 2] = ["repository:left/x:pull,push", "repository:right/x:pull,push"];

/// Two rule files that differ in two repositories at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Variant {
    Left,
    Right,
}

impl Variant {
    fn of(step: usize) -> Self {
        if step.is_multiple_of(2) { Self::Left } else { Self::Right }
    }

    /// One flow mapping, so that no part of the file is a file of rules.
    fn rules(self) -> String {
        let (push, pull) = match self {
            Self::Left => ("left", "right"),
            Self::Right => ("right", "left"),
        };
        format!(
            "{{version: 1, rules: [\n  {{name: push, to: {{group: dev}}, allow: contributor, repository: \"{push}/**\"}},\n  {{name: pull, to: \
             {{group: dev}}, allow: viewer, repository: \"{pull}/**\"}}]}}\n"
        )
    }

    /// What alice is granted by it.
    fn granted(self) -> &'static str {
        match self {
            Self::Left => "repository:left/x:pull,push repository:right/x:pull",
            Self::Right => "repository:left/x:pull repository:right/x:pull,push",
        }
    }

    /// Which one granted this; anything else is of two generations or of none.
    fn that_granted(granted: &str) -> Self {
        let found = [Self::Left, Self::Right].into_iter().find(|variant| variant.granted() == granted);
        found.unwrap_or_else(|| panic!("no rules grant `{granted}`"))
    }
}

#[derive(Default)]
struct Seen {
    left: AtomicUsize,
    right: AtomicUsize,
    stop: AtomicBool,
}

/// The file that is swapped, and how.
struct Swapper {
    rules: PathBuf,
    folder: PathBuf,
}

impl Swapper {
    /// Whatever stands there goes.
    fn clear(&self) {
        if fs::remove_file(&self.rules).is_err() {
            let _ = fs::remove_dir_all(&self.rules);
        }
    }

    fn replace(&self, bytes: &[u8]) {
        if self.rules.is_dir() {
            self.clear();
        }
        let new = self.folder.join("rules.new");
        fs::write(&new, bytes).unwrap();
        fs::rename(new, &self.rules).unwrap();
    }

    /// In place, as an editor or a full disk leaves a file.
    fn overwrite(&self, bytes: &[u8]) {
        if self.rules.is_dir() {
            self.clear();
        }
        fs::write(&self.rules, bytes).unwrap();
    }

    fn link(&self, step: usize, bytes: &[u8]) {
        if self.rules.is_dir() {
            self.clear();
        }
        let (target, new) = (format!("target-{step}"), self.folder.join("link.new"));
        fs::write(self.folder.join(&target), bytes).unwrap();
        symlink(target, &new).unwrap();
        fs::rename(new, &self.rules).unwrap();
    }

    /// One swap; what kind it was.
    async fn swap(&self, step: usize) -> &'static str {
        let good = Variant::of(step / 3).rules();
        let good = good.as_bytes();
        let cut = |step: usize| &good[..=step * 7 % (good.len() - 4)];
        match step * 31 % 13 {
            0 | 1 => {
                self.replace(good);
                "renamed"
            }
            2 => {
                self.overwrite(cut(step));
                "truncated in place"
            }
            3 => {
                self.clear();
                "deleted"
            }
            4 => {
                self.replace(good);
                fs::set_permissions(&self.rules, Permissions::from_mode(0o000)).unwrap();
                "closed to all"
            }
            5 => {
                self.link(step, good);
                "linked"
            }
            6 => {
                self.link(step, cut(step));
                "linked to a part"
            }
            7 => {
                self.replace(&(0..=u8::MAX).map(|byte| byte.rotate_left(3) | 0x80).collect::<Vec<_>>());
                "bytes that are no text"
            }
            8 => {
                let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n".to_owned();
                self.replace((if step.is_multiple_of(2) { bomb } else { "[".repeat(200_000) }).as_bytes());
                "a bomb"
            }
            9 => {
                self.half_written(good).await;
                "written in two halves"
            }
            10 => {
                self.replace(Variant::Left.rules().replace("allow", "alow").as_bytes());
                "misspelt"
            }
            11 => {
                self.overwrite(b"");
                "emptied"
            }
            _ => {
                self.clear();
                fs::create_dir(&self.rules).unwrap();
                "a folder"
            }
        }
    }

    async fn half_written(&self, good: &[u8]) {
        if self.rules.is_dir() {
            self.clear();
        }
        let (first, second) = good.split_at(good.len() / 2);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&self.rules).unwrap();
        file.write_all(first).unwrap();
        // Long enough for one look.
        sleep(Duration::from_millis(60)).await;
        file.write_all(second).unwrap();
    }
}

#[tokio::test]
async fn a_thousand_bad_rule_files_fail_no_request_and_mix_no_generations() {
    let site = ruled::site("rules: rules.yaml\nreload: {every: 100ms}\nlog: {level: warn}").await;
    site.write("rules.yaml", &Variant::Left.rules());
    let lab = Arc::new(Ruled::serve(site).await);
    let seen = Arc::new(Seen::default());
    let mut load = JoinSet::new();
    for _ in 0..CLIENTS {
        let (lab, seen) = (Arc::clone(&lab), Arc::clone(&seen));
        load.spawn(async move {
            while !seen.stop.load(Ordering::Relaxed) {
                let counter = match Variant::that_granted(&lab.ask(&SCOPES).await) {
                    Variant::Left => &seen.left,
                    Variant::Right => &seen.right,
                };
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let folder = lab.site().folder().to_owned();
    let swapper = Swapper { rules: folder.join("rules.yaml"), folder: folder.clone() };
    let (began, mut kinds) = (Instant::now(), BTreeMap::<&str, usize>::new());
    for step in 0..SWAPS {
        if step.is_multiple_of(GOOD_EVERY) {
            let good = Variant::of(step / GOOD_EVERY);
            swapper.replace(good.rules().as_bytes());
            *kinds.entry("renamed").or_default() += 1;
            lab.says(|reload| reload["error"].is_null()).await;
            in_force(&lab, good).await;
        } else {
            *kinds.entry(swapper.swap(step).await).or_default() += 1;
        }
        if step.is_multiple_of(97) {
            lab.bridge.signal("HUP");
        }
        sleep(if step.is_multiple_of(REST_EVERY) { REST } else { HASTE }).await;
        assert!(load.try_join_next().is_none(), "a request failed at step {step}: {}", lab.bridge.log());
    }
    swapper.replace(Variant::Right.rules().as_bytes());
    in_force(&lab, Variant::Right).await;
    let took = began.elapsed();
    seen.stop.store(true, Ordering::Relaxed);
    while let Some(ended) = load.join_next().await {
        ended.expect("no request fails");
    }
    let (left, right) = (seen.left.load(Ordering::Relaxed), seen.right.load(Ordering::Relaxed));
    let (loaded, refused) =
        (lab.metric("narrows_reloads_total{outcome=\"loaded\"}").await, lab.metric("narrows_reloads_total{outcome=\"refused\"}").await);
    let generations = generations(&folder);
    eprintln!(
        "measured: {SWAPS} swaps in {took:.1?} ({kinds:?}), {loaded} loaded, {refused} refused; {} answers: {left} by one, {right} by the other, \
         of {generations} generations",
        left + right
    );
    assert!(
        left > SWAPS && right > SWAPS && loaded >= 15 && refused >= 15,
        "the load should see both: {left}, {right}, {loaded}, {refused}"
    );
    assert!(took < Duration::from_mins(2), "{took:?}");
    let log = lab.bridge.log();
    assert!(!log.contains("panicked"), "{log}");
}

async fn in_force(lab: &Ruled, variant: Variant) {
    crate::labs::wait::until(ruled::TAKEN, async || {
        let found = Variant::that_granted(&lab.ask(&SCOPES).await);
        if found == variant { Ok(()) } else { Err(format!("{found:?} is in force; {}", lab.bridge.log())) }
    })
    .await;
}

/// How many generations the audit names. Each of them granted by the rules of one file.
fn generations(folder: &Path) -> usize {
    let audit = fs::read_to_string(folder.join("audit.jsonl")).unwrap();
    let mut generations = BTreeMap::new();
    for line in audit.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        let granted: Vec<&str> = event["granted"].as_array().unwrap().iter().map(|scope| scope.as_str().unwrap()).collect();
        let variant = Variant::that_granted(&granted.join(" "));
        let generation = event["generation"].as_u64().unwrap();
        assert_eq!(*generations.entry(generation).or_insert(variant), variant, "generation {generation} is of two files: {line}");
    }
    generations.len()
}

/// As Kubernetes does it with a `ConfigMap`.
#[tokio::test]
async fn the_swap_of_a_mounted_folder_is_taken() {
    let site = ruled::site("rules: mount/rules.yaml\nreload: {every: 100ms}").await;
    let mount = site.folder().join("mount");
    let publish = |version: &str, variant: Variant| {
        let own = mount.join(format!("..{version}"));
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("rules.yaml"), variant.rules()).unwrap();
        symlink(own.file_name().unwrap(), mount.join("..data_tmp")).unwrap();
        fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    };
    publish("one", Variant::Left);
    symlink("..data/rules.yaml", mount.join("rules.yaml")).unwrap();
    let lab = Ruled::serve(site).await;
    in_force(&lab, Variant::Left).await;
    publish("two", Variant::Right);
    fs::remove_dir_all(mount.join("..one")).unwrap();
    in_force(&lab, Variant::Right).await;
    assert!(lab.reload_status().await["error"].is_null());
}
