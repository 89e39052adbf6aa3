// A function for each event of the built-in systems. Made from the exporter's catalogs; not to be edited.

/** What a label takes. */
export type Label = string | number | boolean;

/** Unix seconds, where the event did not happen just now. */
export interface At {
  time?: number;
}

/** Nextcloud Talk recording server */
export interface Recording {
  /** `recording.server_started` */
  serverStarted(fields?: At): void;
  /** `recording.backend_configured` */
  backendConfigured(fields: { backend: Label } & At): void;
  /** `recording.started` */
  started(fields: { backend: Label; recording: Label } & At): void;
  /** `recording.failed` */
  failed(fields: { backend: Label; recording: Label } & At): void;
  /** `recording.stopped` */
  stopped(fields: { backend: Label; recording: Label; duration?: number } & At): void;
  /** `recording.uploaded` */
  uploaded(fields: { backend: Label; recording: Label } & At): void;
  /** `recording.upload_failed` */
  uploadFailed(fields: { backend: Label; recording: Label } & At): void;
}

/** Nextcloud signaling server */
export interface Signaling {
  /** `signaling.server_started` */
  serverStarted(fields?: At): void;
  /** `signaling.backend.added` */
  backendAdded(fields: { backend: Label; limit?: number } & At): void;
  /** `signaling.backend.limit_changed` */
  backendLimitChanged(fields: { backend: Label; limit: number } & At): void;
  /** `signaling.backend.limit_exceeded` */
  backendLimitExceeded(fields: { backend: Label } & At): void;
  /** `signaling.backend.removed` */
  backendRemoved(fields: { backend: Label } & At): void;
  /** `signaling.backend_request.finished` */
  backendRequestFinished(fields: { backend: Label; duration: number; error?: Label } & At): void;
  /** `signaling.session.joined` */
  sessionJoined(fields: { session: Label; backend: Label; clienttype: Label; country?: Label } & At): void;
  /** `signaling.session.resumed` */
  sessionResumed(fields: { session: Label } & At): void;
  /** `signaling.session.resume_failed` */
  sessionResumeFailed(fields?: At): void;
  /** `signaling.session.left` */
  sessionLeft(fields: { session: Label } & At): void;
  /** `signaling.room.opened` */
  roomOpened(fields: { backend: Label; room: Label } & At): void;
  /** `signaling.room.closed` */
  roomClosed(fields: { backend: Label; room: Label } & At): void;
  /** `signaling.room.joined` */
  roomJoined(fields: { backend: Label; room: Label; session: Label } & At): void;
  /** `signaling.room.left` */
  roomLeft(fields: { backend: Label; room: Label; session: Label } & At): void;
  /** `signaling.call.started` */
  callStarted(fields: { backend: Label; room: Label } & At): void;
  /** `signaling.call.joined` */
  callJoined(fields: { backend: Label; room: Label; session: Label } & At): void;
  /** `signaling.call.left` */
  callLeft(fields: { backend: Label; room: Label; session: Label } & At): void;
  /** `signaling.message.received` */
  messageReceived(fields: { type: Label } & At): void;
  /** `signaling.publisher.created` */
  publisherCreated(fields: { publisher: Label; type: Label } & At): void;
  /** `signaling.publisher.closed` */
  publisherClosed(fields: { publisher: Label } & At): void;
  /** `signaling.publisher.stream_added` */
  publisherStreamAdded(fields: { publisher: Label; type: Label } & At): void;
  /** `signaling.publisher.stream_removed` */
  publisherStreamRemoved(fields: { publisher: Label; type: Label } & At): void;
  /** `signaling.subscriber.created` */
  subscriberCreated(fields: { subscriber: Label; type: Label } & At): void;
  /** `signaling.subscriber.closed` */
  subscriberClosed(fields: { subscriber: Label } & At): void;
  /** `signaling.subscriber.stream_added` */
  subscriberStreamAdded(fields: { subscriber: Label; type: Label } & At): void;
  /** `signaling.subscriber.stream_removed` */
  subscriberStreamRemoved(fields: { subscriber: Label; type: Label } & At): void;
  /** `signaling.subscriber.no_publisher` */
  subscriberNoPublisher(fields: { type: Label } & At): void;
  /** `signaling.mcu.message` */
  mcuMessage(fields: { type: Label } & At): void;
  /** `signaling.mcu.bandwidth` */
  mcuBandwidth(fields: { incoming: number; outgoing: number } & At): void;
  /** `signaling.mcu.no_backend_available` */
  mcuNoBackendAvailable(fields: { type: Label } & At): void;
  /** `signaling.proxy_backend.added` */
  proxyBackendAdded(fields: { url: Label } & At): void;
  /** `signaling.proxy_backend.removed` */
  proxyBackendRemoved(fields: { url: Label } & At): void;
  /** `signaling.proxy_backend.connected` */
  proxyBackendConnected(fields: { url: Label; country?: Label } & At): void;
  /** `signaling.proxy_backend.disconnected` */
  proxyBackendDisconnected(fields: { url: Label } & At): void;
  /** `signaling.proxy_backend.load` */
  proxyBackendLoad(fields: { url: Label; load: number; incoming?: number; outgoing?: number; bandwidth_incoming?: number; bandwidth_outgoing?: number } & At): void;
  /** `signaling.grpc.client_added` */
  grpcClientAdded(fields: { target: Label } & At): void;
  /** `signaling.grpc.client_removed` */
  grpcClientRemoved(fields: { target: Label } & At): void;
  /** `signaling.grpc.client_call` */
  grpcClientCall(fields: { method: Label } & At): void;
  /** `signaling.grpc.server_call` */
  grpcServerCall(fields: { method: Label } & At): void;
  /** `signaling.http_pool.connections` */
  httpPoolConnections(fields: { host: Label; connections: number } & At): void;
  /** `signaling.throttle.delayed` */
  throttleDelayed(fields: { action: Label; delay: Label } & At): void;
  /** `signaling.throttle.rejected` */
  throttleRejected(fields: { action: Label } & At): void;
  /** `signaling.client.rtt` */
  clientRtt(fields: { rtt: number } & At): void;
  /** `signaling.client.traffic` */
  clientTraffic(fields: { direction: Label; bytes: number; messages?: number } & At): void;
  /** `signaling.mcu.candidate_selected` */
  mcuCandidateSelected(fields: { origin: Label; type: Label; transport: Label; family: Label } & At): void;
  /** `signaling.mcu.peerconnection_state` */
  mcuPeerconnectionState(fields: { state: Label; reason: Label } & At): void;
  /** `signaling.mcu.ice_state` */
  mcuIceState(fields: { state: Label } & At): void;
  /** `signaling.mcu.dtls_state` */
  mcuDtlsState(fields: { state: Label } & At): void;
  /** `signaling.mcu.slow_link` */
  mcuSlowLink(fields: { media: Label; direction: Label } & At): void;
  /** `signaling.mcu.media_rtt` */
  mcuMediaRtt(fields: { media: Label; rtt: number } & At): void;
  /** `signaling.mcu.media_jitter` */
  mcuMediaJitter(fields: { media: Label; origin: Label; jitter: number } & At): void;
  /** `signaling.mcu.media_codec` */
  mcuMediaCodec(fields: { media: Label; codec: Label } & At): void;
  /** `signaling.mcu.media_nacks` */
  mcuMediaNacks(fields: { media: Label; direction: Label; count: number } & At): void;
  /** `signaling.mcu.media_retransmissions` */
  mcuMediaRetransmissions(fields: { media: Label; count: number } & At): void;
  /** `signaling.mcu.media_bytes` */
  mcuMediaBytes(fields: { media: Label; direction: Label; bytes: number } & At): void;
  /** `signaling.mcu.media_lost` */
  mcuMediaLost(fields: { media: Label; origin: Label; count: number } & At): void;
}

