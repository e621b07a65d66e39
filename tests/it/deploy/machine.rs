//! A Debian of its own, booted by its own systemd in namespaces of this machine; only the
//! network is shared. `tests/run` makes its files, `target/debian.tar`, once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::tools::{output, root, said};
use crate::support::process::wait_until;

/// A booted machine; it ends when this is dropped.
pub(super) struct Machine {
    init: Child,
    group: PathBuf,
    folder: tempfile::TempDir,
}

/// Becomes the first process of a machine whose files are in `$1`, in a control group of
/// its own, `$2`, which it takes for the topmost.
const BOOT: &str = r#"
echo $$ >"$2/cgroup.procs"
exec unshare --mount --pid --ipc --uts --cgroup --fork --kill-child sh -e -c '
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount --rbind /dev dev
# Not chroot, out of which no unit could have users of its own.
pivot_root . mnt
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -e -c "
umount -l /mnt
exec /lib/systemd/systemd --system --unit=multi-user.target --show-status=no
"
' sh "$1"
"#;

impl Machine {
    /// Boots it, and waits until it is up.
    #[track_caller]
    pub(super) fn boot() -> Machine {
        let archive = root("target/debian.tar");
        assert!(archive.is_file(), "target/debian.tar is missing: tests/run makes it");
        let folder = tempfile::tempdir().expect("a folder");
        let mut tar = Command::new("tar");
        output(tar.arg("-xf").arg(archive).arg("-C").arg(folder.path()));
        let hierarchies = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let top = hierarchies.into_iter().find(|path| path.join("cgroup.procs").is_file());
        let group = top.expect("control groups").join(format!("tidegauge-{}", std::process::id()));
        fs::create_dir_all(&group).expect("a control group");
        let init = Command::new("sh")
            .args(["-e", "-c", BOOT, "sh"])
            .args([folder.path(), &group])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let machine = Machine { init, group, folder };
        let state = || machine.said(&["systemctl", "is-system-running"]).1;
        wait_until(
            Duration::from_secs(60),
            || ["running", "degraded"].contains(&state().trim()).then_some(()),
            || format!("it is not up: {}", state()),
        );
        machine
    }

    /// Its files.
    pub(super) fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside.trim_start_matches('/'))
    }

    fn first(&self) -> String {
        let children = format!("/proc/{0}/task/{0}/children", self.init.id());
        let children = fs::read_to_string(children).unwrap_or_default();
        children.split_whitespace().next().unwrap_or_default().to_owned()
    }

    /// Whether a command in it succeeded, and what it said.
    pub(super) fn said(&self, command: &[&str]) -> (bool, String) {
        let mut enter = Command::new("nsenter");
        enter.args(["--target", &self.first(), "--mount", "--pid", "--ipc", "--uts", "--cgroup"]);
        enter.args(["--wd=/"]).args(command);
        enter.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        said(enter.env("DEBIAN_FRONTEND", "noninteractive"))
    }

    /// Runs a command in it; what it said, or a panic.
    #[track_caller]
    pub(super) fn run(&self, command: &[&str]) -> String {
        let (done, text) = self.said(command);
        assert!(done, "{command:?}: {text}\n{}", self.journal());
        text
    }

    /// The newest lines of its journal.
    pub(super) fn journal(&self) -> String {
        self.said(&["journalctl", "--no-pager", "--lines=40"]).1
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.init.kill();
        let _ = self.init.wait();
        // Whatever was in it has ended with its first process; groups go from below.
        let gone = || {
            let _ = Command::new("find")
                .arg(&self.group)
                .args(["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"])
                .stderr(Stdio::null())
                .status();
            (!self.group.exists()).then_some(())
        };
        for _ in 0..50 {
            if gone().is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
