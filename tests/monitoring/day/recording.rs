//! Twenty recordings. One fails at 11:40, and one is not uploaded at 15:10.

use fastrand::Rng;

use super::{Feed, HOUR, System};

const BACKENDS: [&str; 2] = ["https://cloud.example.com", "https://school.example.org"];
/// When each begins, in hours, and how many minutes it takes.
const RECORDINGS: [(f64, f64); 20] = [
    (7.75, 20.0),
    (8.5, 45.0),
    (9.0, 50.0),
    (9.25, 30.0),
    (9.5, 55.0),
    (10.0, 60.0),
    (10.1, 25.0),
    (10.5, 40.0),
    (FAILED, 35.0),
    (11.25, 30.0),
    (13.0, 45.0),
    (13.5, 60.0),
    (13.75, 30.0),
    (14.0, 55.0),
    (NOT_UPLOADED, 39.0),
    (15.0, 45.0),
    (15.75, 30.0),
    (16.5, 50.0),
    (18.25, 60.0),
    (20.0, 75.0),
];
/// It fails 35 minutes later, at 11:40.
const FAILED: f64 = 11.0 + 5.0 / 60.0;
/// It ends 39 minutes later, and a minute after that it is known that its upload has failed, at 15:10.
const NOT_UPLOADED: f64 = 14.5;

/// The recording server.
pub(super) struct Recorder {
    /// Seconds since midnight, and what happens then, the latest first.
    events: Vec<(f64, String)>,
}

impl Recorder {
    pub(super) fn new() -> Self {
        let mut events = vec![(0.0, "recording.server_started".to_owned())];
        events
            .extend(BACKENDS.map(|backend| (0.0, format!("recording.backend_configured backend={backend}"))));
        for (number, (hour, minutes)) in RECORDINGS.into_iter().enumerate() {
            let backend = BACKENDS[usize::from(number % 4 == 3)];
            let (start, end) = (hour * HOUR, hour * HOUR + minutes * 60.0);
            let upload = end + 20.0 + minutes;
            let name = format!("backend={backend} recording=r{number}");
            let mut happens = |at: f64, event: &str, more: &str| {
                events.push((at, format!("recording.{event} {name}{more}")));
            };
            happens(start, "started", "");
            if hour == FAILED {
                happens(end, "failed", "");
                continue;
            }
            happens(end, "stopped", &format!(" duration={}", minutes * 60.0 - 2.5));
            if hour == NOT_UPLOADED {
                happens(end + 60.0, "upload_failed", "");
            } else {
                happens(upload, "uploaded", "");
            }
        }
        events.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        Recorder { events }
    }
}

impl System for Recorder {
    fn step(&mut self, at: f64, _: &mut Rng, feed: &mut Feed) {
        // The times are sums of fractions.
        while let Some((_, event)) = self.events.pop_if(|(due, _)| *due < at + 1e-3) {
            feed.say(&event);
        }
    }
}
