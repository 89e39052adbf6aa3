// A function for each event of the built-in systems.

// Code generated from the exporter's catalogs. DO NOT EDIT.

package lifecycle

// systems holds the built-in systems, each with its events.
type systems struct {
	// Nextcloud Talk recording server.
	Recording Recording
	// Nextcloud signaling server.
	Signaling Signaling
	// Nextcloud signaling proxy.
	Proxy Proxy
	// edumeet and mediasoup.
	Edumeet Edumeet
	// vlog video platform.
	Vlog Vlog
}

func newSystems(client *Client) systems {
	return systems{
		Recording: Recording{client},
		Signaling: Signaling{client},
		Proxy:     Proxy{client},
		Edumeet:   Edumeet{client},
		Vlog:      Vlog{client},
	}
}

// Recording is the Nextcloud Talk recording server.
type Recording struct{ client *Client }

// ServerStarted reports recording.server_started.
func (s Recording) ServerStarted(more ...Field) {
	s.client.Emit("recording.server_started", more...)
}

// BackendConfigured reports recording.backend_configured.
func (s Recording) BackendConfigured(backend string, more ...Field) {
	s.client.Emit("recording.backend_configured", append([]Field{Text("backend", backend)}, more...)...)
}

// Started reports recording.started.
func (s Recording) Started(backend string, recording string, more ...Field) {
	s.client.Emit("recording.started", append([]Field{Text("backend", backend), Text("recording", recording)}, more...)...)
}

// Failed reports recording.failed.
func (s Recording) Failed(backend string, recording string, more ...Field) {
	s.client.Emit("recording.failed", append([]Field{Text("backend", backend), Text("recording", recording)}, more...)...)
}

// Stopped reports recording.stopped. May have WithDuration.
func (s Recording) Stopped(backend string, recording string, more ...Field) {
	s.client.Emit("recording.stopped", append([]Field{Text("backend", backend), Text("recording", recording)}, more...)...)
}

// Uploaded reports recording.uploaded.
func (s Recording) Uploaded(backend string, recording string, more ...Field) {
	s.client.Emit("recording.uploaded", append([]Field{Text("backend", backend), Text("recording", recording)}, more...)...)
}

// UploadFailed reports recording.upload_failed.
func (s Recording) UploadFailed(backend string, recording string, more ...Field) {
	s.client.Emit("recording.upload_failed", append([]Field{Text("backend", backend), Text("recording", recording)}, more...)...)
}

// Signaling is the Nextcloud signaling server.
type Signaling struct{ client *Client }

// ServerStarted reports signaling.server_started.
func (s Signaling) ServerStarted(more ...Field) {
	s.client.Emit("signaling.server_started", more...)
}

// BackendAdded reports signaling.backend.added. May have WithLimit.
func (s Signaling) BackendAdded(backend string, more ...Field) {
	s.client.Emit("signaling.backend.added", append([]Field{Text("backend", backend)}, more...)...)
}

// BackendLimitChanged reports signaling.backend.limit_changed.
func (s Signaling) BackendLimitChanged(backend string, limit float64, more ...Field) {
	s.client.Emit("signaling.backend.limit_changed", append([]Field{Text("backend", backend), Number("limit", limit)}, more...)...)
}

// BackendLimitExceeded reports signaling.backend.limit_exceeded.
func (s Signaling) BackendLimitExceeded(backend string, more ...Field) {
	s.client.Emit("signaling.backend.limit_exceeded", append([]Field{Text("backend", backend)}, more...)...)
}

// BackendRemoved reports signaling.backend.removed.
func (s Signaling) BackendRemoved(backend string, more ...Field) {
	s.client.Emit("signaling.backend.removed", append([]Field{Text("backend", backend)}, more...)...)
}

// BackendRequestFinished reports signaling.backend_request.finished. May have WithError.
func (s Signaling) BackendRequestFinished(backend string, duration float64, more ...Field) {
	s.client.Emit("signaling.backend_request.finished", append([]Field{Text("backend", backend), Number("duration", duration)}, more...)...)
}

// SessionJoined reports signaling.session.joined. May have WithCountry.
func (s Signaling) SessionJoined(session string, backend string, clienttype string, more ...Field) {
	s.client.Emit("signaling.session.joined", append([]Field{Text("session", session), Text("backend", backend), Text("clienttype", clienttype)}, more...)...)
}

