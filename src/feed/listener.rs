//! The socket file: where it is, how it is created, and how it is removed.
//!
//! Neither the file nor a directory made for it is ever wider than configured, not even for a moment: the
//! process runs with a umask that leaves nothing to others, and rights are added once owner and group are
//! right.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr, getsockopt, setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::{AccessFlags, Gid, eaccess};

use crate::accept;
use crate::limits;

/// The directory that systemd makes, or root.
const SYSTEM_DIRECTORY: &str = "/run/lifecycle-exporter";
const FILE_NAME: &str = "events.sock";

/// A listening socket, and its file where it is ours to remove.
pub(crate) struct FeedSocket {
    /// Non-blocking.
    pub(crate) listener: UnixListener,
    /// The path, and device and inode of the file that we made there.
    file: Option<(PathBuf, (u64, u64))>,
    /// For people.
    pub(crate) shown: String,
}

impl FeedSocket {
    /// A socket that systemd passed; its file is systemd's.
    pub(crate) fn passed(listener: UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let path = listener.local_addr().ok().and_then(|address| address.as_pathname().map(Path::to_owned));
        let shown = path
            .map_or("a socket from systemd".to_owned(), |path| format!("{} (from systemd)", path.display()));
        Ok(FeedSocket { listener, file: None, shown })
    }
}

impl accept::Listener for FeedSocket {
    type Connection = UnixStream;

    fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().map(|(stream, _)| stream)
    }
}

impl AsFd for FeedSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for FeedSocket {
    /// Removes the file, unless it has become another's.
    fn drop(&mut self) {
        let Some((path, identity)) = &self.file else { return };
        let still_ours = fs::symlink_metadata(path).is_ok_and(|now| (now.dev(), now.ino()) == *identity);
        if still_ours && let Err(error) = fs::remove_file(path) {
            log::warn!("{}: cannot be removed: {error}", path.display());
        }
    }
}

/// Where producers find the feed: as configured, else the system's directory, else one of this user's own.
///
/// Makes the directory where it is missing. The error says what to do.
pub(crate) fn choose_path(configured: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(path) = configured {
        if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
            make_directory(directory, 0o755).map_err(|error| {
                format!("[events] socket: {} cannot be made: {error}", directory.display())
            })?;
        }
        return Ok(path.to_owned());
    }
    let system = Path::new(SYSTEM_DIRECTORY);
    if system.is_dir() || make_directory(system, 0o755).is_ok() {
        return Ok(system.join(FILE_NAME));
    }
    let own = own_directory()?;
    Ok(own.join(FILE_NAME))
}

/// Where a producer of this user looks for the feed, without making anything. What is found there, and not
/// configured, must not have been put there by another user: whoever listens there gets all events.
pub(crate) fn find_path(configured: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(path) = configured {
        return Ok(path.to_owned());
    }
    let mut candidates = vec![PathBuf::from(SYSTEM_DIRECTORY)];
    candidates.extend(runtime_directory());
    candidates.push(temporary_directory());
    let found = candidates.iter().find(|directory| directory.join(FILE_NAME).exists());
    let directory = found.unwrap_or(&candidates[0]);
    // Of a link, the owner is whoever made the link.
    let owner = fs::symlink_metadata(directory).map(|found| found.uid()).ok();
    let trusted = [0, nix::unistd::geteuid().as_raw()];
    match owner.filter(|owner| !trusted.contains(owner)) {
        Some(owner) => Err(format!(
            "{}: belongs to user id {owner}, expected a directory of root or of this user; nothing was sent \
             (--socket names another path)",
            directory.display()
        )),
        None => Ok(directory.join(FILE_NAME)),
    }
}

fn runtime_directory() -> Option<PathBuf> {
    let base = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR")?);
    (base.is_absolute() && base.is_dir()).then(|| base.join("lifecycle-exporter"))
}

fn temporary_directory() -> PathBuf {
    PathBuf::from(format!("/tmp/lifecycle-exporter-{}", nix::unistd::geteuid()))
}

