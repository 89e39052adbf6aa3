//! Rooms in the evening: two clubs meet, and the lines of one are bad for ten minutes at 19:30.

use fastrand::Rng;

use super::{Feed, HOUR, System, within};

struct Club {
    room: &'static str,
    /// Hours of the day.
    from: f64,
    until: f64,
    names: &'static [&'static str],
}

const CLUBS: [Club; 2] = [
    Club { room: "chess-club", from: 18.5, until: 21.5, names: &["Ada", "Grace", "Alan", "Linus", "Edsger"] },
    Club { room: "book-club", from: 19.25, until: 20.75, names: &["Jane", "Mary", "Leo", "Franz"] },
];

/// What the streams of the evening have sent.
#[derive(Default)]
pub(super) struct Evening {
    /// Bytes of one stream of video since its beginning.
    sent: [u64; CLUBS.len()],
}

impl System for Evening {
    fn step(&mut self, at: f64, random: &mut Rng, feed: &mut Feed) {
        if at == 0.0 {
            feed.say("edumeet.server_started");
        }
        for (club, sent) in CLUBS.iter().zip(&mut self.sent) {
            let (from, until) = (club.from * HOUR, club.until * HOUR);
            if at == from {
                feed.say(&format!("edumeet.room.opened room_id={}", club.room));
            }
            for (number, name) in club.names.iter().enumerate() {
                // One after the other they come and go.
                let (from, until) = (from + 45.0 * number as f64, until - 30.0 * number as f64);
                let peer = format!("{}-{number}", club.room);
                if at == from {
                    join(club, name, &peer, number, feed);
                }
                if at == until {
                    feed.say(&format!("edumeet.peer.left peer_id={peer}"));
                } else if (from..until).contains(&at) {
                    *sent += 40_000 * random.u64(8..12);
                    let is_bad = club.room == CLUBS[0].room && within(at, 19.0, 30.0, 10.0);
                    let score = if is_bad { random.u32(2..5) } else { random.u32(9..11) };
                    for (event, id, kind) in [
                        ("producer", format!("{peer}-video"), "inbound-rtp"),
                        ("producer", format!("{peer}-audio"), "inbound-rtp"),
                        ("consumer", format!("{peer}-heard"), "outbound-rtp"),
                    ] {
                        let bytes = if id.ends_with("video") { *sent } else { *sent / 16 };
                        feed.say(&format!(
                            "edumeet.{event}.stats id={id} type={kind} byte_count={bytes} score={score}"
                        ));
                    }
                }
            }
            if at == until {
                feed.say(&format!("edumeet.room.closed room_id={}", club.room));
            }
        }
    }
}

/// A peer comes, and sends video and audio.
fn join(club: &Club, name: &str, peer: &str, number: usize, feed: &mut Feed) {
    let agent = ["firefox", "chrome", "safari"][number % 3];
    feed.say(&format!(
        "edumeet.peer.joined room_id={} peer_id={peer} display_name={name} user_agent={agent}",
        club.room
    ));
    feed.say(&format!(
        "edumeet.transport.connected peer_id={peer} transport_id={peer}-t pid=4001 proto=udp local_addr=10.0.0.5:{} remote_addr=192.0.2.{}:50000",
        40_000 + number,
        10 + number
    ));
    for (event, what, kind, codec) in [
        ("producer", "video", "video", "VP8"),
        ("producer", "audio", "audio", "opus"),
        ("consumer", "heard", "audio", "opus"),
    ] {
        feed.say(&format!(
            "edumeet.{event}.created transport_id={peer}-t id={peer}-{what} kind={kind} codec={codec}"
        ));
    }
}