// SessionResumed reports signaling.session.resumed.
func (s Signaling) SessionResumed(session string, more ...Field) {
	s.client.Emit("signaling.session.resumed", append([]Field{Text("session", session)}, more...)...)
}

// SessionResumeFailed reports signaling.session.resume_failed.
func (s Signaling) SessionResumeFailed(more ...Field) {
	s.client.Emit("signaling.session.resume_failed", more...)
}

// SessionLeft reports signaling.session.left.
func (s Signaling) SessionLeft(session string, more ...Field) {
	s.client.Emit("signaling.session.left", append([]Field{Text("session", session)}, more...)...)
}

// RoomOpened reports signaling.room.opened.
func (s Signaling) RoomOpened(backend string, room string, more ...Field) {
	s.client.Emit("signaling.room.opened", append([]Field{Text("backend", backend), Text("room", room)}, more...)...)
}

// RoomClosed reports signaling.room.closed.
func (s Signaling) RoomClosed(backend string, room string, more ...Field) {
	s.client.Emit("signaling.room.closed", append([]Field{Text("backend", backend), Text("room", room)}, more...)...)
}

// RoomJoined reports signaling.room.joined.
func (s Signaling) RoomJoined(backend string, room string, session string, more ...Field) {
	s.client.Emit("signaling.room.joined", append([]Field{Text("backend", backend), Text("room", room), Text("session", session)}, more...)...)
}

// RoomLeft reports signaling.room.left.
func (s Signaling) RoomLeft(backend string, room string, session string, more ...Field) {
	s.client.Emit("signaling.room.left", append([]Field{Text("backend", backend), Text("room", room), Text("session", session)}, more...)...)
}

// CallStarted reports signaling.call.started.
func (s Signaling) CallStarted(backend string, room string, more ...Field) {
	s.client.Emit("signaling.call.started", append([]Field{Text("backend", backend), Text("room", room)}, more...)...)
}

// CallJoined reports signaling.call.joined.
func (s Signaling) CallJoined(backend string, room string, session string, more ...Field) {
	s.client.Emit("signaling.call.joined", append([]Field{Text("backend", backend), Text("room", room), Text("session", session)}, more...)...)
}

// CallLeft reports signaling.call.left.
func (s Signaling) CallLeft(backend string, room string, session string, more ...Field) {
	s.client.Emit("signaling.call.left", append([]Field{Text("backend", backend), Text("room", room), Text("session", session)}, more...)...)
}

// MessageReceived reports signaling.message.received.
func (s Signaling) MessageReceived(typ string, more ...Field) {
	s.client.Emit("signaling.message.received", append([]Field{Text("type", typ)}, more...)...)
}

// PublisherCreated reports signaling.publisher.created.
func (s Signaling) PublisherCreated(publisher string, typ string, more ...Field) {
	s.client.Emit("signaling.publisher.created", append([]Field{Text("publisher", publisher), Text("type", typ)}, more...)...)
}

// PublisherClosed reports signaling.publisher.closed.
func (s Signaling) PublisherClosed(publisher string, more ...Field) {
	s.client.Emit("signaling.publisher.closed", append([]Field{Text("publisher", publisher)}, more...)...)
}

// PublisherStreamAdded reports signaling.publisher.stream_added.
func (s Signaling) PublisherStreamAdded(publisher string, typ string, more ...Field) {
	s.client.Emit("signaling.publisher.stream_added", append([]Field{Text("publisher", publisher), Text("type", typ)}, more...)...)
}

// PublisherStreamRemoved reports signaling.publisher.stream_removed.
func (s Signaling) PublisherStreamRemoved(publisher string, typ string, more ...Field) {
	s.client.Emit("signaling.publisher.stream_removed", append([]Field{Text("publisher", publisher), Text("type", typ)}, more...)...)
}

// SubscriberCreated reports signaling.subscriber.created.
func (s Signaling) SubscriberCreated(subscriber string, typ string, more ...Field) {
	s.client.Emit("signaling.subscriber.created", append([]Field{Text("subscriber", subscriber), Text("type", typ)}, more...)...)
}

// SubscriberClosed reports signaling.subscriber.closed.
func (s Signaling) SubscriberClosed(subscriber string, more ...Field) {
	s.client.Emit("signaling.subscriber.closed", append([]Field{Text("subscriber", subscriber)}, more...)...)
}

// SubscriberStreamAdded reports signaling.subscriber.stream_added.
func (s Signaling) SubscriberStreamAdded(subscriber string, typ string, more ...Field) {
	s.client.Emit("signaling.subscriber.stream_added", append([]Field{Text("subscriber", subscriber), Text("type", typ)}, more...)...)
}

