//! Servers that end when their value is dropped or the test process dies, whichever comes first.

use std::fs;
use std::io::{Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::Duration;

use super::wait;

/// Starts the server and waits for it. Its own standard input is a pipe of the test process: when that pipe closes, it
/// ends the server by its id and removes the server's folder. Values in a `static` are never dropped, so this is
/// what cleans up after a lab that several tests share.
const KEEPER: &str = r#"
folder=$1; shift
exec 3<&0
"$@" </dev/null 3<&- >"$folder/stdout" 2>"$folder/stderr" &
server=$!
echo "$server" >"$folder/pid.new" && mv "$folder/pid.new" "$folder/pid"
( read -r _ <&3; kill "$server" 2>/dev/null ) >/dev/null 2>&1 &
watcher=$!
wait "$server"; status=$?
echo "$status" >"$folder/status"
kill "$watcher" 2>/dev/null
cat <&3 >/dev/null
[ -e "$folder/keep" ] || rm -rf -- "$folder"
"#;

/// A running server with its folder.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    folder: PathBuf,
    keeper: Child,
    life_line: Option<ChildStdin>,
}

/// A folder that a server will own.
pub fn folder() -> PathBuf {
    tempfile::Builder::new().prefix("narrows-it-").tempdir().expect("a temporary folder").keep()
}

impl Server {
    /// Starts `program` with `folder` as its own; stdout and stderr go to files in there.
    pub fn start(name: &'static str, folder: PathBuf, program: &Path, arguments: &[&str]) -> Self {
        Self::start_with(name, folder, program, arguments, &[])
    }

    /// The same, with environment variables.
    pub fn start_with(name: &'static str, folder: PathBuf, program: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut keeper = Command::new("/bin/sh")
            .arg("-c")
            .arg(KEEPER)
            .arg("keeper")
            .arg(&folder)
            .arg(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C in a terminal reaches the test process alone; the closed pipe then ends the rest in order.
            .process_group(0)
            .spawn()
            .expect("a shell starts");
        let life_line = keeper.stdin.take();
        Self { name, folder, keeper, life_line }
    }

    /// The folder that it was given.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        fs::read(self.folder.join("stderr")).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// What it wrote to stdout so far.
    pub fn stdout(&self) -> String {
        fs::read(self.folder.join("stdout")).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Its exit status, once it has ended by itself.
    pub fn status(&self) -> Option<i32> {
        fs::read_to_string(self.folder.join("status")).ok()?.trim().parse().ok()
    }

    /// Its process id.
    pub fn id(&self) -> Option<u32> {
        fs::read_to_string(self.folder.join("pid")).ok()?.trim().parse().ok()
    }

    /// Sends a signal such as `HUP` or `TERM`.
    pub fn signal(&self, signal: &str) {
        let id = self.id().expect("the server was started").to_string();
        let sent = Command::new("/bin/kill").args(["-s", signal, &id]).status().expect("kill runs");
        assert!(sent.success(), "{} took no SIG{signal}; it wrote:\n{}", self.name, self.stderr());
    }

    /// Waits until `ask` succeeds; fails with what the server wrote when it does not, or ended before.
    #[track_caller]
    pub fn ready<F>(&self, mut ask: impl FnMut() -> F) -> impl Future<Output = ()>
    where
        F: Future<Output = Result<(), String>>,
    {
        wait::until(Duration::from_mins(1), move || {
            if let Some(status) = self.status() {
                panic!("{} ended with {status} before it was ready; it wrote:\n{}{}", self.name, self.stdout(), self.stderr());
            }
            let asked = ask();
            async move { asked.await.map_err(|state| format!("{} is not ready: {state}; it wrote:\n{}", self.name, self.stderr())) }
        })
    }

    /// Ends it, but leaves its folder to whoever calls.
    pub fn end(self) -> PathBuf {
        let folder = self.folder.clone();
        let keep = folder.join("keep");
        fs::write(&keep, "").expect("the folder of the server takes a file");
        drop(self);
        for left in ["keep", "pid", "status"] {
            fs::remove_file(folder.join(left)).expect("the keeper left its files");
        }
        folder
    }

    /// Waits until it has ended by itself and tells its status.
    pub async fn ended(&self) -> i32 {
        wait::until(Duration::from_mins(1), async || self.status().ok_or_else(|| format!("{} is still running", self.name))).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.life_line.take());
        if self.keeper.wait().is_err() {
            eprintln!("the keeper of {} could not be waited for", self.name);
        }
    }
}

/// What a client's command ended with.
#[derive(Debug)]
pub struct Ran {
    /// The command, without what it read.
    pub command: String,
    /// Whether it exited with 0.
    pub success: bool,
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Ran {
    /// Both outputs, as a person at a terminal sees them.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Fails unless it succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.success, "should succeed: {}", self.told());
        self
    }

    /// Fails unless it failed and said all of `words`.
    #[track_caller]
    pub fn refused(self, words: &[&str]) -> Self {
        assert!(!self.success, "should be refused: {}", self.told());
        self.says(words)
    }

    /// Fails unless it said all of `words`.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        let text = self.text();
        for word in words {
            assert!(text.contains(word), "should say `{word}`: {}", self.told());
        }
        self
    }

    fn told(&self) -> String {
        format!("{} exited with {:?}\n{}", self.command, self.code, self.text())
    }
}

/// Runs a client to its end, with `input` on its standard input, for at most two minutes.
pub async fn run(program: &str, arguments: &[&str], environment: &[(&str, &str)], input: &[u8]) -> Ran {
    let told = format!("{program} {}", arguments.join(" "));
    // A file instead of a pipe: a client that ends before it has read all is not an error of the test.
    let mut stdin = tempfile::tempfile().expect("a temporary file");
    stdin.write_all(input).expect("the temporary file takes the input");
    stdin.rewind().expect("the temporary file rewinds");
    let output =
        tokio::process::Command::new(program).args(arguments).envs(environment.iter().copied()).stdin(stdin).kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_mins(2), output).await;
    let Output { status, stdout, stderr } =
        output.unwrap_or_else(|_| panic!("still running after two minutes: {told}")).unwrap_or_else(|error| panic!("{told}: {error}"));
    Ran {
        command: told,
        success: status.success(),
        code: status.code(),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}