fn own_directory() -> Result<PathBuf, String> {
    let directory = runtime_directory().unwrap_or_else(temporary_directory);
    let fail = |what: String| format!("{}: {what}; choose another place with --socket", directory.display());
    match make_directory(&directory, 0o700) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(fail(error.to_string())),
        _ => {}
    }
    check_own(&directory)?;
    Ok(directory)
}

/// In /tmp anyone could have made it first.
fn check_own(directory: &Path) -> Result<(), String> {
    let fail = |what: String| format!("{}: {what}; choose another place with --socket", directory.display());
    let found = fs::symlink_metadata(directory).map_err(|error| fail(error.to_string()))?;
    if !found.is_dir() || found.uid() != nix::unistd::geteuid().as_raw() || found.mode() & 0o077 != 0 {
        return Err(fail("expected a directory of this user that is closed to others".to_owned()));
    }
    Ok(())
}

/// Makes a directory that nobody else can enter, and opens it to `mode` when it is there.
fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Connects, and waits for room among those that want to for a limited time only.
pub(crate) fn connect(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let socket = socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::SendTimeout, &TimeVal::seconds(patience.as_secs() as i64))?;
    match socket::connect(socket.as_raw_fd(), &UnixAddr::new(path)?) {
        Ok(()) => Ok(UnixStream::from(socket)),
        Err(Errno::EAGAIN) => Err(io::Error::new(io::ErrorKind::TimedOut, "too many wait to be accepted")),
        Err(errno) => Err(errno.into()),
    }
}

/// A process that listens.
struct Listener {
    /// Unknown where it has no room for another connection.
    pid: Option<i32>,
}

/// What is at the path of the socket file.
enum Found {
    Nothing,
    /// A socket file that nobody answers.
    Stale,
    Listener(Listener),
}

/// Looks at the path of the socket file. What is no socket there is an error.
fn look_at(path: &Path) -> Result<Found, String> {
    let fail = |what: String| Err(format!("{}: {what}", path.display()));
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return fail(error.to_string()),
        Ok(found) if !found.file_type().is_socket() => {
            return fail("is there and no socket; expected a path for the socket file".to_owned());
        }
        Ok(_) => {}
    }
    match connect(path, limits::SOCKET_TRY) {
        Ok(stream) => {
            let peer = getsockopt(&stream, sockopt::PeerCredentials).ok();
            Ok(Found::Listener(Listener { pid: peer.map(|peer| peer.pid()) }))
        }
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(Found::Listener(Listener { pid: None })),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(Found::Stale),
        Err(error) => fail(format!("is there and cannot be tried: {error}")),
    }
}

fn taken(path: &Path) -> String {
    format!(
        "{}: another process listens there; stop it, or choose another path with --socket",
        path.display()
    )
}

