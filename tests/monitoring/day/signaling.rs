//! People in calls: the signaling server and one of its two proxies.

use fastrand::Rng;

use super::{Feed, HOUR, System, between, chance, curve, within};

const BACKENDS: [&str; 2] = ["https://cloud.example.com", "https://school.example.org"];
const PROXIES: [&str; 2] = ["https://proxy1.example.com", "https://proxy2.example.com"];
/// The first ones belong to the first backend.
const ROOMS: [&str; 10] =
    ["standup", "sales", "support", "board", "design", "hiring", "garden", "class1", "class2", "teachers"];
const ROOMS_OF_FIRST: usize = 7;
/// People in calls, by hour.
const PEOPLE: [(f64, f64); 16] = [
    (0.0, 1.0),
    (6.0, 1.0),
    (7.0, 3.0),
    (8.5, 14.0),
    (9.5, 26.0),
    (10.0, 38.0),
    (11.0, 29.0),
    (12.0, 17.0),
    (12.7, 8.0),
    (13.5, 25.0),
    (14.2, 38.0),
    (15.5, 30.0),
    (17.0, 18.0),
    (18.5, 8.0),
    (20.0, 12.0),
    (24.0, 1.0),
];
const PEOPLE_MAX: usize = 40;

/// All calls of the day.
#[derive(Default)]
pub(super) struct Talk {
    calls: Vec<Call>,
    /// Sessions of the day.
    count: u32,
}

struct Call {
    room: usize,
    /// The proxy that carries its media; the exporter also follows the first one.
    proxy: usize,
    people: Vec<Person>,
}

struct Person {
    session: String,
    publishers: Vec<Publisher>,
}

#[derive(Clone)]
struct Publisher {
    id: String,
    /// `video`, which is camera and microphone, or `screen`.
    kind: &'static str,
    /// What it sends.
    streams: Vec<&'static str>,
}

impl System for Talk {
    fn step(&mut self, at: f64, random: &mut Rng, feed: &mut Feed) {
        if at == 0.0 {
            begin(feed);
        }
        let wanted = curve(&PEOPLE, at).round() as usize;
        let present = self.people();
        if present < wanted {
            for _ in 0..(wanted - present).min(2) {
                self.join(random, feed);
            }
        } else if present > wanted + 1 || present > 2 && chance(random, 20.0) {
            self.leave(random, feed);
        }
        self.change_screens(random, feed);
        self.talk(at, random, feed);
        self.report(at, random, feed);
    }
}

/// What is there before anyone is.
fn begin(feed: &mut Feed) {
    feed.say("signaling.server_started");
    feed.say("proxy.server_started");
    feed.say(&format!("signaling.backend.added backend={} limit=100", BACKENDS[0]));
    feed.say(&format!("signaling.backend.added backend={}", BACKENDS[1]));
    for (url, country) in PROXIES.iter().zip(["DE", "FR"]) {
        feed.say(&format!("signaling.proxy_backend.added url={url}"));
        feed.say(&format!("signaling.proxy_backend.connected url={url} country={country}"));
    }
    feed.say("signaling.grpc.client_added target=node2:9090");
    feed.say("proxy.session.created session=talk");
    feed.say("proxy.session.created session=node2");
}

impl Call {
    fn place(&self) -> String {
        let backend = BACKENDS[usize::from(self.room >= ROOMS_OF_FIRST)];
        format!("backend={backend} room={}", ROOMS[self.room])
    }

    /// Says an event of the media, to both sides where the first proxy carries it.
    fn say_media(&self, feed: &mut Feed, event: &str, words: &str) {
        feed.say(&format!("signaling.{event} {words}"));
        if self.proxy == 0 {
            let session = if event.ends_with("created") { " session=talk" } else { "" };
            feed.say(&format!("proxy.{event} {words}{session}"));
        }
    }

    fn subscribe(&self, session: &str, publisher: &Publisher, feed: &mut Feed) {
        let subscriber = format!("subscriber={session}-{}", publisher.id);
        self.say_media(feed, "subscriber.created", &format!("{subscriber} type={}", publisher.kind));
        for stream in &publisher.streams {
            feed.say(&format!("signaling.subscriber.stream_added {subscriber} type={stream}"));
        }
        if self.proxy == 0 {
            feed.say("proxy.command.received type=create-subscriber");
        }
    }