// SubscriberStreamRemoved reports signaling.subscriber.stream_removed.
func (s Signaling) SubscriberStreamRemoved(subscriber string, typ string, more ...Field) {
	s.client.Emit("signaling.subscriber.stream_removed", append([]Field{Text("subscriber", subscriber), Text("type", typ)}, more...)...)
}

// SubscriberNoPublisher reports signaling.subscriber.no_publisher.
func (s Signaling) SubscriberNoPublisher(typ string, more ...Field) {
	s.client.Emit("signaling.subscriber.no_publisher", append([]Field{Text("type", typ)}, more...)...)
}

// McuMessage reports signaling.mcu.message.
func (s Signaling) McuMessage(typ string, more ...Field) {
	s.client.Emit("signaling.mcu.message", append([]Field{Text("type", typ)}, more...)...)
}

// McuBandwidth reports signaling.mcu.bandwidth.
func (s Signaling) McuBandwidth(incoming float64, outgoing float64, more ...Field) {
	s.client.Emit("signaling.mcu.bandwidth", append([]Field{Number("incoming", incoming), Number("outgoing", outgoing)}, more...)...)
}

// McuNoBackendAvailable reports signaling.mcu.no_backend_available.
func (s Signaling) McuNoBackendAvailable(typ string, more ...Field) {
	s.client.Emit("signaling.mcu.no_backend_available", append([]Field{Text("type", typ)}, more...)...)
}

// ProxyBackendAdded reports signaling.proxy_backend.added.
func (s Signaling) ProxyBackendAdded(url string, more ...Field) {
	s.client.Emit("signaling.proxy_backend.added", append([]Field{Text("url", url)}, more...)...)
}

// ProxyBackendRemoved reports signaling.proxy_backend.removed.
func (s Signaling) ProxyBackendRemoved(url string, more ...Field) {
	s.client.Emit("signaling.proxy_backend.removed", append([]Field{Text("url", url)}, more...)...)
}

// ProxyBackendConnected reports signaling.proxy_backend.connected. May have WithCountry.
func (s Signaling) ProxyBackendConnected(url string, more ...Field) {
	s.client.Emit("signaling.proxy_backend.connected", append([]Field{Text("url", url)}, more...)...)
}

// ProxyBackendDisconnected reports signaling.proxy_backend.disconnected.
func (s Signaling) ProxyBackendDisconnected(url string, more ...Field) {
	s.client.Emit("signaling.proxy_backend.disconnected", append([]Field{Text("url", url)}, more...)...)
}

// ProxyBackendLoad reports signaling.proxy_backend.load. May have WithIncoming, WithOutgoing, WithBandwidthIncoming, WithBandwidthOutgoing.
func (s Signaling) ProxyBackendLoad(url string, load float64, more ...Field) {
	s.client.Emit("signaling.proxy_backend.load", append([]Field{Text("url", url), Number("load", load)}, more...)...)
}

// GrpcClientAdded reports signaling.grpc.client_added.
func (s Signaling) GrpcClientAdded(target string, more ...Field) {
	s.client.Emit("signaling.grpc.client_added", append([]Field{Text("target", target)}, more...)...)
}

// GrpcClientRemoved reports signaling.grpc.client_removed.
func (s Signaling) GrpcClientRemoved(target string, more ...Field) {
	s.client.Emit("signaling.grpc.client_removed", append([]Field{Text("target", target)}, more...)...)
}

// GrpcClientCall reports signaling.grpc.client_call.
func (s Signaling) GrpcClientCall(method string, more ...Field) {
	s.client.Emit("signaling.grpc.client_call", append([]Field{Text("method", method)}, more...)...)
}

// GrpcServerCall reports signaling.grpc.server_call.
func (s Signaling) GrpcServerCall(method string, more ...Field) {
	s.client.Emit("signaling.grpc.server_call", append([]Field{Text("method", method)}, more...)...)
}

// HttpPoolConnections reports signaling.http_pool.connections.
func (s Signaling) HttpPoolConnections(host string, connections float64, more ...Field) {
	s.client.Emit("signaling.http_pool.connections", append([]Field{Text("host", host), Number("connections", connections)}, more...)...)
}

