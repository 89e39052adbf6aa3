//! Bounds of queues, waits and sizes, each with its unit. Settings with their ranges are in `config`; bounds
//! that belong to a file format are in `format`.

use std::time::Duration;

/// Bytes of a configuration file.
pub(crate) const CONFIG_BYTES_MAX: usize = 1 << 20;
/// Bytes of a catalog.
pub(crate) const CATALOG_BYTES_MAX: usize = 16 << 20;
/// Bytes of all catalogs of a directory.
pub(crate) const CATALOGS_BYTES_MAX: usize = 64 << 20;
/// Files in a catalog directory, catalogs or not.
pub(crate) const CATALOG_FILES_MAX: usize = 1_000;
/// Bytes of a line in a configuration file or catalog.
pub(crate) const INI_LINE_BYTES_MAX: usize = 65_536;
/// Names in one list of a catalog.
pub(crate) const LIST_NAMES_MAX: usize = 256;
/// Bytes of the names that an error lists as those that were expected.
pub(crate) const EXPECTED_BYTES_MAX: usize = 1_000;
/// Faults that are named one by one.
pub(crate) const FAULTS_MAX: usize = 1_000;
/// Bytes of a label value after its transform. A longer value is cut; if it is part of a key, the event is
/// rejected.
pub(crate) const LABEL_BYTES_MAX: usize = 1_024;
/// Bytes of an open entity beside its text, as they are reckoned for `[limits] memory`.
pub(crate) const ENTITY_BYTES: usize = 128;
/// Bytes of a series beside its text and its buckets.
pub(crate) const SERIES_BYTES: usize = 96;
/// Bytes of a running total that no entity owns, beside its text.
pub(crate) const TOTAL_BYTES: usize = 48;
/// Kinds of entities in one catalog.
pub(crate) const ENTITY_KINDS_MAX: usize = 1_000;
/// Metrics in one catalog. Their index has two bytes.
pub(crate) const METRICS_MAX: usize = 65_536;
/// Fields in the key and labels of one kind of entity.
pub(crate) const ENTITY_PARTS_MAX: usize = 32;
/// Fields that one event of a catalog uses. A bit set of them has 64 bits.
pub(crate) const EVENT_FIELDS_MAX: usize = 64;
/// Labels of one metric.
pub(crate) const METRIC_LABELS_MAX: usize = 64;
/// Parents of one kind of entity.
pub(crate) const ENTITY_PARENTS_MAX: usize = 32;
/// Steps of one event, with the gauges that its entities bring along.
pub(crate) const EVENT_STEPS_MAX: usize = 1_000;
/// Entities that are looked at while the events of one catalog are compiled. The built-in catalogs take some
/// thousands.
pub(crate) const CATALOG_WORK_MAX: usize = 8_000_000;
/// What a step of an event counts in entities.
pub(crate) const STEP_WORK: usize = 32;
/// Entity ids that are looked at in one piece of an abandonment.
pub(crate) const ABANDON_FIND_IDS: usize = if cfg!(test) { 2 } else { 65_536 };
/// Entities that are abandoned in one piece.
pub(crate) const ABANDON_PIECE: usize = if cfg!(test) { 2 } else { 256 };
/// Series that are looked at in one piece for the addresses they have.
pub(crate) const NAME_INDEX_PIECE: u32 = if cfg!(test) { 2 } else { 4_096 };
/// Series that get a name in one piece, about, if that makes no more pieces of them than the second number says: each
/// piece goes through the order of all series of the metric.
pub(crate) const NAME_PIECE: usize = if cfg!(test) { 2 } else { 1_024 };
pub(crate) const NAME_PIECES_MAX: usize = 16;
/// Entities that are closed in one piece.
pub(crate) const CLOSE_PIECE: usize = if cfg!(test) { 2 } else { 4_096 };
/// Bytes of a compiled pattern of a `[line]`, and of all of them together.
pub(crate) const PATTERN_BYTES_MAX: usize = 4 << 20;
/// Buckets of one histogram.
pub(crate) const BUCKETS_MAX: usize = 200;
/// Entity ids of one system; more than `[limits] entities` allows to be open.
pub(crate) const ENTITY_IDS_MAX: usize = 100_000_000;
/// Seconds between an event's own time and its arrival, beyond which the event's time is ignored.
pub(crate) const EVENT_TIME_SKEW_SECONDS_MAX: f64 = 86_400.0;