    fn publish(&self, publisher: &Publisher, random: &mut Rng, feed: &mut Feed) {
        let Publisher { id, kind, streams } = publisher;
        self.say_media(feed, "publisher.created", &format!("publisher={id} type={kind}"));
        for stream in streams {
            feed.say(&format!("signaling.publisher.stream_added publisher={id} type={stream}"));
        }
        let codec = *random.choice(&["VP8", "VP8", "VP9", "H264"]).unwrap_or(&"VP8");
        feed.say(&format!("signaling.mcu.media_codec media=video codec={codec}"));
        feed.say("signaling.mcu.media_codec media=audio codec=opus");
        for event in ["event", "joined", "webrtcup"] {
            feed.say(&format!("signaling.mcu.message type={event}"));
        }
        if self.proxy == 0 {
            feed.say("proxy.command.received type=create-publisher");
            feed.say("proxy.payload.received type=offer");
            for _ in 0..4 {
                feed.say("proxy.payload.received type=candidate");
            }
        }
    }

    fn unpublish(&self, publisher: &Publisher, feed: &mut Feed) {
        let Publisher { id, .. } = publisher;
        for person in self.people.iter().filter(|person| person.publishers.iter().all(|own| own.id != *id)) {
            self.say_media(feed, "subscriber.closed", &format!("subscriber={}-{id}", person.session));
        }
        self.say_media(feed, "publisher.closed", &format!("publisher={id}"));
        if self.proxy == 0 {
            feed.say("proxy.command.received type=delete-publisher");
        }
    }
}

impl Talk {
    fn people(&self) -> usize {
        self.calls.iter().map(|call| call.people.len()).sum()
    }

    /// Someone enters a call, which may be a new one.
    fn join(&mut self, random: &mut Rng, feed: &mut Feed) {
        if self.people() >= PEOPLE_MAX {
            return;
        }
        let smallest = (0..self.calls.len()).min_by_key(|index| self.calls[*index].people.len());
        let full = smallest.is_none_or(|index| self.calls[index].people.len() > 4);
        let free: Vec<usize> =
            (0..ROOMS.len()).filter(|room| self.calls.iter().all(|call| call.room != *room)).collect();
        let chosen = match (random.choice(&free), smallest) {
            (Some(room), _) if full => {
                self.calls.push(Call { room: *room, proxy: room % 2, people: Vec::new() });
                let place = self.calls[self.calls.len() - 1].place();
                feed.say(&format!("signaling.room.opened {place}"));
                feed.say(&format!("signaling.call.started {place}"));
                self.calls.len() - 1
            }
            (_, Some(_)) => random.usize(..self.calls.len()),
            _ => return,
        };
        self.count += 1;
        let session = format!("s{}", self.count);
        let call = &mut self.calls[chosen];
        let place = call.place();
        let backend = place.split(' ').next().unwrap_or_default();
        let country = *random.choice(&["DE", "DE", "DE", "FR", "ES", "NL", "US"]).unwrap_or(&"DE");
        feed.say(&format!(
            "signaling.session.joined session={session} {backend} clienttype=client country={country}"
        ));
        feed.say(&format!("signaling.room.joined {place} session={session}"));
        feed.say(&format!("signaling.call.joined {place} session={session}"));
        for state in ["checking", "connected"] {
            feed.say(&format!("signaling.mcu.ice_state state={state}"));
        }
        feed.say("signaling.mcu.dtls_state state=connected");
        feed.say("signaling.mcu.peerconnection_state state=connected reason=none");
        let (kind, transport) = *random
            .choice(&[("host", "udp"), ("srflx", "udp"), ("srflx", "udp"), ("relay", "tcp")])
            .unwrap_or(&("host", "udp"));
        feed.say(&format!(
            "signaling.mcu.candidate_selected origin=remote type={kind} transport={transport} family=ipv4"
        ));
        feed.say("signaling.grpc.client_call method=IsSessionInCall");
        feed.say("signaling.grpc.server_call method=LookupSessionId");
        let streams = if random.f64() < 0.7 { vec!["audio", "video"] } else { vec!["audio"] };
        let publisher = Publisher { id: format!("p{}", self.count), kind: "video", streams };
        call.publish(&publisher, random, feed);
        for other in &call.people {
            call.subscribe(&other.session, &publisher, feed);
            for theirs in &other.publishers {
                call.subscribe(&session, theirs, feed);
            }
        }
        call.people.push(Person { session, publishers: vec![publisher] });
    }