// ThrottleDelayed reports signaling.throttle.delayed.
func (s Signaling) ThrottleDelayed(action string, delay string, more ...Field) {
	s.client.Emit("signaling.throttle.delayed", append([]Field{Text("action", action), Text("delay", delay)}, more...)...)
}

// ThrottleRejected reports signaling.throttle.rejected.
func (s Signaling) ThrottleRejected(action string, more ...Field) {
	s.client.Emit("signaling.throttle.rejected", append([]Field{Text("action", action)}, more...)...)
}

// ClientRtt reports signaling.client.rtt.
func (s Signaling) ClientRtt(rtt float64, more ...Field) {
	s.client.Emit("signaling.client.rtt", append([]Field{Number("rtt", rtt)}, more...)...)
}

// ClientTraffic reports signaling.client.traffic. May have WithMessages.
func (s Signaling) ClientTraffic(direction string, bytes float64, more ...Field) {
	s.client.Emit("signaling.client.traffic", append([]Field{Text("direction", direction), Number("bytes", bytes)}, more...)...)
}

// McuCandidateSelected reports signaling.mcu.candidate_selected.
func (s Signaling) McuCandidateSelected(origin string, typ string, transport string, family string, more ...Field) {
	s.client.Emit("signaling.mcu.candidate_selected", append([]Field{Text("origin", origin), Text("type", typ), Text("transport", transport), Text("family", family)}, more...)...)
}

// McuPeerconnectionState reports signaling.mcu.peerconnection_state.
func (s Signaling) McuPeerconnectionState(state string, reason string, more ...Field) {
	s.client.Emit("signaling.mcu.peerconnection_state", append([]Field{Text("state", state), Text("reason", reason)}, more...)...)
}

// McuIceState reports signaling.mcu.ice_state.
func (s Signaling) McuIceState(state string, more ...Field) {
	s.client.Emit("signaling.mcu.ice_state", append([]Field{Text("state", state)}, more...)...)
}

// McuDtlsState reports signaling.mcu.dtls_state.
func (s Signaling) McuDtlsState(state string, more ...Field) {
	s.client.Emit("signaling.mcu.dtls_state", append([]Field{Text("state", state)}, more...)...)
}

// McuSlowLink reports signaling.mcu.slow_link.
func (s Signaling) McuSlowLink(media string, direction string, more ...Field) {
	s.client.Emit("signaling.mcu.slow_link", append([]Field{Text("media", media), Text("direction", direction)}, more...)...)
}

// McuMediaRtt reports signaling.mcu.media_rtt.
func (s Signaling) McuMediaRtt(media string, rtt float64, more ...Field) {
	s.client.Emit("signaling.mcu.media_rtt", append([]Field{Text("media", media), Number("rtt", rtt)}, more...)...)
}

// McuMediaJitter reports signaling.mcu.media_jitter.
func (s Signaling) McuMediaJitter(media string, origin string, jitter float64, more ...Field) {
	s.client.Emit("signaling.mcu.media_jitter", append([]Field{Text("media", media), Text("origin", origin), Number("jitter", jitter)}, more...)...)
}

// McuMediaCodec reports signaling.mcu.media_codec.
func (s Signaling) McuMediaCodec(media string, codec string, more ...Field) {
	s.client.Emit("signaling.mcu.media_codec", append([]Field{Text("media", media), Text("codec", codec)}, more...)...)
}

// McuMediaNacks reports signaling.mcu.media_nacks.
func (s Signaling) McuMediaNacks(media string, direction string, count float64, more ...Field) {
	s.client.Emit("signaling.mcu.media_nacks", append([]Field{Text("media", media), Text("direction", direction), Number("count", count)}, more...)...)
}

// McuMediaRetransmissions reports signaling.mcu.media_retransmissions.
func (s Signaling) McuMediaRetransmissions(media string, count float64, more ...Field) {
	s.client.Emit("signaling.mcu.media_retransmissions", append([]Field{Text("media", media), Number("count", count)}, more...)...)
}

// McuMediaBytes reports signaling.mcu.media_bytes.
func (s Signaling) McuMediaBytes(media string, direction string, bytes float64, more ...Field) {
	s.client.Emit("signaling.mcu.media_bytes", append([]Field{Text("media", media), Text("direction", direction), Number("bytes", bytes)}, more...)...)
}

// McuMediaLost reports signaling.mcu.media_lost.
func (s Signaling) McuMediaLost(media string, origin string, count float64, more ...Field) {
	s.client.Emit("signaling.mcu.media_lost", append([]Field{Text("media", media), Text("origin", origin), Number("count", count)}, more...)...)
}