/** Nextcloud signaling proxy */
export interface Proxy {
  /** `proxy.server_started` */
  serverStarted(fields?: At): void;
  /** `proxy.session.created` */
  sessionCreated(fields: { session: Label } & At): void;
  /** `proxy.session.closed` */
  sessionClosed(fields: { session: Label } & At): void;
  /** `proxy.session.resumed` */
  sessionResumed(fields: { session: Label } & At): void;
  /** `proxy.publisher.created` */
  publisherCreated(fields: { publisher: Label; type: Label; session: Label } & At): void;
  /** `proxy.publisher.closed` */
  publisherClosed(fields: { publisher: Label } & At): void;
  /** `proxy.subscriber.created` */
  subscriberCreated(fields: { subscriber: Label; type: Label; session: Label } & At): void;
  /** `proxy.subscriber.closed` */
  subscriberClosed(fields: { subscriber: Label } & At): void;
  /** `proxy.command.received` */
  commandReceived(fields: { type: Label } & At): void;
  /** `proxy.payload.received` */
  payloadReceived(fields: { type: Label } & At): void;
  /** `proxy.token.rejected` */
  tokenRejected(fields: { reason: Label } & At): void;
  /** `proxy.load.changed` */
  loadChanged(fields: { load: number } & At): void;
}

/** edumeet and mediasoup */
export interface Edumeet {
  /** `edumeet.server_started` */
  serverStarted(fields?: At): void;
  /** `edumeet.room.opened` */
  roomOpened(fields: { room_id: Label } & At): void;
  /** `edumeet.room.closed` */
  roomClosed(fields: { room_id: Label } & At): void;
  /** `edumeet.peer.joined` */
  peerJoined(fields: { peer_id: Label; room_id: Label; display_name?: Label; user_agent?: Label } & At): void;
  /** `edumeet.peer.left` */
  peerLeft(fields: { peer_id: Label } & At): void;
  /** `edumeet.transport.connected` */
  transportConnected(fields: { transport_id: Label; pid: Label; proto: Label; local_addr: Label; remote_addr: Label; peer_id: Label } & At): void;
  /** `edumeet.transport.closed` */
  transportClosed(fields: { transport_id: Label } & At): void;
  /** `edumeet.producer.created` */
  producerCreated(fields: { id: Label; kind: Label; codec: Label; transport_id: Label } & At): void;
  /** `edumeet.producer.closed` */
  producerClosed(fields: { id: Label } & At): void;
  /** `edumeet.producer.stats` */
  producerStats(fields: { id: Label; type: Label; byte_count: number; score: number } & At): void;
  /** `edumeet.consumer.created` */
  consumerCreated(fields: { id: Label; kind: Label; codec: Label; transport_id: Label } & At): void;
  /** `edumeet.consumer.closed` */
  consumerClosed(fields: { id: Label } & At): void;
  /** `edumeet.consumer.stats` */
  consumerStats(fields: { id: Label; type: Label; byte_count: number; score: number } & At): void;
}