    /// Someone leaves; the last one closes the room.
    fn leave(&mut self, random: &mut Rng, feed: &mut Feed) {
        if self.calls.is_empty() {
            return;
        }
        let chosen = random.usize(..self.calls.len());
        let call = &mut self.calls[chosen];
        let person = call.people.swap_remove(random.usize(..call.people.len()));
        let call = &self.calls[chosen];
        for publisher in &person.publishers {
            call.unpublish(publisher, feed);
        }
        for theirs in call.people.iter().flat_map(|other| &other.publishers) {
            call.say_media(
                feed,
                "subscriber.closed",
                &format!("subscriber={}-{}", person.session, theirs.id),
            );
        }
        feed.say("signaling.mcu.dtls_state state=closed");
        feed.say(&format!("signaling.session.left session={}", person.session));
        if call.people.is_empty() {
            feed.say(&format!("signaling.room.closed {}", call.place()));
            self.calls.swap_remove(chosen);
        }
    }

    /// Now and then someone shows a screen, or ends that.
    fn change_screens(&mut self, random: &mut Rng, feed: &mut Feed) {
        if self.calls.is_empty() || !chance(random, 30.0) {
            return;
        }
        let chosen = random.usize(..self.calls.len());
        let is_shown = |person: &Person| person.publishers.iter().any(|publisher| publisher.kind == "screen");
        if let Some(person) = self.calls[chosen].people.iter().position(is_shown) {
            let person = &self.calls[chosen].people[person];
            let screen = person.publishers[person.publishers.len() - 1].clone();
            self.calls[chosen].unpublish(&screen, feed);
            for person in &mut self.calls[chosen].people {
                person.publishers.retain(|publisher| publisher.id != screen.id);
            }
        } else if self.calls[chosen].people.len() > 1 {
            self.count += 1;
            let screen =
                Publisher { id: format!("p{}", self.count), kind: "screen", streams: vec!["screen"] };
            let call = &mut self.calls[chosen];
            call.publish(&screen, random, feed);
            for person in &call.people[1..] {
                call.subscribe(&person.session, &screen, feed);
            }
            call.people[0].publishers.push(screen);
        }
    }

    /// What people in calls say and measure. After 14:20, the line of the house is bad for a while.
    fn talk(&self, at: f64, random: &mut Rng, feed: &mut Feed) {
        let people = self.people();
        let strain = if within(at, 14.0, 20.0, 15.0) { 4.0 } else { 1.0 };
        for _ in 0..people.min(4) {
            let rtt = between(random, 12.0, 70.0) * strain;
            feed.say(&format!("signaling.client.rtt rtt={rtt:.0}"));
            for media in ["audio", "video"] {
                let (rtt, jitter) = (between(random, 8.0, 45.0) * strain, between(random, 0.5, 9.0) * strain);
                feed.say(&format!("signaling.mcu.media_rtt media={media} rtt={rtt:.1}"));
                feed.say(&format!(
                    "signaling.mcu.media_jitter media={media} origin=remote jitter={jitter:.1}"
                ));
            }
        }
        for _ in 0..people.div_ceil(4) {
            let words = ["offer", "answer", "candidate", "candidate", "requestoffer", "mute", "raiseHand"];
            let word = *random.choice(&words).unwrap_or(&"mute");
            feed.say(&format!("signaling.message.received type={word}"));
        }
        if people > 0 {
            for (direction, share) in [("incoming", 1.0), ("outgoing", 2.4)] {
                let bytes = (people as f64 * share * between(random, 900.0, 1_500.0)).round();
                let messages = people * 2;
                feed.say(&format!(
                    "signaling.client.traffic direction={direction} bytes={bytes} messages={messages}"
                ));
                for (media, rate) in [("audio", 5_000.0), ("video", 90_000.0)] {
                    let bytes = (people as f64 * share * rate * between(random, 12.0, 16.0)).round();
                    feed.say(&format!(
                        "signaling.mcu.media_bytes media={media} direction={direction} bytes={bytes}"
                    ));
                }
            }
        }
        if chance(random, people as f64 * 3.0 * strain) {
            for event in [
                "media_nacks media=video direction=incoming",
                "media_lost media=video origin=remote",
                "media_retransmissions media=video",
            ] {
                let count = random.u32(1..12);
                feed.say(&format!("signaling.mcu.{event} count={count}"));
            }
        }
        if chance(random, people as f64 * 0.1 * strain * strain) {
            feed.say("signaling.mcu.slow_link media=video direction=outgoing");
        }
    }