// Proxy is the Nextcloud signaling proxy.
type Proxy struct{ client *Client }

// ServerStarted reports proxy.server_started.
func (s Proxy) ServerStarted(more ...Field) {
	s.client.Emit("proxy.server_started", more...)
}

// SessionCreated reports proxy.session.created.
func (s Proxy) SessionCreated(session string, more ...Field) {
	s.client.Emit("proxy.session.created", append([]Field{Text("session", session)}, more...)...)
}

// SessionClosed reports proxy.session.closed.
func (s Proxy) SessionClosed(session string, more ...Field) {
	s.client.Emit("proxy.session.closed", append([]Field{Text("session", session)}, more...)...)
}

// SessionResumed reports proxy.session.resumed.
func (s Proxy) SessionResumed(session string, more ...Field) {
	s.client.Emit("proxy.session.resumed", append([]Field{Text("session", session)}, more...)...)
}

// PublisherCreated reports proxy.publisher.created.
func (s Proxy) PublisherCreated(publisher string, typ string, session string, more ...Field) {
	s.client.Emit("proxy.publisher.created", append([]Field{Text("publisher", publisher), Text("type", typ), Text("session", session)}, more...)...)
}

// PublisherClosed reports proxy.publisher.closed.
func (s Proxy) PublisherClosed(publisher string, more ...Field) {
	s.client.Emit("proxy.publisher.closed", append([]Field{Text("publisher", publisher)}, more...)...)
}

// SubscriberCreated reports proxy.subscriber.created.
func (s Proxy) SubscriberCreated(subscriber string, typ string, session string, more ...Field) {
	s.client.Emit("proxy.subscriber.created", append([]Field{Text("subscriber", subscriber), Text("type", typ), Text("session", session)}, more...)...)
}

// SubscriberClosed reports proxy.subscriber.closed.
func (s Proxy) SubscriberClosed(subscriber string, more ...Field) {
	s.client.Emit("proxy.subscriber.closed", append([]Field{Text("subscriber", subscriber)}, more...)...)
}

// CommandReceived reports proxy.command.received.
func (s Proxy) CommandReceived(typ string, more ...Field) {
	s.client.Emit("proxy.command.received", append([]Field{Text("type", typ)}, more...)...)
}

// PayloadReceived reports proxy.payload.received.
func (s Proxy) PayloadReceived(typ string, more ...Field) {
	s.client.Emit("proxy.payload.received", append([]Field{Text("type", typ)}, more...)...)
}

// TokenRejected reports proxy.token.rejected.
func (s Proxy) TokenRejected(reason string, more ...Field) {
	s.client.Emit("proxy.token.rejected", append([]Field{Text("reason", reason)}, more...)...)
}

// LoadChanged reports proxy.load.changed.
func (s Proxy) LoadChanged(load float64, more ...Field) {
	s.client.Emit("proxy.load.changed", append([]Field{Number("load", load)}, more...)...)
}

// Edumeet is the edumeet and mediasoup.
type Edumeet struct{ client *Client }

// ServerStarted reports edumeet.server_started.
func (s Edumeet) ServerStarted(more ...Field) {
	s.client.Emit("edumeet.server_started", more...)
}

// RoomOpened reports edumeet.room.opened.
func (s Edumeet) RoomOpened(roomId string, more ...Field) {
	s.client.Emit("edumeet.room.opened", append([]Field{Text("room_id", roomId)}, more...)...)
}

// RoomClosed reports edumeet.room.closed.
func (s Edumeet) RoomClosed(roomId string, more ...Field) {
	s.client.Emit("edumeet.room.closed", append([]Field{Text("room_id", roomId)}, more...)...)
}

// PeerJoined reports edumeet.peer.joined. May have WithDisplayName, WithUserAgent.
func (s Edumeet) PeerJoined(peerId string, roomId string, more ...Field) {
	s.client.Emit("edumeet.peer.joined", append([]Field{Text("peer_id", peerId), Text("room_id", roomId)}, more...)...)
}

// PeerLeft reports edumeet.peer.left.
func (s Edumeet) PeerLeft(peerId string, more ...Field) {
	s.client.Emit("edumeet.peer.left", append([]Field{Text("peer_id", peerId)}, more...)...)
}

