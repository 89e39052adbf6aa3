//! Addresses in labels: which series have one, and how they get its name once that is known. The index of them
//! is made when the first name is learned, piece by piece, and kept from then on.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use super::family::{Family, Shape};
use super::text;
use crate::limits;

/// The series of a family by the addresses in their labels.
#[derive(Debug)]
pub(super) struct AddressIndex {
    /// The positions of the labels that hold addresses.
    labels: Vec<usize>,
    slots: HashMap<IpAddr, HashSet<u32>>,
    /// Slots that have not been looked at.
    left: Range<u32>,
}

impl AddressIndex {
    fn addresses(&self, text: &[u8]) -> HashSet<IpAddr> {
        self.labels.iter().filter_map(|&label| address_in(text, label)).map(|(ip, _)| ip).collect()
    }

    pub(super) fn add(&mut self, slot: u32, text: &[u8]) {
        for ip in self.addresses(text) {
            self.slots.entry(ip).or_default().insert(slot);
        }
    }

    pub(super) fn remove(&mut self, slot: u32, text: &[u8]) {
        for ip in self.addresses(text) {
            let Some(slots) = self.slots.get_mut(&ip) else { continue };
            slots.remove(&slot);
            if slots.is_empty() {
                self.slots.remove(&ip);
            }
        }
    }
}

impl Family {
    /// Goes on with the index of the addresses in these labels. Returns whether it is complete.
    pub(crate) fn index_addresses(&mut self, labels: &[usize]) -> bool {
        let former = self.addresses.take().filter(|index| index.labels == labels);
        let index = self.addresses.insert(former.unwrap_or_else(|| AddressIndex {
            labels: labels.to_vec(),
            slots: HashMap::new(),
            left: 0..self.slots.len() as u32,
        }));
        let end = index.left.end.min(index.left.start + limits::NAME_INDEX_PIECE);
        for slot in std::mem::replace(&mut index.left.start, end)..end {
            let series = &self.slots[slot as usize];
            if series.alive {
                index.add(slot, &series.text);
            }
        }
        index.left.is_empty()
    }

    /// The series that have an address, in the pieces in which they are to get its name. The index forgets them. Which
    /// series is in which piece depends on nothing but its text, since floating-point sums must not depend on the
    /// slots that series happen to have.
    pub(crate) fn take_address(&mut self, ip: IpAddr) -> Vec<Vec<u32>> {
        let slots = self.addresses.as_mut().and_then(|index| index.slots.remove(&ip)).unwrap_or_default();
        let count = (slots.len() / limits::NAME_PIECE).clamp(1, limits::NAME_PIECES_MAX);
        let mut pieces = vec![Vec::new(); count];
        for slot in slots {
            let sum = crc32fast::hash(&self.slots[slot as usize].text);
            pieces[sum as usize % count].push(slot);
        }
        pieces
    }

    /// Replaces an address by its name in these labels of these series, in the order of their texts. Series that have
    /// the same labels then are merged. Returns the merged slots as pairs (old, new).
    pub(crate) fn rename_address(
        &mut self,
        mut slots: Vec<u32>,
        labels: &[usize],
        ip: IpAddr,
        name: &str,
    ) -> Vec<(u32, u32)> {
        let text = |slot: &u32| &self.slots[*slot as usize].text;
        slots.sort_unstable_by(|a, b| text(a).cmp(text(b)));
        let renamed = slots.into_iter().map(|slot| {
            let mut text = self.slots[slot as usize].text.to_vec();
            for &label in labels {
                if let Some((_, port)) = address_in(&text, label).filter(|(address, _)| *address == ip) {
                    let port = port.map_or(String::new(), |port| format!(":{port}"));
                    text = text::with_value(&text, label, format!("{name}{port}").as_bytes());
                }
            }
            (slot, text)
        });
        let renamed = renamed.collect();
        self.relabel(renamed)
    }

