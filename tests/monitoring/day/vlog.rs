//! The video platform: requests with a peak in the morning and errors at 16:00, a transcoding queue that grows at
//! 13:00, and three workers, the second of which is silent from 10:20 to 10:40.

use fastrand::Rng;

use super::{Feed, HOUR, STEP, System, between, chance, curve, within};

/// Requests in a step, by hour.
const REQUESTS: [(f64, f64); 10] = [
    (0.0, 0.8),
    (6.0, 0.5),
    (8.0, 5.0),
    (9.0, 14.0),
    (10.0, 7.0),
    (12.5, 5.0),
    (17.0, 6.0),
    (20.5, 9.0),
    (23.0, 3.0),
    (24.0, 1.0),
];
/// Method, endpoint, API and the seconds that it takes at most.
const ENDPOINTS: [(&str, &str, &str, f64); 5] = [
    ("GET", "/watch/{}", "public", 0.3),
    ("GET", "/api/videos", "public", 0.2),
    ("GET", "/api/videos/{}/stream", "public", 0.9),
    ("POST", "/api/videos", "admin", 1.5),
    ("POST", "/api/worker/claim", "worker", 0.1),
];
const WORKERS: usize = 3;
const SILENT_WORKER: usize = 1;

#[derive(Default)]
pub(super) struct Platform {
    /// Numbers of videos that wait for a worker.
    queue: Vec<u32>,
    videos: u32,
    /// What each worker transcodes, and the seconds that are left.
    jobs: [Option<(u32, f64)>; WORKERS],
    /// Numbers of the requests that are in progress.
    requests: Vec<u32>,
    request_count: u32,
    playbacks: Vec<u32>,
    playback_count: u32,
}

impl System for Platform {
    fn step(&mut self, at: f64, random: &mut Rng, feed: &mut Feed) {
        if at == 0.0 {
            self.begin(feed);
        }
        // Redis fails, so requests do.
        let is_broken = within(at, 16.0, 0.0, 6.0);
        self.serve(at, is_broken, random, feed);
        self.play(at, random, feed);
        self.upload(at, random, feed);
        self.transcode(at, random, feed);
        storage(at, is_broken, random, feed);
    }
}

impl Platform {
    fn begin(&mut self, feed: &mut Feed) {
        feed.say("vlog.server_started version=1.4.0");
        self.videos = 60;
        for video in 1..=self.videos {
            feed.say(&format!("vlog.video.added video=v{video} status=ready"));
        }
        for worker in 1..=WORKERS {
            feed.say(&format!(
                "vlog.worker.registered worker_id=worker-{worker} worker_name=worker-{worker} status=online"
            ));
        }
        for status in ["pending", "processing"] {
            feed.say(&format!("vlog.reencode.queue_changed status={status} size=0"));
        }
        feed.say("vlog.storage.reconciled status=1 bytes=182000000000");
    }

    fn serve(&mut self, at: f64, is_broken: bool, random: &mut Rng, feed: &mut Feed) {
        let finish = |request: u32, random: &mut Rng| {
            let (method, endpoint, api, seconds) = ENDPOINTS[request as usize % ENDPOINTS.len()];
            let endpoint = endpoint.replace("{}", &random.u32(1..60).to_string());
            let status = match random.u32(0..100) {
                0..40 if is_broken => *random.choice(&[500, 500, 503]).unwrap_or(&500),
                0..2 => 404,
                2..20 if method == "GET" => 304,
                _ => 200,
            };
            let duration = between(random, 0.004, seconds) * if is_broken { 4.0 } else { 1.0 };
            (api, format!("method={method} endpoint={endpoint} status_code={status} duration={duration:.4}"))
        };
        for request in self.requests.drain(..) {
            let (_, words) = finish(request, random);
            feed.say(&format!("vlog.http.request_finished request=q{request} {words}"));
        }
        let count = (curve(&REQUESTS, at) * between(random, 0.6, 1.4)).round() as u32;
        for number in 0..count {
            self.request_count += 1;
            let request = self.request_count;
            // A scrape finds a few in progress.
            if number < count / 5 {
                let api = ENDPOINTS[request as usize % ENDPOINTS.len()].2;
                feed.say(&format!("vlog.http.request_started request=q{request} api={api}"));
                self.requests.push(request);
            } else {
                let (api, words) = finish(request, random);
                feed.say(&format!("vlog.http.request api={api} {words}"));
            }
        }
        for operation in ["select", "select", "update"].iter().take(count as usize) {
            let duration = between(random, 0.0006, 0.03) * if is_broken { 3.0 } else { 1.0 };
            feed.say(&format!("vlog.db.query operation={operation} duration={duration:.5}"));
        }
        feed.say(&format!("vlog.db.connections connections={}", 2 + count / 3));
        let result = if is_broken { "failed" } else { "success" };
        for operation in ["get", "publish", "set"] {
            feed.say(&format!("vlog.redis.operation operation={operation} result={result}"));
        }
        if at == 0.0 || at == 16.0 * HOUR || at == 16.0 * HOUR + 6.0 * 60.0 {
            feed.say(&format!("vlog.redis.circuit state={}", u8::from(is_broken)));
        }
        if is_broken && chance(random, 60.0) {
            feed.say("vlog.db.retried");
        }
    }