// TransportConnected reports edumeet.transport.connected.
func (s Edumeet) TransportConnected(transportId string, pid string, proto string, localAddr string, remoteAddr string, peerId string, more ...Field) {
	s.client.Emit("edumeet.transport.connected", append([]Field{Text("transport_id", transportId), Text("pid", pid), Text("proto", proto), Text("local_addr", localAddr), Text("remote_addr", remoteAddr), Text("peer_id", peerId)}, more...)...)
}

// TransportClosed reports edumeet.transport.closed.
func (s Edumeet) TransportClosed(transportId string, more ...Field) {
	s.client.Emit("edumeet.transport.closed", append([]Field{Text("transport_id", transportId)}, more...)...)
}

// ProducerCreated reports edumeet.producer.created.
func (s Edumeet) ProducerCreated(id string, kind string, codec string, transportId string, more ...Field) {
	s.client.Emit("edumeet.producer.created", append([]Field{Text("id", id), Text("kind", kind), Text("codec", codec), Text("transport_id", transportId)}, more...)...)
}

// ProducerClosed reports edumeet.producer.closed.
func (s Edumeet) ProducerClosed(id string, more ...Field) {
	s.client.Emit("edumeet.producer.closed", append([]Field{Text("id", id)}, more...)...)
}

// ProducerStats reports edumeet.producer.stats.
func (s Edumeet) ProducerStats(id string, typ string, byteCount float64, score float64, more ...Field) {
	s.client.Emit("edumeet.producer.stats", append([]Field{Text("id", id), Text("type", typ), Number("byte_count", byteCount), Number("score", score)}, more...)...)
}

// ConsumerCreated reports edumeet.consumer.created.
func (s Edumeet) ConsumerCreated(id string, kind string, codec string, transportId string, more ...Field) {
	s.client.Emit("edumeet.consumer.created", append([]Field{Text("id", id), Text("kind", kind), Text("codec", codec), Text("transport_id", transportId)}, more...)...)
}

// ConsumerClosed reports edumeet.consumer.closed.
func (s Edumeet) ConsumerClosed(id string, more ...Field) {
	s.client.Emit("edumeet.consumer.closed", append([]Field{Text("id", id)}, more...)...)
}

// ConsumerStats reports edumeet.consumer.stats.
func (s Edumeet) ConsumerStats(id string, typ string, byteCount float64, score float64, more ...Field) {
	s.client.Emit("edumeet.consumer.stats", append([]Field{Text("id", id), Text("type", typ), Number("byte_count", byteCount), Number("score", score)}, more...)...)
}

// Vlog is the vlog video platform.
type Vlog struct{ client *Client }

// ServerStarted reports vlog.server_started.
func (s Vlog) ServerStarted(version string, more ...Field) {
	s.client.Emit("vlog.server_started", append([]Field{Text("version", version)}, more...)...)
}

// HttpRequestStarted reports vlog.http.request_started.
func (s Vlog) HttpRequestStarted(request string, api string, more ...Field) {
	s.client.Emit("vlog.http.request_started", append([]Field{Text("request", request), Text("api", api)}, more...)...)
}

// HttpRequestFinished reports vlog.http.request_finished. May have WithDuration.
func (s Vlog) HttpRequestFinished(request string, method string, endpoint string, statusCode string, more ...Field) {
	s.client.Emit("vlog.http.request_finished", append([]Field{Text("request", request), Text("method", method), Text("endpoint", endpoint), Text("status_code", statusCode)}, more...)...)
}

// HttpRequest reports vlog.http.request. May have WithDuration.
func (s Vlog) HttpRequest(method string, endpoint string, statusCode string, api string, more ...Field) {
	s.client.Emit("vlog.http.request", append([]Field{Text("method", method), Text("endpoint", endpoint), Text("status_code", statusCode), Text("api", api)}, more...)...)
}

// VideoAdded reports vlog.video.added.
func (s Vlog) VideoAdded(video string, status string, more ...Field) {
	s.client.Emit("vlog.video.added", append([]Field{Text("video", video), Text("status", status)}, more...)...)
}

// VideoStatusChanged reports vlog.video.status_changed.
func (s Vlog) VideoStatusChanged(status string, video string, more ...Field) {
	s.client.Emit("vlog.video.status_changed", append([]Field{Text("status", status), Text("video", video)}, more...)...)
}

// VideoRemoved reports vlog.video.removed.
func (s Vlog) VideoRemoved(video string, more ...Field) {
	s.client.Emit("vlog.video.removed", append([]Field{Text("video", video)}, more...)...)
}