    /// What servers measure, and what goes wrong now and then.
    fn report(&self, at: f64, random: &mut Rng, feed: &mut Feed) {
        let people = self.people() as f64;
        let mut sums = [0.0, 0.0];
        for (proxy, url) in PROXIES.iter().enumerate() {
            let carried = self.calls.iter().filter(|call| call.proxy == proxy);
            let sizes: Vec<f64> = carried.map(|call| call.people.len() as f64).collect();
            let incoming = (sizes.iter().sum::<f64>() * 95_000.0 * between(random, 0.9, 1.1)).round();
            let outgoing = (sizes.iter().map(|size| size * (size - 1.0).max(0.0)).sum::<f64>()
                * 80_000.0
                * between(random, 0.9, 1.1))
            .round();
            sums = [sums[0] + incoming, sums[1] + outgoing];
            let load = (outgoing / 1e5).round() + 3.0;
            // In percent of what the line carries.
            let usage = [incoming, outgoing].map(|bandwidth| (bandwidth / 5e7 * 100.0).min(100.0).round());
            feed.say(&format!(
                "signaling.proxy_backend.load url={url} load={load} incoming={} outgoing={} bandwidth_incoming={incoming} bandwidth_outgoing={outgoing}",
                usage[0], usage[1]
            ));
            if proxy == 0 {
                feed.say(&format!("proxy.load.changed load={load}"));
            }
        }
        feed.say(&format!("signaling.mcu.bandwidth incoming={} outgoing={}", sums[0], sums[1]));
        for (backend, share) in BACKENDS.iter().zip([0.3, 0.12]) {
            if random.f64() < (people * share / 4.0).max(0.1) {
                let duration = between(random, 0.02, 0.3);
                feed.say(&format!(
                    "signaling.backend_request.finished backend={backend} duration={duration}"
                ));
            }
            let host = backend.trim_start_matches("https://");
            let connections = 1.0 + (people * share / 3.0).round();
            feed.say(&format!("signaling.http_pool.connections host={host} connections={connections}"));
        }
        if chance(random, people / 30.0) {
            let backend = BACKENDS[0];
            feed.say(&format!(
                "signaling.backend_request.finished backend={backend} duration=10.2 error=timeout"
            ));
        }
        if chance(random, people / 15.0)
            && let Some(person) = self.calls.first().and_then(|call| call.people.first())
        {
            feed.say(&format!("signaling.session.resumed session={}", person.session));
        }
        if chance(random, people / 60.0) {
            feed.say("signaling.session.resume_failed");
            feed.say("signaling.subscriber.no_publisher type=video");
        }
        if chance(random, 2.0) {
            feed.say("signaling.throttle.delayed action=BackendRoomAuth delay=100");
        }
        // Someone tries tokens at night.
        if within(at, 3.0, 30.0, 4.0) {
            feed.say("proxy.token.rejected reason=auth");
            feed.say("signaling.throttle.rejected action=HelloResume");
        }
        if at == 9.25 * HOUR {
            feed.say("proxy.session.resumed session=talk");
        }
    }
}