    /// Who watches: most in the evening.
    fn play(&mut self, at: f64, random: &mut Rng, feed: &mut Feed) {
        let wanted = (curve(&REQUESTS, at) * 1.5 + if at > 18.0 * HOUR { 4.0 } else { 0.0 }) as usize;
        if self.playbacks.len() < wanted {
            self.playback_count += 1;
            self.playbacks.push(self.playback_count);
            feed.say(&format!("vlog.playback.started session=play{}", self.playback_count));
            feed.say("vlog.video.viewed");
        } else if !self.playbacks.is_empty() && (self.playbacks.len() > wanted + 1 || chance(random, 40.0)) {
            let ended = self.playbacks.swap_remove(random.usize(..self.playbacks.len()));
            feed.say(&format!("vlog.playback.ended session=play{ended}"));
        }
        if !self.playbacks.is_empty() {
            let seconds = self.playbacks.len() as f64 * STEP;
            feed.say(&format!("vlog.playback.watched seconds={seconds}"));
        }
    }

    fn upload(&mut self, at: f64, random: &mut Rng, feed: &mut Feed) {
        let an_hour = if within(at, 13.0, 0.0, 12.0) {
            110.0
        } else if (8.0 * HOUR..20.0 * HOUR).contains(&at) {
            6.0
        } else {
            0.5
        };
        if !chance(random, an_hour) {
            return;
        }
        let is_good = random.f64() < 0.97;
        feed.say(&format!("vlog.video.uploaded result={}", if is_good { "success" } else { "failed" }));
        if is_good {
            self.videos += 1;
            self.queue.push(self.videos);
            feed.say(&format!("vlog.video.added video=v{} status=pending", self.videos));
            feed.say("vlog.storage.operation operation=write result=success");
            feed.say(&format!("vlog.storage.written bytes={}", random.u64(80_000_000..900_000_000)));
        }
    }

    fn transcode(&mut self, at: f64, random: &mut Rng, feed: &mut Feed) {
        for (index, job) in self.jobs.iter_mut().enumerate() {
            let worker = format!("worker-{}", index + 1);
            // What it does stands still, too.
            if index == SILENT_WORKER && within(at, 10.0, 20.0, 20.0) {
                continue;
            }
            if at % 30.0 == 0.0 {
                feed.say(&format!("vlog.worker.heartbeat worker_id={worker} result=success"));
            }
            if let Some((video, left)) = job {
                *left -= STEP;
                if *left <= 0.0 {
                    let ends = if *video % 29 == 0 { "failed" } else { "completed" };
                    if ends == "completed" {
                        for (quality, seconds) in [("1080p", 220.0), ("720p", 120.0), ("480p", 50.0)] {
                            let duration = between(random, 0.6, 1.5) * seconds;
                            feed.say(&format!(
                                "vlog.job.quality_finished quality={quality} duration={duration:.1}"
                            ));
                        }
                        feed.say(&format!("vlog.video.status_changed video=v{video} status=ready"));
                        feed.say(&format!("vlog.job.completed job=j{video} worker_name={worker}"));
                    } else {
                        feed.say(&format!("vlog.job.failed job=j{video}"));
                    }
                    feed.say(&format!("vlog.worker.status_changed worker_id={worker} status=online"));
                    *job = None;
                }
            } else if !self.queue.is_empty() {
                let video = self.queue.remove(0);
                *job = Some((video, between(random, 360.0, 780.0)));
                feed.say(&format!("vlog.job.started job=j{video}"));
                feed.say(&format!("vlog.video.status_changed video=v{video} status=processing"));
                feed.say(&format!("vlog.worker.status_changed worker_id={worker} status=busy"));
            }
        }
        feed.say(&format!("vlog.queue.changed size={}", self.queue.len()));
    }
}

/// What the platform does in the background: at night videos are encoded again, every ten minutes it cleans up.
fn storage(at: f64, is_broken: bool, random: &mut Rng, feed: &mut Feed) {
    let result = if is_broken { "failed" } else { "success" };
    feed.say(&format!("vlog.storage.operation operation=read result={result}"));
    if within(at, 2.0, 0.0, 60.0) && at % 300.0 == 0.0 {
        let size = ((3.0 * HOUR - at) / 300.0).round() - 1.0;
        feed.say(&format!("vlog.reencode.queue_changed status=pending size={size}"));
        feed.say("vlog.reencode.finished status=completed");
    }
    if at % 600.0 == 0.0 {
        let duration = between(random, 0.3, 3.0);
        if within(at, 4.0, 0.0, 5.0) {
            feed.say("vlog.task.failed task_name=cleanup duration=30");
        } else {
            feed.say(&format!("vlog.task.succeeded task_name=cleanup duration={duration}"));
        }
    }
    if at % (4.0 * HOUR) == 0.0 {
        feed.say(&format!("vlog.storage.removed bytes={}", random.u64(1_000_000..400_000_000)));
    }
}