// VideoUploaded reports vlog.video.uploaded.
func (s Vlog) VideoUploaded(result string, more ...Field) {
	s.client.Emit("vlog.video.uploaded", append([]Field{Text("result", result)}, more...)...)
}

// VideoViewed reports vlog.video.viewed.
func (s Vlog) VideoViewed(more ...Field) {
	s.client.Emit("vlog.video.viewed", more...)
}

// PlaybackStarted reports vlog.playback.started.
func (s Vlog) PlaybackStarted(session string, more ...Field) {
	s.client.Emit("vlog.playback.started", append([]Field{Text("session", session)}, more...)...)
}

// PlaybackEnded reports vlog.playback.ended.
func (s Vlog) PlaybackEnded(session string, more ...Field) {
	s.client.Emit("vlog.playback.ended", append([]Field{Text("session", session)}, more...)...)
}

// PlaybackWatched reports vlog.playback.watched.
func (s Vlog) PlaybackWatched(seconds float64, more ...Field) {
	s.client.Emit("vlog.playback.watched", append([]Field{Number("seconds", seconds)}, more...)...)
}

// JobStarted reports vlog.job.started.
func (s Vlog) JobStarted(job string, more ...Field) {
	s.client.Emit("vlog.job.started", append([]Field{Text("job", job)}, more...)...)
}

// JobCompleted reports vlog.job.completed.
func (s Vlog) JobCompleted(job string, workerName string, more ...Field) {
	s.client.Emit("vlog.job.completed", append([]Field{Text("job", job), Text("worker_name", workerName)}, more...)...)
}

// JobFailed reports vlog.job.failed.
func (s Vlog) JobFailed(job string, more ...Field) {
	s.client.Emit("vlog.job.failed", append([]Field{Text("job", job)}, more...)...)
}

// JobRetried reports vlog.job.retried.
func (s Vlog) JobRetried(job string, more ...Field) {
	s.client.Emit("vlog.job.retried", append([]Field{Text("job", job)}, more...)...)
}

// JobQualityFinished reports vlog.job.quality_finished.
func (s Vlog) JobQualityFinished(quality string, duration float64, more ...Field) {
	s.client.Emit("vlog.job.quality_finished", append([]Field{Text("quality", quality), Number("duration", duration)}, more...)...)
}

// QueueChanged reports vlog.queue.changed.
func (s Vlog) QueueChanged(size float64, more ...Field) {
	s.client.Emit("vlog.queue.changed", append([]Field{Number("size", size)}, more...)...)
}

// WorkerRegistered reports vlog.worker.registered.
func (s Vlog) WorkerRegistered(workerId string, workerName string, status string, more ...Field) {
	s.client.Emit("vlog.worker.registered", append([]Field{Text("worker_id", workerId), Text("worker_name", workerName), Text("status", status)}, more...)...)
}

// WorkerStatusChanged reports vlog.worker.status_changed. May have WithWorkerName.
func (s Vlog) WorkerStatusChanged(status string, workerId string, more ...Field) {
	s.client.Emit("vlog.worker.status_changed", append([]Field{Text("status", status), Text("worker_id", workerId)}, more...)...)
}

// WorkerHeartbeat reports vlog.worker.heartbeat. May have WithWorkerName, WithStatus.
func (s Vlog) WorkerHeartbeat(workerId string, result string, more ...Field) {
	s.client.Emit("vlog.worker.heartbeat", append([]Field{Text("worker_id", workerId), Text("result", result)}, more...)...)
}

// WorkerHeartbeatFailed reports vlog.worker.heartbeat_failed.
func (s Vlog) WorkerHeartbeatFailed(workerId string, more ...Field) {
	s.client.Emit("vlog.worker.heartbeat_failed", append([]Field{Text("worker_id", workerId)}, more...)...)
}

// WorkerRemoved reports vlog.worker.removed.
func (s Vlog) WorkerRemoved(workerId string, more ...Field) {
	s.client.Emit("vlog.worker.removed", append([]Field{Text("worker_id", workerId)}, more...)...)
}

// ReencodeQueueChanged reports vlog.reencode.queue_changed.
func (s Vlog) ReencodeQueueChanged(status string, size float64, more ...Field) {
	s.client.Emit("vlog.reencode.queue_changed", append([]Field{Text("status", status), Number("size", size)}, more...)...)
}

// ReencodeFinished reports vlog.reencode.finished.
func (s Vlog) ReencodeFinished(status string, more ...Field) {
	s.client.Emit("vlog.reencode.finished", append([]Field{Text("status", status)}, more...)...)
}

