//! Every bound of the program, with its unit, in one place. What the configuration can change is in `config`.

use std::time::Duration;

/// Bytes of a label value, after its transform: longer ones are cut. A longer part of a key rejects the event.
pub(crate) const LABEL_BYTES_MAX: usize = 1_024;
/// Kinds of entities in one catalog.
pub(crate) const ENTITY_KINDS_MAX: usize = 1_000;
/// Metrics in one catalog, as many as an index of two bytes can tell apart.
pub(crate) const METRICS_MAX: usize = 65_536;
/// Fields in the key and labels of one entity kind.
pub(crate) const ENTITY_PARTS_MAX: usize = 32;
/// Fields that one event of a catalog uses.
pub(crate) const EVENT_FIELDS_MAX: usize = 64;
/// Buckets of one histogram.
pub(crate) const BUCKETS_MAX: usize = 200;
/// Numbers of entities of one system; more than `[limits] entities` can ask for at once.
pub(crate) const ENTITY_IDS_MAX: usize = 100_000_000;
/// Seconds that an event's own time may lie off the clock.
pub(crate) const EVENT_TIME_SKEW_SECONDS_MAX: f64 = 86_400.0;

/// The longest pause of a client between two attempts to connect.
pub(crate) const CLIENT_PAUSE_MAX: Duration = Duration::from_secs(5);
/// Bytes of a producer's name, and of an instance's.
pub(crate) const PRODUCER_NAME_BYTES_MAX: usize = 200;
/// Sessions whose positions are kept, connected or not; beyond it one that is away is forgotten.
pub(crate) const SESSIONS_MAX: usize = 16_384;
/// How long the position of a session is kept after its connection ended.
pub(crate) const SESSION_TTL: Duration = Duration::from_secs(86_400);
/// Lines acknowledged at once.
pub(crate) const ACK_LINES_MAX: u64 = 1_024;
/// Batches that are still read of a connection whose session another one takes over; more than a socket holds.
pub(crate) const TAKE_OVER_BATCHES_MAX: usize = 16;
/// Bytes of replies that wait for a producer; with more of them nothing is read from it.
pub(crate) const REPLY_BYTES_MAX: usize = 65_536;
/// Bytes of replies that wait for all producers together.
pub(crate) const REPLIES_BYTES_ALL_MAX: usize = 64 << 20;
/// A producer that has not read its replies for this long gets no more rejections until it does.
pub(crate) const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes read from one producer before the others have their turn.
pub(crate) const BATCH_BYTES: usize = 65_536;
/// Ready connections taken from one poll.
pub(crate) const POLL_EVENTS_MAX: usize = 256;
/// A role looks up at least this often, so that its heart beats.
pub(crate) const ROLE_IDLE_MAX: Duration = Duration::from_secs(2);
/// A role whose heart has not beaten for this long is not alive.
pub(crate) const ROLE_SILENCE_MAX: Duration = Duration::from_secs(15);
/// A pause after an accept error, for descriptors to come back.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What a scrape waits for lines that have already arrived to be applied.
pub(crate) const SCRAPE_CATCH_UP_MAX: Duration = Duration::from_millis(10);
/// Draining of the producers at a stop.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(5);
/// Messages that wait for the feed.
pub(crate) const CONTROL_QUEUE_MAX: usize = 1_024;
/// The status page shows the lines of as long a time in one.
pub(crate) const HISTORY_STRETCH: Duration = Duration::from_secs(10);
/// As many of these times are kept.
pub(crate) const HISTORY_STRETCHES: usize = 60;
/// Producers on the status page.
pub(crate) const STATUS_PRODUCERS_MAX: usize = 20;
/// Scans, and kinds of entities of each system, on the status page.
pub(crate) const STATUS_ROWS_MAX: usize = 40;
/// Characters of a name or a key on the status page.
pub(crate) const STATUS_VALUE_CHARS_MAX: usize = 80;
/// Characters of a rejected line on the status page, and of what was wrong with it.
pub(crate) const STATUS_LINE_CHARS_MAX: usize = 110;
/// Lines of one reason and event that are logged whole before only their number is.
pub(crate) const REJECTIONS_LOGGED_FIRST: u32 = 3;
/// Between two summaries of rejections.
pub(crate) const REJECTIONS_SUMMARY_EVERY: Duration = Duration::from_secs(60);
/// Characters of a rejected line in the log.
pub(crate) const LOGGED_LINE_CHARS_MAX: usize = 200;
/// User ids whose refusal is remembered so that it is logged once.
pub(crate) const REFUSED_UIDS_MAX: usize = 1_024;

