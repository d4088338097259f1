//! A terminal of its own for a program that talks with a person: what it shows is read while it runs, and something is typed.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin};
use tokio::task::JoinHandle;

use super::process::Ran;
use super::wait;

const PATIENCE: Duration = Duration::from_mins(1);

/// The terminal, with a program that runs at it.
#[derive(Debug)]
pub struct Terminal {
    command: String,
    child: Child,
    keys: ChildStdin,
    screen: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Terminal {
    /// Starts a command as a shell reads it, with nothing but these variables in its environment.
    pub fn open(environment: &[String], command: &str) -> Self {
        // The shell makes place, so that the exit code is the program's.
        Self::start(environment, command, &["script", "-qec", &format!("exec {command}"), "/dev/null"])
    }

    /// The same without a terminal: a pipe each way, as in a pipeline.
    pub fn missing(environment: &[String], command: &str) -> Self {
        Self::start(environment, command, &["sh", "-c", &format!("exec {command} 2>&1")])
    }

    fn start(environment: &[String], command: &str, words: &[&str]) -> Self {
        let mut child = tokio::process::Command::new("/usr/bin/env")
            .arg("-i")
            .args(environment)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a terminal opens");
        let keys = child.stdin.take().expect("it has keys");
        let mut shown = child.stdout.take().expect("it has a screen");
        let screen = Arc::new(Mutex::new(Vec::new()));
        let copy = Arc::clone(&screen);
        let reader = tokio::spawn(async move {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = shown.read(&mut part).await {
                copy.lock().unwrap().extend_from_slice(&part[..length]);
            }
        });
        Self { command: command.to_owned(), child, keys, screen, reader }
    }

    /// Waits until it shows these words, and tells all that it showed so far.
    #[track_caller]
    pub fn shows(&self, words: &str) -> impl Future<Output = String> {
        wait::until(PATIENCE, move || {
            let text = self.text();
            std::future::ready(if text.contains(words) { Ok(text) } else { Err(format!("no `{words}` from {}: {text}", self.command)) })
        })
    }

    /// Types a line.
    pub async fn types(&mut self, line: &str) {
        self.keys.write_all(format!("{line}\r").as_bytes()).await.expect("the terminal takes keys");
        self.keys.flush().await.expect("the terminal takes keys");
    }

    /// Waits for the end of the program. All that it showed is the standard output.
    pub async fn ends(mut self) -> Ran {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = status.unwrap_or_else(|_| panic!("{} does not end: {}", self.command, self.text())).expect("it can be waited for");
        self.reader.await.expect("the screen is read to its end");
        let stdout = String::from_utf8_lossy(&self.screen.lock().unwrap()).replace("\r\n", "\n");
        Ran { command: self.command, success: status.success(), code: status.code(), stdout, stderr: String::new() }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).replace("\r\n", "\n")
    }
}