    /// Gives series other texts, and merges those that another series has already.
    fn relabel(&mut self, renamed: Vec<(u32, Vec<u8>)>) -> Vec<(u32, u32)> {
        // The order depends on the text.
        let changing: HashSet<u32> = renamed.iter().map(|(slot, _)| *slot).collect();
        if !changing.is_empty() {
            self.order.retain(|slot| !changing.contains(&slot));
        }
        let mut merged = Vec::new();
        for (slot, text) in renamed {
            self.unlist(slot);
            let hash = self.hasher.hash_one(&*text);
            if let Some(taken) = self.find(&text, hash) {
                self.merge(slot, taken);
                merged.push((slot, taken));
                continue;
            }
            let former_bytes = self.bytes_of(&self.slots[slot as usize].text);
            self.claim.take(self.bytes_of(&text));
            self.claim.give_back(former_bytes);
            self.slots[slot as usize].text = text.into();
            self.list(slot, hash);
        }
        merged
    }

    fn merge(&mut self, from: u32, into: u32) {
        let value = self.slots[from as usize].value;
        match self.shape() {
            Shape::Age => self.mark(into, value.max(self.slots[into as usize].value)),
            Shape::Number | Shape::Histogram(_) => self.add(into, value),
        }
        if let Shape::Histogram(_) = self.shape() {
            let buckets = std::mem::take(&mut self.buckets[from as usize]);
            for (count, more) in self.buckets[into as usize].iter_mut().zip(buckets) {
                *count += more;
            }
        }
    }
}

/// The address in a label, with its port.
fn address_in(text: &[u8], label: usize) -> Option<(IpAddr, Option<u16>)> {
    parse_address(std::str::from_utf8(&text::value_of(text, label)).ok()?)
}

/// Parses `IP`, `IP:PORT` or `[IP]:PORT`. An IPv4-mapped IPv6 address becomes IPv4.
pub(crate) fn parse_address(value: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Ok(address) = value.parse::<SocketAddr>() {
        return Some((address.ip().to_canonical(), Some(address.port())));
    }
    let bare = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(value);
    bare.parse::<IpAddr>().ok().map(|ip| (ip.to_canonical(), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    const LABELS: [usize; 2] = [0, 1];

    fn text(local: &str, remote: &str) -> Vec<u8> {
        text::of(&[("local", local), ("remote", remote)])
    }

    fn place(family: &mut Family, (local, remote): (&str, &str), amount: f64) -> u32 {
        let text = text(local, remote);
        let slot = family.get_or_insert(&text, family.hasher.hash_one(&*text));
        family.add(slot, amount);
        slot
    }

    fn rename(family: &mut Family, ip: IpAddr) -> Vec<(u32, u32)> {
        while !family.index_addresses(&LABELS) {}
        let pieces = family.take_address(ip);
        pieces.into_iter().flat_map(|slots| family.rename_address(slots, &LABELS, ip, "host")).collect()
    }

    fn shown(family: &mut Family) -> String {
        let mut out = Vec::new();
        family.render("m", 0.0, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn series_get_the_name_and_those_that_coincide_are_merged() {
        let names = ["local".to_owned(), "remote".to_owned()];
        let hasher = hashbrown::DefaultHashBuilder::default();
        let mut family = Family::new(Shape::Number, &names, 100, hasher, &Budget::new(usize::MAX));
        let (one, two) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        place(&mut family, ("10.0.0.9:5", "10.0.0.1:80"), 1.0);
        place(&mut family, ("x", "10.0.0.2:80"), 2.0);
        let gone = place(&mut family, ("10.0.0.1", "z"), 4.0);
        assert_eq!(rename(&mut family, one), []);
        // What comes and goes after the first name is looked up as well.
        family.remove(gone);
        place(&mut family, ("10.0.0.1", "[::ffff:10.0.0.2]:7"), 8.0);
        let late = place(&mut family, ("x", "10.0.0.1:80"), 16.0);
        assert_eq!(rename(&mut family, one), []);
        let merged = rename(&mut family, two);
        assert_eq!(merged, [(1, late)]);
        family.remove(1);
        assert_eq!(
            shown(&mut family),
            "m{local=\"10.0.0.9:5\",remote=\"host:80\"} 1\n\
             m{local=\"host\",remote=\"host:7\"} 8\n\
             m{local=\"x\",remote=\"host:80\"} 18\n"
        );
    }
}
