"""From where on something is wrong: the same numbers in alerts and on dashboards."""

DAY = 86400
HOUR = 3600

# Recording
RECORDING_OPEN = DAY
UPLOAD_OPEN = 2 * HOUR
LEFTOVER_AGE = DAY

# Signaling
SESSIONS_SHARE = 0.9
BRUTEFORCE_TEN_MINUTES = 10
BACKEND_ERRORS_SHARE = 0.1
BACKEND_P95 = 2.0
RESUME_FAILED_SHARE = 0.5
ICE_FAILED_SHARE = 0.1
DTLS_FAILED_SHARE = 0.1
MEDIA_LOST_SHARE = 0.05
CLIENT_RTT_P95 = 500.0

# Proxy
TOKEN_ERRORS_TEN_MINUTES = 10

# edumeet: mediasoup scores streams from 0 to 10
STREAM_SCORE = 4
BAD_STREAMS_SHARE = 0.25
ROOM_OPEN = DAY

# vlog
WORKER_SILENT = 300
HTTP_ERRORS_SHARE = 0.05
HTTP_P95 = 2.0
JOBS_FAILED_HOUR = 3
QUEUE_LENGTH = 100
OLDEST_JOB = 2 * HOUR
REDIS_ERRORS_SHARE = 0.05
TASK_STALE = DAY

# The exporter itself
FEED_SILENT = 12 * HOUR
SCAN_STALE = 6 * HOUR
DESCRIPTORS_SHARE = 0.8

# What is lost, turned away or in vain: one is enough
ANY = 1
# What there must be some of
AT_LEAST = 1
