//! Who may connect: users and groups by name, worked out once, asked for every connection.
//!
//! Names are looked up when the settings are read, never on the feed's thread, since a directory service may
//! be slow.

use std::collections::HashSet;

use nix::unistd::{Gid, Group, Uid, User};

use crate::config::Settings;
use crate::faults::Faults;

/// The users and groups that may connect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Peers {
    restricted: bool,
    users: HashSet<u32>,
    groups: HashSet<u32>,
}

impl Peers {
    /// Looks up `[events] allowed_users` and `allowed_groups`. The error names those that do not exist.
    pub(crate) fn look_up(settings: &Settings) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let mut peers = Peers {
            restricted: !settings.allowed_users.is_empty() || !settings.allowed_groups.is_empty(),
            ..Peers::default()
        };
        for name in &settings.allowed_users {
            peers.users.extend(faults.take(user_id(name)).map(Uid::as_raw));
        }
        for name in &settings.allowed_groups {
            let Some(group) = faults.take(group(name)) else { continue };
            peers.groups.insert(group.gid.as_raw());
            // A process shows its primary group only, so members are let in by their user.
            for member in &group.mem {
                if let Ok(Some(user)) = User::from_name(member) {
                    peers.users.insert(user.uid.as_raw());
                }
            }
        }
        faults.or(peers)
    }

    /// Whether a process of this user and primary group may connect.
    pub(crate) fn allow(&self, uid: u32, gid: u32) -> bool {
        !self.restricted || self.users.contains(&uid) || self.groups.contains(&gid)
    }
}

fn user_id(name: &str) -> Result<Uid, String> {
    if let Ok(id) = name.parse() {
        return Ok(Uid::from_raw(id));
    }
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid),
        _ => Err(format!("[events] allowed_users: {name:?}: expected users of this machine")),
    }
}

fn group(name: &str) -> Result<Group, String> {
    let found = match name.parse() {
        Ok(id) => Group::from_gid(Gid::from_raw(id)).map(|group| {
            group.or(Some(Group {
                name: name.to_owned(),
                passwd: c"".into(),
                gid: Gid::from_raw(id),
                mem: vec![],
            }))
        }),
        Err(_) => Group::from_name(name),
    };
    match found {
        Ok(Some(group)) => Ok(group),
        _ => Err(format!("[events] allowed_groups: {name:?}: expected groups of this machine")),
    }
}

/// The id of the group that the socket gets.
pub(crate) fn socket_group(name: &str) -> Result<Gid, String> {
    group(name)
        .map(|group| group.gid)
        .map_err(|_| format!("[events] group: {name:?}: expected a group of this machine"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_lists_the_file_mode_decides() {
        assert!(Peers::look_up(&Settings::default()).unwrap().allow(12_345, 12_345));
    }

    #[test]
    fn with_lists_only_those_named() {
        let settings = Settings {
            allowed_users: vec!["root".to_owned(), "77".to_owned()],
            allowed_groups: vec!["88".to_owned()],
            ..Settings::default()
        };
        let peers = Peers::look_up(&settings).unwrap();
        for (uid, gid, expected) in [(0, 5, true), (77, 5, true), (5, 88, true), (5, 5, false)] {
            assert_eq!(peers.allow(uid, gid), expected, "{uid} {gid}");
        }
    }

    #[test]
    fn unknown_names_are_errors() {
        let settings =
            Settings { allowed_users: vec!["nobody-of-that-name".to_owned()], ..Settings::default() };
        assert!(Peers::look_up(&settings).unwrap_err().to_string().contains("allowed_users"));
    }
}