// DbConnections reports vlog.db.connections.
func (s Vlog) DbConnections(connections float64, more ...Field) {
	s.client.Emit("vlog.db.connections", append([]Field{Number("connections", connections)}, more...)...)
}

// DbRetried reports vlog.db.retried.
func (s Vlog) DbRetried(more ...Field) {
	s.client.Emit("vlog.db.retried", more...)
}

// DbQuery reports vlog.db.query.
func (s Vlog) DbQuery(operation string, duration float64, more ...Field) {
	s.client.Emit("vlog.db.query", append([]Field{Text("operation", operation), Number("duration", duration)}, more...)...)
}

// RedisOperation reports vlog.redis.operation.
func (s Vlog) RedisOperation(operation string, result string, more ...Field) {
	s.client.Emit("vlog.redis.operation", append([]Field{Text("operation", operation), Text("result", result)}, more...)...)
}

// RedisCircuit reports vlog.redis.circuit.
func (s Vlog) RedisCircuit(state float64, more ...Field) {
	s.client.Emit("vlog.redis.circuit", append([]Field{Number("state", state)}, more...)...)
}

// StorageOperation reports vlog.storage.operation.
func (s Vlog) StorageOperation(operation string, result string, more ...Field) {
	s.client.Emit("vlog.storage.operation", append([]Field{Text("operation", operation), Text("result", result)}, more...)...)
}

// StorageWritten reports vlog.storage.written.
func (s Vlog) StorageWritten(bytes float64, more ...Field) {
	s.client.Emit("vlog.storage.written", append([]Field{Number("bytes", bytes)}, more...)...)
}

// StorageRemoved reports vlog.storage.removed.
func (s Vlog) StorageRemoved(bytes float64, more ...Field) {
	s.client.Emit("vlog.storage.removed", append([]Field{Number("bytes", bytes)}, more...)...)
}

// StorageReconciled reports vlog.storage.reconciled. May have WithBytes.
func (s Vlog) StorageReconciled(status float64, more ...Field) {
	s.client.Emit("vlog.storage.reconciled", append([]Field{Number("status", status)}, more...)...)
}

// TaskSucceeded reports vlog.task.succeeded.
func (s Vlog) TaskSucceeded(taskName string, duration float64, more ...Field) {
	s.client.Emit("vlog.task.succeeded", append([]Field{Text("task_name", taskName), Number("duration", duration)}, more...)...)
}

// TaskFailed reports vlog.task.failed.
func (s Vlog) TaskFailed(taskName string, duration float64, more ...Field) {
	s.client.Emit("vlog.task.failed", append([]Field{Text("task_name", taskName), Number("duration", duration)}, more...)...)
}

// WithBandwidthIncoming is the optional field bandwidth_incoming.
func WithBandwidthIncoming(value float64) Field {
	return Number("bandwidth_incoming", value)
}

// WithBandwidthOutgoing is the optional field bandwidth_outgoing.
func WithBandwidthOutgoing(value float64) Field {
	return Number("bandwidth_outgoing", value)
}

// WithBytes is the optional field bytes.
func WithBytes(value float64) Field {
	return Number("bytes", value)
}

// WithCountry is the optional field country.
func WithCountry(value string) Field {
	return Text("country", value)
}

// WithDisplayName is the optional field display_name.
func WithDisplayName(value string) Field {
	return Text("display_name", value)
}

// WithDuration is the optional field duration.
func WithDuration(value float64) Field {
	return Number("duration", value)
}

// WithError is the optional field error.
func WithError(value string) Field {
	return Text("error", value)
}

// WithIncoming is the optional field incoming.
func WithIncoming(value float64) Field {
	return Number("incoming", value)
}

// WithLimit is the optional field limit.
func WithLimit(value float64) Field {
	return Number("limit", value)
}

// WithMessages is the optional field messages.
func WithMessages(value float64) Field {
	return Number("messages", value)
}

// WithOutgoing is the optional field outgoing.
func WithOutgoing(value float64) Field {
	return Number("outgoing", value)
}

// WithStatus is the optional field status.
func WithStatus(value string) Field {
	return Text("status", value)
}

// WithUserAgent is the optional field user_agent.
func WithUserAgent(value string) Field {
	return Text("user_agent", value)
}

// WithWorkerName is the optional field worker_name.
func WithWorkerName(value string) Field {
	return Text("worker_name", value)
}
