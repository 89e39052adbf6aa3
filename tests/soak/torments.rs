//! What happens to the exporter, at random, one thing after another.

use std::time::Duration;

use crate::feed::EVENTS_AGE_SECONDS;
use crate::neighbours::Neighbours;
use crate::support::other_user::OtherUser;
use crate::support::pass;
use crate::target::{Disk, Target};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Torment {
    Kill,
    KillWhileStarting,
    Stop,
    Reload,
    FullDisk,
    HangingDisk,
    ClockJump,
    Garbage,
    Silence,
    TakeOver,
    SlowReaders,
    TakenName,
}

use Torment::{
    ClockJump, FullDisk, Garbage, HangingDisk, Kill, KillWhileStarting, Reload, Silence, SlowReaders, Stop,
    TakeOver, TakenName,
};

/// All, the frequent ones more than once.
const ALL: [Torment; 16] = [
    Kill,
    Kill,
    KillWhileStarting,
    Stop,
    Stop,
    Reload,
    Reload,
    FullDisk,
    HangingDisk,
    ClockJump,
    ClockJump,
    Garbage,
    Silence,
    TakeOver,
    SlowReaders,
    TakenName,
];

impl Torment {
    /// Its row in the picture.
    pub fn row(self) -> &'static str {
        match self {
            Kill | KillWhileStarting => "kill -9",
            Stop => "stop",
            Reload => "reload",
            FullDisk => "disk full",
            HangingDisk => "disk hangs",
            ClockJump => "clock jumps",
            Garbage | Silence | TakeOver | SlowReaders | TakenName => "neighbours",
        }
    }
}

/// The next ones: in each round of all, every one comes as often as it is listed.
pub struct Torments {
    random: fastrand::Rng,
    round: Vec<Torment>,
    pub neighbours: Neighbours,
    has_other_user: bool,
}

impl Torments {
    pub fn new(seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        let has_other_user = OtherUser::is_possible();
        Torments { random, round: Vec::new(), neighbours: Neighbours::default(), has_other_user }
    }

    /// Waits a random time, at most this long.
    pub fn pause(&mut self, most: Duration) {
        pass(most.mul_f64(self.random.f64()));
    }

    /// Chooses the next one that this machine can do.
    pub fn choose(&mut self, target: &Target) -> Torment {
        loop {
            if self.round.is_empty() {
                self.round = ALL.to_vec();
                self.random.shuffle(&mut self.round);
            }
            let torment = self.round.pop().expect("a round is never empty");
            let is_possible = match torment {
                FullDisk | HangingDisk => target.has_disk(),
                ClockJump => target.has_clock(),
                TakenName => self.has_other_user,
                _ => true,
            };
            if is_possible {
                return torment;
            }
        }
    }

    /// Does it. Afterwards the exporter runs, on a disk that works.
    pub fn run(&mut self, torment: Torment, target: &mut Target) {
        let socket = target.exporter.socket.clone();
        match torment {
            Kill => {
                target.kill();
                target.start_again();
            }
            KillWhileStarting => {
                target.kill();
                for _ in 0..self.random.u8(1..4) {
                    target.spawn();
                    self.pause(Duration::from_millis(15));
                    target.kill();
                }
                target.start_again();
            }
            Stop => {
                target.stop();
                target.start_again();
            }
            Reload => {
                target.reload();
                if self.random.u8(..4) == 0 {
                    self.pause(Duration::from_millis(5));
                    target.kill();
                    target.start_again();
                }
            }
            FullDisk => self.fail(Disk::IsFull, target),
            HangingDisk => self.fail(Disk::Hangs, target),
            ClockJump => {
                let most = (EVENTS_AGE_SECONDS * 0.8) as i64;
                target.set_clock(self.random.i64(-most..=most));
            }
            Garbage => self.neighbours.write_garbage(&socket, &mut self.random),
            Silence => self.neighbours.say_nothing(&socket),
            TakeOver => self.neighbours.take_over(&socket, &mut self.random),
            SlowReaders => self.neighbours.read_slowly(target.exporter.address),
            TakenName => {
                let mut stranger = OtherUser::connect(&socket);
                stranger.send("{\"hello\":\"soak-signaling\",\"instance\":\"2\"}");
                let reply = stranger.reply();
                let is_refused = reply.as_ref().is_some_and(|reply| reply.contains("name_taken"));
                target.laws.demand(is_refused, || format!("a taken name is answered by {reply:?}"));
            }
        }
    }

    /// For some seconds the disk does not do its work; the exporter may be killed or stopped meanwhile.
    fn fail(&mut self, disk: Disk, target: &mut Target) {
        target.set_disk(disk);
        target.exporter.wait_for("lifecycle_exporter_state_writable", 0.0);
        pass(Duration::from_millis(self.random.u64(..3_000)));
        let ends = self.random.u8(..4);
        match ends {
            0 => target.kill(),
            1 => target.stop(),
            _ => {}
        }
        target.set_disk(Disk::Works);
        if ends < 2 {
            target.start_again();
        }
    }
}