/** vlog video platform */
export interface Vlog {
  /** `vlog.server_started` */
  serverStarted(fields: { version: Label } & At): void;
  /** `vlog.http.request_started` */
  httpRequestStarted(fields: { request: Label; api: Label } & At): void;
  /** `vlog.http.request_finished` */
  httpRequestFinished(fields: { request: Label; method: Label; endpoint: Label; status_code: Label; duration?: number } & At): void;
  /** `vlog.http.request` */
  httpRequest(fields: { method: Label; endpoint: Label; status_code: Label; api: Label; duration?: number } & At): void;
  /** `vlog.video.added` */
  videoAdded(fields: { video: Label; status: Label } & At): void;
  /** `vlog.video.status_changed` */
  videoStatusChanged(fields: { status: Label; video: Label } & At): void;
  /** `vlog.video.removed` */
  videoRemoved(fields: { video: Label } & At): void;
  /** `vlog.video.uploaded` */
  videoUploaded(fields: { result: Label } & At): void;
  /** `vlog.video.viewed` */
  videoViewed(fields?: At): void;
  /** `vlog.playback.started` */
  playbackStarted(fields: { session: Label } & At): void;
  /** `vlog.playback.ended` */
  playbackEnded(fields: { session: Label } & At): void;
  /** `vlog.playback.watched` */
  playbackWatched(fields: { seconds: number } & At): void;
  /** `vlog.job.started` */
  jobStarted(fields: { job: Label } & At): void;
  /** `vlog.job.completed` */
  jobCompleted(fields: { job: Label; worker_name: Label } & At): void;
  /** `vlog.job.failed` */
  jobFailed(fields: { job: Label } & At): void;
  /** `vlog.job.retried` */
  jobRetried(fields: { job: Label } & At): void;
  /** `vlog.job.quality_finished` */
  jobQualityFinished(fields: { quality: Label; duration: number } & At): void;
  /** `vlog.queue.changed` */
  queueChanged(fields: { size: number } & At): void;
  /** `vlog.worker.registered` */
  workerRegistered(fields: { worker_id: Label; worker_name: Label; status: Label } & At): void;
  /** `vlog.worker.status_changed` */
  workerStatusChanged(fields: { status: Label; worker_id: Label; worker_name?: Label } & At): void;
  /** `vlog.worker.heartbeat` */
  workerHeartbeat(fields: { worker_id: Label; result: Label; worker_name?: Label; status?: Label } & At): void;
  /** `vlog.worker.heartbeat_failed` */
  workerHeartbeatFailed(fields: { worker_id: Label } & At): void;
  /** `vlog.worker.removed` */
  workerRemoved(fields: { worker_id: Label } & At): void;
  /** `vlog.reencode.queue_changed` */
  reencodeQueueChanged(fields: { status: Label; size: number } & At): void;
  /** `vlog.reencode.finished` */
  reencodeFinished(fields: { status: Label } & At): void;
  /** `vlog.db.connections` */
  dbConnections(fields: { connections: number } & At): void;
  /** `vlog.db.retried` */
  dbRetried(fields?: At): void;
  /** `vlog.db.query` */
  dbQuery(fields: { operation: Label; duration: number } & At): void;
  /** `vlog.redis.operation` */
  redisOperation(fields: { operation: Label; result: Label } & At): void;
  /** `vlog.redis.circuit` */
  redisCircuit(fields: { state: number } & At): void;
  /** `vlog.storage.operation` */
  storageOperation(fields: { operation: Label; result: Label } & At): void;
  /** `vlog.storage.written` */
  storageWritten(fields: { bytes: number } & At): void;
  /** `vlog.storage.removed` */
  storageRemoved(fields: { bytes: number } & At): void;
  /** `vlog.storage.reconciled` */
  storageReconciled(fields: { status: number; bytes?: number } & At): void;
  /** `vlog.task.succeeded` */
  taskSucceeded(fields: { task_name: Label; duration: number } & At): void;
  /** `vlog.task.failed` */
  taskFailed(fields: { task_name: Label; duration: number } & At): void;
}

/** The built-in systems, each with its events. */
export interface Systems {
  readonly recording: Recording;
  readonly signaling: Signaling;
  readonly proxy: Proxy;
  readonly edumeet: Edumeet;
  readonly vlog: Vlog;
}
