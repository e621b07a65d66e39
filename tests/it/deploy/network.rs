//! A network of its own with nothing but a loopback, and services in it as a container
//! engine would start them: each with its own view of the files, a name that the others
//! find, a user and an environment.
//!
//! It needs root, since only root may mount.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::tools::{root, said};
use crate::support::process::wait_until;

/// Whether this test may mount; says why not.
pub(super) fn may_mount() -> bool {
    let (root, _) = said(Command::new("sh").args(["-c", "[ $(id -u) = 0 ]"]));
    if !root {
        eprintln!("not tried: it mounts file systems, which needs root");
    }
    root
}

/// The network; it ends, with all services, when this is dropped.
pub(super) struct Network {
    holder: Child,
    services: Vec<Running>,
    folder: tempfile::TempDir,
}

struct Running {
    name: String,
    process: Child,
    log: PathBuf,
}

/// What is to run, and what it sees.
#[derive(Debug, Default)]
pub(super) struct Service {
    pub(super) name: String,
    /// `uid:gid`.
    pub(super) user: String,
    /// The program, by an absolute path, and its arguments.
    pub(super) command: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    /// Files and folders: from where, to where, and whether only to be read.
    pub(super) mounts: Vec<(PathBuf, String, bool)>,
    /// Whether everything else is only to be read.
    pub(super) read_only: bool,
    /// The whole of what it sees, instead of this machine's own files.
    pub(super) image: Option<PathBuf>,
}

/// Makes the view of the service, and starts it there. Arguments: a folder for mounts, the
/// files below, the repository, and the service's name; then FROM TO ro|rw for each mount,
/// `--`, and the command.
const START: &str = r#"
view=$1 below=$2 repository=$3 name=$4 whole=$5 user=$6
shift 6
hostname "$name"
mount --make-rprivate /
mount -t tmpfs tmpfs "$view"
mkdir "$view/up" "$view/work" "$view/root"
mount -t overlay overlay -o "lowerdir=$below,upperdir=$view/up,workdir=$view/work" "$view/root"
root=$view/root
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
if [ "$below" = / ]; then
  mkdir -p "$root$repository"
  mount --bind "$repository" "$root$repository"
fi
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$root${2%/*}"; touch "$root$2"; fi
  mount --bind "$1" "$root$2"
  if [ "$3" = ro ]; then mount -o remount,bind,ro "$root$2"; fi
  shift 3
done
shift
if [ "$whole" = ro ]; then mount -o remount,ro "$root"; fi
exec chroot --userspec="$user" "$root" "$@"
"#;

impl Network {
    /// Makes one in which these names lead to its loopback.
    #[track_caller]
    pub(super) fn start(names: &[String]) -> Network {
        let mut unshare = Command::new("unshare");
        unshare.args(["--net", "sh", "-c", "ip link set lo up && echo up && exec cat"]);
        Network::held_by(unshare, names)
    }

    /// No network of its own: services are on this machine's.
    #[track_caller]
    pub(super) fn of_this_machine() -> Network {
        let mut sh = Command::new("sh");
        sh.args(["-c", "echo up && exec cat"]);
        Network::held_by(sh, &[])
    }

    #[track_caller]
    fn held_by(mut holder: Command, names: &[String]) -> Network {
        let mut holder =
            holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell runs");
        let mut up = String::new();
        let output = holder.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut up).expect("a line");
        assert_eq!(up, "up\n", "the loopback is up (ip: apt-get install iproute2)");
        let folder = tempfile::tempdir().expect("a folder");
        let mut hosts = String::from("127.0.0.1 localhost\n");
        for (place, name) in names.iter().enumerate() {
            hosts.push_str(&format!("127.0.0.{} {name}\n", place + 2));
        }
        fs::write(folder.path().join("hosts"), hosts).expect("the hosts");
        Network { holder, services: Vec::new(), folder }
    }

    /// A folder that lives as long as the network.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    /// `nsenter` into it.
    fn inside(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.holder.id()));
        command
    }

    /// Starts a service.
    pub(super) fn run(&mut self, service: &Service) {
        let log = self.folder.path().join(format!("{}.log", service.name));
        let output = File::create(&log).expect("a log");
        let mut command = self.command(service);
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("a handle")).stderr(output);
        let process = command.spawn().expect("unshare runs");
        self.services.push(Running { name: service.name.clone(), process, log });
    }

    /// The command that starts a service.
    pub(super) fn command(&self, service: &Service) -> Command {
        let view = self.folder(&format!("{}.view", service.name));
        let below = service.image.clone().unwrap_or_else(|| PathBuf::from("/"));
        let mut command = self.inside();
        command.args(["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child"]);
        command.args(["sh", "-e", "-c", START, "sh"]);
        command.arg(view).arg(below).arg(root("")).arg(&service.name);
        command.args([if service.read_only { "ro" } else { "rw" }, &service.user]);
        let hosts = self.folder.path().join("hosts");
        let own = [(hosts, "/etc/hosts".to_owned(), true)];
        for (from, to, only_read) in own.iter().chain(&service.mounts) {
            command.arg(from).arg(to).arg(if *only_read { "ro" } else { "rw" });
        }
        command.arg("--").args(&service.command);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).envs(&service.environment);
        command
    }

    /// Status and body of a page in there; `None` while nobody answers.
    pub(super) fn get(&self, url: &str) -> Option<String> {
        let script = "import sys,urllib.request as r\nsys.stdout.write(r.urlopen(sys.argv[1],timeout=5).read().decode())";
        let (done, text) = said(self.inside().args(["python3", "-c", script, url]));
        done.then_some(text)
    }

    /// Waits until somebody listens on the port.
    #[track_caller]
    pub(super) fn wait_for_port(&mut self, port: u16, limit: Duration) {
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}");
        let listens = |network: &Network| said(network.inside().args(["bash", "-c", &script])).0;
        wait_until(limit, || listens(self).then_some(()), || self.logs());
    }

    /// Waits until `look` finds something in the page.
    #[track_caller]
    pub(super) fn wait_for<T>(
        &self,
        url: &str,
        limit: Duration,
        look: impl Fn(&str) -> Option<T>,
    ) -> T {
        wait_until(limit, || look(&self.get(url)?), || format!("{url}\n{}", self.logs()))
    }

    /// What every service has written, its last lines.
    pub(super) fn logs(&self) -> String {
        let mut text = String::new();
        for service in &self.services {
            let log = fs::read_to_string(&service.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().rev().take(12).collect();
            let lines: Vec<&str> = lines.into_iter().rev().collect();
            text.push_str(&format!("-- {}\n{}\n", service.name, lines.join("\n")));
        }
        text
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for process in self.services.iter_mut().map(|service| &mut service.process).rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Gives a folder to a user.
#[track_caller]
pub(super) fn give(folder: &Path, user: &str) {
    let (done, told) = said(Command::new("chown").arg("-R").arg(user).arg(folder));
    assert!(done, "{told}");
}
