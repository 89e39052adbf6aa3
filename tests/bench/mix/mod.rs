//! The mixes of events that are measured. The busy one: a fifth opens sessions, a fifth closes them, the rest are
//! counted messages. And one for each system: its lifecycles as the clients write them.

#![allow(dead_code, unreachable_pub, reason = "each program uses its part")]

/// When the events happen, Unix seconds.
pub const NOW: f64 = 1e9;

/// Sessions that are open all the time.
pub const SESSIONS: usize = 10_000;

/// One lifecycle of each system, line by line; `{number}` is that of the lifecycle.
const LIFECYCLES: [(&str, &str); 5] = [
    ("recording", include_str!("recording.ndjson")),
    ("signaling", include_str!("signaling.ndjson")),
    ("proxy", include_str!("proxy.ndjson")),
    ("edumeet", include_str!("edumeet.ndjson")),
    ("vlog", include_str!("vlog.ndjson")),
];

/// Lines of a system, lifecycle after lifecycle.
pub fn lifecycles(system: &str, events: usize) -> Vec<String> {
    let (_, lifecycle) =
        LIFECYCLES.iter().find(|(name, _)| *name == system).expect("one of the five systems");
    let numbered = |number: usize| {
        let number = format!("{number:012}");
        lifecycle.lines().map(move |line| line.replace("{number}", &number) + "\n")
    };
    (0..).flat_map(numbered).take(events).collect()
}

/// Opens the sessions, so that what follows is the steady state.
pub fn opening() -> String {
    (0..SESSIONS).map(joined).collect()
}

/// A session begins.
pub fn joined(session: usize) -> String {
    format!(
        "{{\"event\":\"signaling.session.joined\",\"session\":\"session-{session:010}\",\"backend\":\"https://cloud{}.example.com\",\"clienttype\":\"client\"}}\n",
        session % 8
    )
}

/// A message of a type, which is a series of its own.
pub fn message(kind: usize, session: usize) -> String {
    format!(
        "{{\"event\":\"signaling.message.received\",\"type\":\"type-{kind:06}\",\"session\":\"session-{session:010}\"}}\n"
    )
}

/// Lines of the mix, with `types` different messages.
pub fn lines(events: usize, types: usize) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(7);
    let (mut oldest, mut newest) = (0, SESSIONS);
    let one = |index: usize| match index % 5 {
        0 => {
            newest += 1;
            joined(newest - 1)
        }
        1 => {
            oldest += 1;
            format!(
                "{{\"event\":\"signaling.session.left\",\"session\":\"session-{:010}\",\"reason\":\"the client said good-bye\"}}\n",
                oldest - 1
            )
        }
        _ => message(random.usize(0..types), random.usize(oldest..newest)),
    };
    (0..events).map(one).collect()
}