/// Binds the socket file. A file that nobody answers is replaced; a live one is an error.
pub(crate) fn bind(path: &Path, mode: u32, group: Option<Gid>) -> Result<FeedSocket, String> {
    let fail = |what: String| format!("{}: {what}", path.display());
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Two exporters that start at once must not replace each other's file.
    let opened = File::open(directory).map_err(|error| fail(error.to_string()))?;
    // Held by somebody for good, it must not keep us from starting.
    let _lock = Flock::lock(opened, FlockArg::LockExclusiveNonblock);
    match look_at(path)? {
        Found::Nothing => {}
        Found::Listener(_) => return Err(taken(path)),
        Found::Stale => {
            log::info!("{}: nobody answers there, the file is replaced", path.display());
            fs::remove_file(path).map_err(|error| fail(format!("cannot be replaced: {error}")))?;
        }
    }
    let listener = UnixListener::bind(path)
        .map_err(|error| fail(format!("cannot be bound: {error}; choose another path with --socket")))?;
    let finish = || -> io::Result<(u64, u64)> {
        listener.set_nonblocking(true)?;
        if let Some(group) = group {
            std::os::unix::fs::chown(path, None, Some(group.as_raw()))?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        let made = fs::symlink_metadata(path)?;
        Ok((made.dev(), made.ino()))
    };
    match finish() {
        Ok(identity) => {
            let file = Some((path.to_owned(), identity));
            Ok(FeedSocket { listener, file, shown: path.display().to_string() })
        }
        Err(error) => {
            let _ = fs::remove_file(path);
            Err(fail(format!("mode or group cannot be set: {error}")))
        }
    }
}

/// What a start would meet where the socket file goes, without changing anything.
pub(crate) struct Probe {
    /// Where it goes.
    pub(crate) path: PathBuf,
    /// Why a start would fail there.
    pub(crate) fault: Option<String>,
    /// The process that listens there now.
    pub(crate) listener: Option<i32>,
}

/// Looks where [`choose_path`] and [`bind`] would make the socket.
pub(crate) fn probe(configured: Option<&Path>, group: Option<Gid>) -> Probe {
    let path = match configured {
        Some(path) => path.to_owned(),
        None if Path::new(SYSTEM_DIRECTORY).is_dir() || can_be_made(Path::new(SYSTEM_DIRECTORY)) => {
            Path::new(SYSTEM_DIRECTORY).join(FILE_NAME)
        }
        None => runtime_directory().unwrap_or_else(temporary_directory).join(FILE_NAME),
    };
    let mut probe = Probe { path, fault: None, listener: None };
    probe.fault = probe_place(&mut probe, configured.is_some(), group).err();
    probe
}

fn probe_place(probe: &mut Probe, is_configured: bool, group: Option<Gid>) -> Result<(), String> {
    let path = &probe.path;
    let fail = |what: String| Err(format!("{}: {what}", path.display()));
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Err(error) = SocketAddr::from_pathname(path) {
        return fail(format!("cannot be bound: {error}; choose another path with --socket"));
    }
    if !is_configured && directory != Path::new(SYSTEM_DIRECTORY) && directory.exists() {
        check_own(directory)?;
    }
    if !directory.exists() && !can_be_made(directory) {
        let place = if is_configured { "[events] socket: " } else { "" };
        return Err(format!("{place}{} cannot be made; expected a directory that can", directory.display()));
    }
    if let Found::Listener(listener) = look_at(path)? {
        let what = taken(path);
        probe.listener = listener.pid;
        return Err(what);
    }
    if directory.exists() && !can_write(directory) {
        return fail(format!("cannot be bound: {} cannot be written", directory.display()));
    }
    let is_ours = |group: Gid| {
        let ours = nix::unistd::getgroups().unwrap_or_default();
        nix::unistd::geteuid().is_root() || group == nix::unistd::getegid() || ours.contains(&group)
    };
    match group {
        Some(group) if !is_ours(group) => {
            fail(format!("mode or group cannot be set: this user is not in the group with id {group}"))
        }
        _ => Ok(()),
    }
}

fn can_write(directory: &Path) -> bool {
    directory.is_dir() && eaccess(directory, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

/// Whether a directory that is not there could be made, which takes one step only.
fn can_be_made(directory: &Path) -> bool {
    fs::symlink_metadata(directory).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        && directory.parent().is_some_and(can_write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_file_is_replaced_and_a_live_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let first = bind(&path, 0o640, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        let error = bind(&path, 0o640, None).err().unwrap();
        assert!(error.contains("another process listens there"), "{error}");
        drop(first);
        assert!(!path.exists());
        drop(UnixListener::bind(&path).unwrap());
        let second = bind(&path, 0o600, None).unwrap();
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        fs::write(&path, "precious").unwrap();
        assert!(bind(&path, 0o600, None).err().unwrap().contains("no socket"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_file_that_became_anothers_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let socket = bind(&path, 0o600, None).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another's").unwrap();
        drop(socket);
        assert!(path.exists());
    }
}