/// The longest pause between two attempts of a client to connect.
pub(crate) const CLIENT_PAUSE_MAX: Duration = Duration::from_secs(5);
/// Bytes of a producer's name, and of an instance's.
pub(crate) const PRODUCER_NAME_BYTES_MAX: usize = 200;
/// Sessions whose positions are kept, connected or not. Beyond it a disconnected one is dropped.
pub(crate) const SESSIONS_MAX: usize = 16_384;
/// How long the position of a session is kept after its connection ended.
pub(crate) const SESSION_TTL: Duration = Duration::from_secs(86_400);
/// Lines acknowledged at once.
pub(crate) const ACK_LINES_MAX: u64 = 1_024;
/// Batches that are still read of a connection whose session another one takes over; more than a socket
/// holds.
pub(crate) const TAKE_OVER_BATCHES_MAX: usize = 16;
/// Bytes of unsent replies of one producer. Beyond it the feed does not read from that producer.
pub(crate) const REPLY_BYTES_MAX: usize = 65_536;
/// Bytes of unsent replies of all producers together.
pub(crate) const REPLIES_BYTES_ALL_MAX: usize = 64 << 20;
/// A producer that has not read its replies for this long gets no more rejections until it does.
pub(crate) const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes read from one producer before it is another's turn.
pub(crate) const BATCH_BYTES: usize = 65_536;
/// Bytes of lines that are applied before the feed looks at the clock.
pub(crate) const PIECE_BYTES: usize = 2_048;
/// How long one producer's turn lasts, give or take one piece.
pub(crate) const TURN_MAX: Duration = Duration::from_millis(2);
/// How long producers have their turns before the feed looks at requests of other threads.
pub(crate) const ROUND_MAX: Duration = Duration::from_millis(5);
/// How long the feed reads what a connection has still written before it ends or another takes its session over,
/// beside the time for what those lines begin.
pub(crate) const READ_OUT_MAX: Duration = Duration::from_millis(50);
/// Ready connections taken from one poll.
pub(crate) const POLL_EVENTS_MAX: usize = 256;
/// The longest wait of a role between two heartbeats.
pub(crate) const ROLE_IDLE_MAX: Duration = Duration::from_secs(2);
/// A role without a heartbeat for this long counts as dead.
pub(crate) const ROLE_TIMEOUT: Duration = Duration::from_secs(15);
/// Pause after an accept error, until descriptors may be free again.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a scrape waits until the lines that have arrived are applied.
pub(crate) const SCRAPE_CATCH_UP_MAX: Duration = Duration::from_millis(10);
/// How long a stop takes, from the signal to the end of the process. A little less than the five seconds that
/// are promised.
pub(crate) const STOP_MAX: Duration = Duration::from_millis(4_500);
/// What the feed leaves of that to the responses in progress and to the journal's threads.
pub(crate) const STOP_AFTER_FEED: Duration = Duration::from_millis(500);
/// What the feed leaves of its part for saving the state.
pub(crate) const STOP_SAVE: Duration = Duration::from_millis(1_500);
/// How long a stop waits for responses in progress.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(5);
/// How long a reload may read the configuration before it counts as failed.
pub(crate) const RELOAD_MAX: Duration = Duration::from_secs(30);
/// How long the supervisor waits for room in the feed's mailbox.
pub(crate) const MAILBOX_ROOM_MAX: Duration = Duration::from_secs(1);
/// Messages in the feed's mailbox.
pub(crate) const CONTROL_QUEUE_MAX: usize = 1_024;
/// Width of one bar in the status page's history.
pub(crate) const HISTORY_STRETCH: Duration = Duration::from_secs(10);
/// Bars in the status page's history.
pub(crate) const HISTORY_STRETCHES: usize = 60;
/// Entities that `/api/v1/open` lists unless it is asked for fewer or more, and at most.
pub(crate) const OPEN_SHOWN: usize = 1_000;
pub(crate) const OPEN_SHOWN_MAX: usize = 10_000;
/// Letters of a word for which a near one is looked for.
pub(crate) const MEANT_LETTERS_MAX: usize = 100;
/// Producers on the status page.
pub(crate) const STATUS_PRODUCERS_MAX: usize = 20;
/// Scans, and kinds of entities of each system, on the status page.
pub(crate) const STATUS_ROWS_MAX: usize = 40;
/// Open entities of each kind on the status page, the oldest.
pub(crate) const STATUS_OPEN_MAX: usize = 10;
/// Lines kept of each reason for which lines are rejected, for the status page.
pub(crate) const REJECTIONS_KEPT: usize = 5;
/// So many lines of a reason are kept for it within this time; further ones are only counted.
pub(crate) const REJECTIONS_KEPT_WITHIN_MAX: u32 = 100;
pub(crate) const REJECTIONS_KEPT_WITHIN: Duration = Duration::from_secs(1);
/// Addresses that were denied, on the status page.
pub(crate) const DENIALS_KEPT: usize = 10;
/// Characters of a name or a key on the status page.
pub(crate) const STATUS_VALUE_CHARS_MAX: usize = 80;
/// Characters of a rejected line, and of its reason, on the status page.
pub(crate) const STATUS_LINE_CHARS_MAX: usize = 110;
/// Rejected lines of one reason and event that are logged one by one. Later ones are summarized.
pub(crate) const REJECTIONS_LOGGED_FIRST: u32 = 3;
/// Time between two summaries of rejections.
pub(crate) const REJECTIONS_SUMMARY_EVERY: Duration = Duration::from_secs(60);
/// Characters of a rejected line in the log.
pub(crate) const LOGGED_LINE_CHARS_MAX: usize = 200;
/// Lines of one kind of message in the log that are written at once.
pub(crate) const LOG_LINES_AT_ONCE_MAX: u32 = 50;
/// Lines of one kind of message that are written in a minute, once those are used up.
pub(crate) const LOG_LINES_PER_MINUTE: u32 = 10;
/// Bytes of the log that wait for standard error; more of them are left out.
pub(crate) const LOG_QUEUE_BYTES_MAX: usize = 1 << 20;
/// How long a stop waits for standard error.
pub(crate) const LOG_FINISH_MAX: Duration = Duration::from_millis(250);
/// How often the log is asked for messages that were left out.
pub(crate) const LOG_SUMMARY_TICK: Duration = Duration::from_secs(10);
/// Refused user ids that are remembered, so that each is logged once.
pub(crate) const REFUSED_UIDS_MAX: usize = 1_024;