/// Bytes of the journal from which on a snapshot is taken.
pub(crate) const JOURNAL_BYTES_SNAPSHOT: u64 = 32 << 20;
/// Bytes of the journal that it never passes.
pub(crate) const JOURNAL_BYTES_MAX: u64 = 64 << 20;
/// Journals in a row from which on a snapshot is taken.
pub(crate) const JOURNALS_MAX: usize = 8;
/// Time after which a snapshot is taken if there is anything new.
pub(crate) const SNAPSHOT_EVERY: Duration = Duration::from_secs(600);
/// How long the journal's thread waits for a snapshot without which the journal would become too long.
pub(crate) const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a stop waits until the state is saved.
pub(crate) const JOURNAL_FINISH_MAX: Duration = Duration::from_secs(10);
/// How long a stop waits for the journal's threads to end.
pub(crate) const JOURNAL_JOIN_MAX: Duration = Duration::from_secs(2);
/// Bytes of records that are handed to the journal's thread in one block.
pub(crate) const JOURNAL_BLOCK_BYTES: usize = 131_072;
/// Bytes of blocks that wait for the journal's thread; more of them are dropped until a snapshot makes them good.
pub(crate) const JOURNAL_QUEUE_BYTES_MAX: usize = 8 << 20;
/// How often a scrape that waits for the journal is looked at when nothing else happens.
pub(crate) const SCRAPE_POLL: Duration = Duration::from_millis(20);
/// How long a scrape waits for records to be written before it shows what has been applied.
pub(crate) const DISK_ANSWER_MAX: Duration = Duration::from_millis(100);
/// How often the journal's thread looks up when nothing happens.
pub(crate) const JOURNAL_TICK: Duration = Duration::from_secs(10);
/// Bytes of an image in one frame of a snapshot.
pub(crate) const SNAPSHOT_CHUNK_BYTES: usize = 1 << 20;
/// With `sync = interval`, the journal is forced to the disk this long after the first entry that is not there.
pub(crate) const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// After a failure to write state, until it is tried again; doubled each time.
pub(crate) const JOURNAL_RETRY_FIRST: Duration = Duration::from_millis(500);
/// The longest of these pauses.
pub(crate) const JOURNAL_RETRY_MAX: Duration = Duration::from_secs(5);

/// HTTP connections at once.
pub(crate) const HTTP_CONNECTIONS_MAX: usize = 64;
/// Answered HTTP connections whose last bytes are still drained.
pub(crate) const HTTP_LINGERING_MAX: usize = 64;
/// Bytes of a request head.
pub(crate) const HTTP_HEAD_BYTES_MAX: usize = 8_192;
/// Header lines of a request.
pub(crate) const HTTP_HEADERS_MAX: usize = 100;
/// From accept to the end of the head.
pub(crate) const HTTP_HEAD_TIME_MAX: Duration = Duration::from_secs(5);
/// From the end of the head to the last byte of the response.
pub(crate) const HTTP_RESPONSE_TIME_MAX: Duration = Duration::from_secs(30);
/// Reading on after the response, so that closing does not reset it away.
pub(crate) const HTTP_LINGER_TIME_MAX: Duration = Duration::from_secs(1);
/// Bytes read and thrown away while lingering.
pub(crate) const HTTP_LINGER_BYTES_MAX: usize = 262_144;
/// What a worker waits for the feed's answer.
pub(crate) const SCRAPE_WAIT_MAX: Duration = Duration::from_secs(10);
/// Descriptors kept for what is neither a producer nor an HTTP connection.
pub(crate) const DESCRIPTORS_RESERVED: u64 = 48;

/// Names kept by the reverse look-up.
pub(crate) const NAMES_MAX: usize = 4_096;
/// Addresses that wait for their name.
pub(crate) const NAMES_QUEUE_MAX: usize = 256;
/// Folders within folders that a scan follows.
pub(crate) const SCAN_DEPTH_MAX: usize = 128;

/// Bytes that `send` keeps until they are acknowledged.
pub(crate) const SEND_BYTES_MAX: usize = 4 << 20;
/// Bytes of a line that `send` takes; the exporter takes no longer ones.
pub(crate) const SEND_LINE_BYTES_MAX: u64 = 16_777_216;
/// Before `send` tries to connect again; doubled each time, and spread.
pub(crate) const SEND_RETRY_FIRST: Duration = Duration::from_millis(50);
/// The longest of these pauses.
pub(crate) const SEND_RETRY_MAX: Duration = Duration::from_secs(1);
/// How long `send` waits without any line being acknowledged.
pub(crate) const SEND_PATIENCE: Duration = Duration::from_secs(30);
/// How long `send` waits for the exporter to close a session that has said bye.
pub(crate) const SEND_BYE_PATIENCE: Duration = Duration::from_secs(5);
/// How long a start waits to see whether somebody listens at a socket file.
pub(crate) const SOCKET_TRY: Duration = Duration::from_secs(1);
/// How long `send` waits for the first answer.
pub(crate) const SEND_PATIENCE_FIRST: Duration = Duration::from_secs(10);
/// How often `send` looks up when nothing happens.
pub(crate) const SEND_TICK: Duration = Duration::from_millis(50);
/// How often `send` shows how far it is.
pub(crate) const SEND_PROGRESS_EVERY: Duration = Duration::from_millis(500);
