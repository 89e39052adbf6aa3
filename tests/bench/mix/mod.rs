//! The mix of events that is measured: a fifth opens sessions, a fifth closes them, the rest are counted messages.

#![allow(dead_code, unreachable_pub, reason = "each program uses its part")]

/// When the events happen, Unix seconds.
pub const NOW: f64 = 1e9;

/// Sessions that are open all the time.
pub const SESSIONS: usize = 10_000;

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