/// Bytes of the journal that trigger a snapshot.
pub(crate) const JOURNAL_BYTES_SNAPSHOT: u64 = 32 << 20;
/// Bytes of the journal that it never passes.
pub(crate) const JOURNAL_BYTES_MAX: u64 = 64 << 20;
/// Journal files without a snapshot that trigger one.
pub(crate) const JOURNALS_MAX: usize = 8;
/// Time after which changed state is saved as a snapshot.
pub(crate) const SNAPSHOT_EVERY: Duration = Duration::from_secs(600);
/// How long the journal's thread waits for a snapshot without which the journal would become too long.
pub(crate) const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a stop waits for the last acknowledgements.
pub(crate) const STOP_ACK_MAX: Duration = Duration::from_secs(1);
/// How long records are kept back from the journal's thread where nobody waits for them.
pub(crate) const JOURNAL_DELAY: Duration = Duration::from_millis(50);
/// Bytes of records that are handed to the journal's thread in one block.
pub(crate) const JOURNAL_BLOCK_BYTES: usize = 131_072;
/// Bytes of blocks that wait for the journal's thread; more of them are dropped until a snapshot makes them
/// good.
pub(crate) const JOURNAL_QUEUE_BYTES_MAX: usize = 8 << 20;
/// Bytes of blocks that wait for the journal's thread from which on producers are not read, as long as the
/// disk answers.
pub(crate) const JOURNAL_QUEUE_BYTES_HIGH: usize = 4 << 20;
/// Orders that the journal's thread carries out before it publishes how far it is.
pub(crate) const JOURNAL_ORDERS_MAX: usize = 32;
/// A disk that has not answered for so long is not waited for by producers.
pub(crate) const DISK_SILENCE_MAX: Duration = Duration::from_secs(1);
/// How often a scrape that waits for the journal is looked at when nothing else happens.
pub(crate) const SCRAPE_POLL: Duration = Duration::from_millis(20);
/// How long a scrape waits for records to be written before it shows what has been applied.
pub(crate) const DISK_ANSWER_MAX: Duration = Duration::from_millis(100);
/// How often the journal's thread looks up when nothing happens.
pub(crate) const JOURNAL_TICK: Duration = Duration::from_secs(10);
/// Series or entities that are copied into an image before the feed looks at the clock.
pub(crate) const IMAGE_PIECE: usize = 4_096;
/// Bytes of an image in one frame of a snapshot.
pub(crate) const SNAPSHOT_CHUNK_BYTES: usize = 1 << 20;
/// With `sync = interval`, the journal is forced to the disk this long after the first entry that is not
/// there.
pub(crate) const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// Time between a failed write of state and the first retry. It doubles with each failure.
pub(crate) const JOURNAL_RETRY_FIRST: Duration = Duration::from_millis(500);
/// The longest time between two retries.
pub(crate) const JOURNAL_RETRY_MAX: Duration = Duration::from_secs(5);

