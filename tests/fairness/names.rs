//! Thousands of names of addresses are learned while thousands of series have them.

use super::assert_served;
use crate::support::{Exporter, binary, preload, wait_until};

const ADDRESSES: usize = 2_000;

/// What may be used for all of it. One pass over all series for each name takes many times as much.
const CPU_SECONDS_MAX: f64 = 2.0;

#[test]
fn names_that_are_learned_hold_nobody_up() {
    let directory = tempfile::tempdir().unwrap();
    let Some(library) = preload::names(directory.path()) else { return };
    let mut command = binary();
    command.env("LD_PRELOAD", library);
    let exporter = Exporter::start_by("[privacy]\nnumeric = no\n", |_| {}, command);
    let peer = "{\"event\":\"edumeet.room.opened\",\"room_id\":\"r\"}\n\
                {\"event\":\"edumeet.peer.joined\",\"room_id\":\"r\",\"peer_id\":\"p\"}\n";
    let producer = |number: usize| {
        let (high, low) = (number / 250, number % 250);
        format!(
            "{{\"event\":\"edumeet.transport.connected\",\"peer_id\":\"p\",\"transport_id\":\"t{number}\",\"pid\":1,\
             \"proto\":\"udp\",\"local_addr\":\"10.1.1.1:1\",\"remote_addr\":\"10.2.{high}.{low}:{number}\"}}\n\
             {{\"event\":\"edumeet.producer.created\",\"transport_id\":\"t{number}\",\"id\":\"{number}\",\
             \"kind\":\"video\",\"codec\":\"VP8\"}}\n\
             {{\"event\":\"edumeet.producer.stats\",\"id\":\"{number}\",\"type\":\"t\",\"byte_count\":10,\"score\":1}}\n"
        )
    };
    let lines: String = (0..ADDRESSES).map(producer).collect();
    exporter.feed(peer.to_owned() + &lines);
    assert_served(&exporter);
    let again: String = lines.split_inclusive('\n').filter(|line| line.contains("stats")).collect();
    let names = || exporter.system("edumeet").matches("remote_addr=\"host-10-2-").count();
    // Each has two series; some addresses wait for their look-up until they are used again.
    wait_until(
        || {
            exporter.feed(&again);
            names() >= ADDRESSES
        },
        || format!("{} series have a name", names()),
    );
    let seconds = exporter.value("process_cpu_seconds_total").unwrap();
    println!("{seconds} CPU-seconds for {} series with a name", names());
    assert!(seconds < CPU_SECONDS_MAX, "{seconds} CPU-seconds");
}