/// HTTP connections in service at once.
pub(crate) const HTTP_CONNECTIONS_MAX: usize = 64;
/// HTTP connections that have their response and linger until the client closes.
pub(crate) const HTTP_LINGERING_MAX: usize = 64;
/// Bytes of a request head.
pub(crate) const HTTP_HEAD_BYTES_MAX: usize = 8_192;
/// Time after accept that a connection has for its head before another may take its place. A full kernel
/// queue of new connections is served within a second all the same.
pub(crate) const HTTP_HEAD_TIME_MIN: Duration = Duration::from_millis(100);
/// Header fields of a request.
pub(crate) const HTTP_HEADERS_MAX: usize = 100;
/// Time from accept to the end of the head.
pub(crate) const HTTP_HEAD_TIME_MAX: Duration = Duration::from_secs(5);
/// Time from the end of the head to the last byte of the response.
pub(crate) const HTTP_RESPONSE_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a connection lingers: unread input at close would reset it, and the client could lose the
/// response.
pub(crate) const HTTP_LINGER_TIME_MAX: Duration = Duration::from_secs(1);
/// Bytes read and discarded while a connection lingers.
pub(crate) const HTTP_LINGER_BYTES_MAX: usize = 262_144;
/// Time that a client has for taking its response before the memory may be needed for another.
pub(crate) const HTTP_RESPONSE_TIME_MIN: Duration = Duration::from_secs(3);
/// Bytes of responses under way from which on no other response is begun. As many more as the workers are
/// making at that moment may be added.
pub(crate) const HTTP_RESPONSE_BYTES_MAX: usize = 64 << 20;
/// How long a request waits for these bytes to become fewer: longer than the slowest client may keep them,
/// and half of the time that Prometheus gives a scrape by default.
pub(crate) const HTTP_ROOM_WAIT_MAX: Duration = Duration::from_secs(5);
/// Characters of the host that a response names; as many as a name in DNS has.
pub(crate) const HOST_CHARS_SHOWN_MAX: usize = 253;
/// How long a worker waits for the feed's answer.
pub(crate) const SCRAPE_WAIT_MAX: Duration = Duration::from_secs(10);
/// File descriptors for everything that is not a connection.
pub(crate) const DESCRIPTORS_RESERVED: u64 = 48;

/// Names in the reverse DNS cache.
pub(crate) const NAMES_MAX: usize = 4_096;
/// Addresses that wait for a reverse look-up.
pub(crate) const NAMES_QUEUE_MAX: usize = 256;
/// Levels of folders that a scan descends. It holds two descriptors for each.
pub(crate) const SCAN_DEPTH_MAX: usize = 64;

/// Bytes of unacknowledged lines that `send` keeps.
pub(crate) const SEND_BYTES_MAX: usize = 4 << 20;
/// Bytes of a line that `send` accepts; as many as `[events] max_line` can allow.
pub(crate) const SEND_LINE_BYTES_MAX: u64 = 16_777_216;
/// Time before `send` connects again. It doubles with each attempt, and is randomized.
pub(crate) const SEND_RETRY_FIRST: Duration = Duration::from_millis(50);
/// The longest time between two attempts.
pub(crate) const SEND_RETRY_MAX: Duration = Duration::from_secs(1);
/// How long `send` waits for the next acknowledgement.
pub(crate) const SEND_ACK_TIMEOUT: Duration = Duration::from_secs(30);
/// How long `send` waits for the exporter to close a session after its bye.
pub(crate) const SEND_BYE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a start reads the state before it says that it still does.
pub(crate) const START_NOTICE_FIRST: Duration = Duration::from_secs(2);
/// How often it says so again. systemd gives it twice as long each time.
pub(crate) const START_NOTICE_EVERY: Duration = Duration::from_secs(30);
/// How long a start waits to learn whether another process listens on the socket.
pub(crate) const SOCKET_TRY: Duration = Duration::from_secs(1);
/// How long `send` waits for the first reply.
pub(crate) const SEND_REPLY_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that the exporter closes without an answer, until `send` takes that for a refusal. One that is just
/// ending closes them, too.
pub(crate) const SEND_REFUSALS_MAX: u32 = 3;
/// How often `send` checks its timeouts.
pub(crate) const SEND_TICK: Duration = Duration::from_millis(50);
/// How often `send` shows its progress.
pub(crate) const SEND_PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// How long `open` and `check --alive` wait for a connection.
pub(crate) const ASK_CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long they wait for the end of the answer; longer than an exporter waits for its feed and for room.
pub(crate) const ASK_MAX: Duration = Duration::from_secs(20);
/// Bytes of an answer that they read.
pub(crate) const ASK_BYTES_MAX: usize = if cfg!(test) { 4_096 } else { 64 << 20 };
/// Characters that they show of what the exporter says of a refusal.
pub(crate) const ASK_SAID_CHARS_MAX: usize = 1_000;

/// Bytes of a line of a log that are looked at; what follows in it is passed over.
pub(crate) const LOG_LINE_BYTES_MAX: usize = 65_536;
/// Bytes read from a log at once.
pub(crate) const LOG_READ_BYTES: usize = 65_536;
/// Bytes of one entry of the journal in JSON; a longer one is passed over.
pub(crate) const JOURNAL_ENTRY_BYTES_MAX: usize = 4 << 20;
/// Events that `follow` sends at once; as many as are acknowledged at once.
pub(crate) const FOLLOW_EVENTS_MAX: usize = 1_024;
/// Bytes of such events.
pub(crate) const FOLLOW_BYTES_MAX: usize = 262_144;
/// How often `follow` looks whether a file has more.
pub(crate) const FOLLOW_POLL: Duration = Duration::from_millis(100);
/// How often `follow` keeps how far it has read where there are no events.
pub(crate) const POSITION_EVERY: Duration = Duration::from_secs(10);
/// Bytes of a position file: what waits, the changes of a batch with one more event, and the places behind its events.
pub(crate) const POSITION_BYTES_MAX: usize = 4 << 20;
/// How long `follow` waits before it tries again to write its position, to open its log or to start `journalctl`.
pub(crate) const FOLLOW_RETRY: Duration = Duration::from_secs(1);
/// How long an event of a log waits for another one at most.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(3_600);
/// Bytes of a log's events that wait; with more, those that have waited longest happen at once.
pub(crate) const WAITING_BYTES_MAX: usize = 1 << 20;
/// What each of them, and each change of what waits, costs beside its texts.
pub(crate) const WAITING_EVENT_BYTES: usize = 32;
/// How long a stop of `follow` waits for acknowledgements.
pub(crate) const FOLLOW_STOP_MAX: Duration = Duration::from_secs(2);
/// A journal that has not been read for so long, because there was no exporter, may have been vacuumed meanwhile.
pub(crate) const JOURNAL_PAUSE_MAX: Duration = Duration::from_secs(10);
/// Bytes at the beginning of a file by which it is known again.
pub(crate) const FILE_HEAD_BYTES: usize = 256;
/// Lines that matched nothing which `follow --try` shows.
pub(crate) const TRIAL_LINES_MAX: usize = 10;
