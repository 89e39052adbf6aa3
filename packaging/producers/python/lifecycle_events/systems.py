"""A method for each event of the built-in systems. Made from the exporter's catalogs; not to be edited."""

from typing import Callable, Optional, Union

#: What a label takes.
Label = Union[str, int, float, bool]
Emit = Callable[..., None]


class Recording:
    """Nextcloud Talk recording server"""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def server_started(self, *, time: Optional[float] = None) -> None:
        """``recording.server_started``"""
        self._emit("recording.server_started", time=time)

    def backend_configured(self, *, backend: Label, time: Optional[float] = None) -> None:
        """``recording.backend_configured``"""
        self._emit("recording.backend_configured", backend=backend, time=time)

    def started(self, *, backend: Label, recording: Label, time: Optional[float] = None) -> None:
        """``recording.started``"""
        self._emit("recording.started", backend=backend, recording=recording, time=time)

    def failed(self, *, backend: Label, recording: Label, time: Optional[float] = None) -> None:
        """``recording.failed``"""
        self._emit("recording.failed", backend=backend, recording=recording, time=time)

    def stopped(self, *, backend: Label, recording: Label, duration: Optional[float] = None, time: Optional[float] = None) -> None:
        """``recording.stopped``"""
        self._emit("recording.stopped", backend=backend, recording=recording, duration=duration, time=time)

    def uploaded(self, *, backend: Label, recording: Label, time: Optional[float] = None) -> None:
        """``recording.uploaded``"""
        self._emit("recording.uploaded", backend=backend, recording=recording, time=time)

    def upload_failed(self, *, backend: Label, recording: Label, time: Optional[float] = None) -> None:
        """``recording.upload_failed``"""
        self._emit("recording.upload_failed", backend=backend, recording=recording, time=time)


class Signaling:
    """Nextcloud signaling server"""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def server_started(self, *, time: Optional[float] = None) -> None:
        """``signaling.server_started``"""
        self._emit("signaling.server_started", time=time)

    def backend_added(self, *, backend: Label, limit: Optional[float] = None, time: Optional[float] = None) -> None:
        """``signaling.backend.added``"""
        self._emit("signaling.backend.added", backend=backend, limit=limit, time=time)

    def backend_limit_changed(self, *, backend: Label, limit: float, time: Optional[float] = None) -> None:
        """``signaling.backend.limit_changed``"""
        self._emit("signaling.backend.limit_changed", backend=backend, limit=limit, time=time)

    def backend_limit_exceeded(self, *, backend: Label, time: Optional[float] = None) -> None:
        """``signaling.backend.limit_exceeded``"""
        self._emit("signaling.backend.limit_exceeded", backend=backend, time=time)

    def backend_removed(self, *, backend: Label, time: Optional[float] = None) -> None:
        """``signaling.backend.removed``"""
        self._emit("signaling.backend.removed", backend=backend, time=time)

    def backend_request_finished(self, *, backend: Label, duration: float, error: Optional[Label] = None, time: Optional[float] = None) -> None:
        """``signaling.backend_request.finished``"""
        self._emit("signaling.backend_request.finished", backend=backend, duration=duration, error=error, time=time)

    def session_joined(self, *, session: Label, backend: Label, clienttype: Label, country: Optional[Label] = None, time: Optional[float] = None) -> None:
        """``signaling.session.joined``"""
        self._emit("signaling.session.joined", session=session, backend=backend, clienttype=clienttype, country=country, time=time)

    def session_resumed(self, *, session: Label, time: Optional[float] = None) -> None:
        """``signaling.session.resumed``"""
        self._emit("signaling.session.resumed", session=session, time=time)

    def session_resume_failed(self, *, time: Optional[float] = None) -> None:
        """``signaling.session.resume_failed``"""
        self._emit("signaling.session.resume_failed", time=time)

    def session_left(self, *, session: Label, time: Optional[float] = None) -> None:
        """``signaling.session.left``"""
        self._emit("signaling.session.left", session=session, time=time)

    def room_opened(self, *, backend: Label, room: Label, time: Optional[float] = None) -> None:
        """``signaling.room.opened``"""
        self._emit("signaling.room.opened", backend=backend, room=room, time=time)

    def room_closed(self, *, backend: Label, room: Label, time: Optional[float] = None) -> None:
        """``signaling.room.closed``"""
        self._emit("signaling.room.closed", backend=backend, room=room, time=time)

    def room_joined(self, *, backend: Label, room: Label, session: Label, time: Optional[float] = None) -> None:
        """``signaling.room.joined``"""
        self._emit("signaling.room.joined", backend=backend, room=room, session=session, time=time)

    def room_left(self, *, backend: Label, room: Label, session: Label, time: Optional[float] = None) -> None:
        """``signaling.room.left``"""
        self._emit("signaling.room.left", backend=backend, room=room, session=session, time=time)

    def call_started(self, *, backend: Label, room: Label, time: Optional[float] = None) -> None:
        """``signaling.call.started``"""
        self._emit("signaling.call.started", backend=backend, room=room, time=time)

    def call_joined(self, *, backend: Label, room: Label, session: Label, time: Optional[float] = None) -> None:
        """``signaling.call.joined``"""
        self._emit("signaling.call.joined", backend=backend, room=room, session=session, time=time)

    def call_left(self, *, backend: Label, room: Label, session: Label, time: Optional[float] = None) -> None:
        """``signaling.call.left``"""
        self._emit("signaling.call.left", backend=backend, room=room, session=session, time=time)

    def message_received(self, *, type: Label, time: Optional[float] = None) -> None:
        """``signaling.message.received``"""
        self._emit("signaling.message.received", type=type, time=time)

    def publisher_created(self, *, publisher: Label, type: Label, time: Optional[float] = None) -> None:
        """``signaling.publisher.created``"""
        self._emit("signaling.publisher.created", publisher=publisher, type=type, time=time)

    def publisher_closed(self, *, publisher: Label, time: Optional[float] = None) -> None:
        """``signaling.publisher.closed``"""
        self._emit("signaling.publisher.closed", publisher=publisher, time=time)

    def publisher_stream_added(self, *, publisher: Label, type: Label, time: Optional[float] = None) -> None:
        """``signaling.publisher.stream_added``"""
        self._emit("signaling.publisher.stream_added", publisher=publisher, type=type, time=time)

    def publisher_stream_removed(self, *, publisher: Label, type: Label, time: Optional[float] = None) -> None:
        """``signaling.publisher.stream_removed``"""
        self._emit("signaling.publisher.stream_removed", publisher=publisher, type=type, time=time)

    def subscriber_created(self, *, subscriber: Label, type: Label, time: Optional[float] = None) -> None:
        """``signaling.subscriber.created``"""
        self._emit("signaling.subscriber.created", subscriber=subscriber, type=type, time=time)

    def subscriber_closed(self, *, subscriber: Label, time: Optional[float] = None) -> None:
        """``signaling.subscriber.closed``"""
        self._emit("signaling.subscriber.closed", subscriber=subscriber, time=time)

    def subscriber_stream_added(self, *, subscriber: Label, type: Label, time: Optional[float] = None) -> None:
        """``signaling.subscriber.stream_added``"""
        self._emit("signaling.subscriber.stream_added", subscriber=subscriber, type=type, time=time)

    def subscriber_stream_removed(self, *, subscriber: Label, type: Label, time: Optional[float] = None) -> None:
        """``signaling.subscriber.stream_removed``"""
        self._emit("signaling.subscriber.stream_removed", subscriber=subscriber, type=type, time=time)

    def subscriber_no_publisher(self, *, type: Label, time: Optional[float] = None) -> None:
        """``signaling.subscriber.no_publisher``"""
        self._emit("signaling.subscriber.no_publisher", type=type, time=time)

    def mcu_message(self, *, type: Label, time: Optional[float] = None) -> None:
        """``signaling.mcu.message``"""
        self._emit("signaling.mcu.message", type=type, time=time)

    def mcu_bandwidth(self, *, incoming: float, outgoing: float, time: Optional[float] = None) -> None:
        """``signaling.mcu.bandwidth``"""
        self._emit("signaling.mcu.bandwidth", incoming=incoming, outgoing=outgoing, time=time)

    def mcu_no_backend_available(self, *, type: Label, time: Optional[float] = None) -> None:
        """``signaling.mcu.no_backend_available``"""
        self._emit("signaling.mcu.no_backend_available", type=type, time=time)

    def proxy_backend_added(self, *, url: Label, time: Optional[float] = None) -> None:
        """``signaling.proxy_backend.added``"""
        self._emit("signaling.proxy_backend.added", url=url, time=time)

    def proxy_backend_removed(self, *, url: Label, time: Optional[float] = None) -> None:
        """``signaling.proxy_backend.removed``"""
        self._emit("signaling.proxy_backend.removed", url=url, time=time)

    def proxy_backend_connected(self, *, url: Label, country: Optional[Label] = None, time: Optional[float] = None) -> None:
        """``signaling.proxy_backend.connected``"""
        self._emit("signaling.proxy_backend.connected", url=url, country=country, time=time)

    def proxy_backend_disconnected(self, *, url: Label, time: Optional[float] = None) -> None:
        """``signaling.proxy_backend.disconnected``"""
        self._emit("signaling.proxy_backend.disconnected", url=url, time=time)

    def proxy_backend_load(self, *, url: Label, load: float, incoming: Optional[float] = None, outgoing: Optional[float] = None, bandwidth_incoming: Optional[float] = None, bandwidth_outgoing: Optional[float] = None, time: Optional[float] = None) -> None:
        """``signaling.proxy_backend.load``"""
        self._emit("signaling.proxy_backend.load", url=url, load=load, incoming=incoming, outgoing=outgoing, bandwidth_incoming=bandwidth_incoming, bandwidth_outgoing=bandwidth_outgoing, time=time)

    def grpc_client_added(self, *, target: Label, time: Optional[float] = None) -> None:
        """``signaling.grpc.client_added``"""
        self._emit("signaling.grpc.client_added", target=target, time=time)

    def grpc_client_removed(self, *, target: Label, time: Optional[float] = None) -> None:
        """``signaling.grpc.client_removed``"""
        self._emit("signaling.grpc.client_removed", target=target, time=time)

    def grpc_client_call(self, *, method: Label, time: Optional[float] = None) -> None:
        """``signaling.grpc.client_call``"""
        self._emit("signaling.grpc.client_call", method=method, time=time)

    def grpc_server_call(self, *, method: Label, time: Optional[float] = None) -> None:
        """``signaling.grpc.server_call``"""
        self._emit("signaling.grpc.server_call", method=method, time=time)

    def http_pool_connections(self, *, host: Label, connections: float, time: Optional[float] = None) -> None:
        """``signaling.http_pool.connections``"""
        self._emit("signaling.http_pool.connections", host=host, connections=connections, time=time)

    def throttle_delayed(self, *, action: Label, delay: Label, time: Optional[float] = None) -> None:
        """``signaling.throttle.delayed``"""
        self._emit("signaling.throttle.delayed", action=action, delay=delay, time=time)

    def throttle_rejected(self, *, action: Label, time: Optional[float] = None) -> None:
        """``signaling.throttle.rejected``"""
        self._emit("signaling.throttle.rejected", action=action, time=time)

    def client_rtt(self, *, rtt: float, time: Optional[float] = None) -> None:
        """``signaling.client.rtt``"""
        self._emit("signaling.client.rtt", rtt=rtt, time=time)

    def client_traffic(self, *, direction: Label, bytes: float, messages: Optional[float] = None, time: Optional[float] = None) -> None:
        """``signaling.client.traffic``"""
        self._emit("signaling.client.traffic", direction=direction, bytes=bytes, messages=messages, time=time)

    def mcu_candidate_selected(self, *, origin: Label, type: Label, transport: Label, family: Label, time: Optional[float] = None) -> None:
        """``signaling.mcu.candidate_selected``"""
        self._emit("signaling.mcu.candidate_selected", origin=origin, type=type, transport=transport, family=family, time=time)

    def mcu_peerconnection_state(self, *, state: Label, reason: Label, time: Optional[float] = None) -> None:
        """``signaling.mcu.peerconnection_state``"""
        self._emit("signaling.mcu.peerconnection_state", state=state, reason=reason, time=time)

    def mcu_ice_state(self, *, state: Label, time: Optional[float] = None) -> None:
        """``signaling.mcu.ice_state``"""
        self._emit("signaling.mcu.ice_state", state=state, time=time)

    def mcu_dtls_state(self, *, state: Label, time: Optional[float] = None) -> None:
        """``signaling.mcu.dtls_state``"""
        self._emit("signaling.mcu.dtls_state", state=state, time=time)

    def mcu_slow_link(self, *, media: Label, direction: Label, time: Optional[float] = None) -> None:
        """``signaling.mcu.slow_link``"""
        self._emit("signaling.mcu.slow_link", media=media, direction=direction, time=time)

    def mcu_media_rtt(self, *, media: Label, rtt: float, time: Optional[float] = None) -> None:
        """``signaling.mcu.media_rtt``"""
        self._emit("signaling.mcu.media_rtt", media=media, rtt=rtt, time=time)

    def mcu_media_jitter(self, *, media: Label, origin: Label, jitter: float, time: Optional[float] = None) -> None:
        """``signaling.mcu.media_jitter``"""
        self._emit("signaling.mcu.media_jitter", media=media, origin=origin, jitter=jitter, time=time)

    def mcu_media_codec(self, *, media: Label, codec: Label, time: Optional[float] = None) -> None:
        """``signaling.mcu.media_codec``"""
        self._emit("signaling.mcu.media_codec", media=media, codec=codec, time=time)

    def mcu_media_nacks(self, *, media: Label, direction: Label, count: float, time: Optional[float] = None) -> None:
        """``signaling.mcu.media_nacks``"""
        self._emit("signaling.mcu.media_nacks", media=media, direction=direction, count=count, time=time)

    def mcu_media_retransmissions(self, *, media: Label, count: float, time: Optional[float] = None) -> None:
        """``signaling.mcu.media_retransmissions``"""
        self._emit("signaling.mcu.media_retransmissions", media=media, count=count, time=time)

    def mcu_media_bytes(self, *, media: Label, direction: Label, bytes: float, time: Optional[float] = None) -> None:
        """``signaling.mcu.media_bytes``"""
        self._emit("signaling.mcu.media_bytes", media=media, direction=direction, bytes=bytes, time=time)

    def mcu_media_lost(self, *, media: Label, origin: Label, count: float, time: Optional[float] = None) -> None:
        """``signaling.mcu.media_lost``"""
        self._emit("signaling.mcu.media_lost", media=media, origin=origin, count=count, time=time)


class Proxy:
    """Nextcloud signaling proxy"""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def server_started(self, *, time: Optional[float] = None) -> None:
        """``proxy.server_started``"""
        self._emit("proxy.server_started", time=time)

    def session_created(self, *, session: Label, time: Optional[float] = None) -> None:
        """``proxy.session.created``"""
        self._emit("proxy.session.created", session=session, time=time)

    def session_closed(self, *, session: Label, time: Optional[float] = None) -> None:
        """``proxy.session.closed``"""
        self._emit("proxy.session.closed", session=session, time=time)

    def session_resumed(self, *, session: Label, time: Optional[float] = None) -> None:
        """``proxy.session.resumed``"""
        self._emit("proxy.session.resumed", session=session, time=time)

    def publisher_created(self, *, publisher: Label, type: Label, session: Label, time: Optional[float] = None) -> None:
        """``proxy.publisher.created``"""
        self._emit("proxy.publisher.created", publisher=publisher, type=type, session=session, time=time)

    def publisher_closed(self, *, publisher: Label, time: Optional[float] = None) -> None:
        """``proxy.publisher.closed``"""
        self._emit("proxy.publisher.closed", publisher=publisher, time=time)

    def subscriber_created(self, *, subscriber: Label, type: Label, session: Label, time: Optional[float] = None) -> None:
        """``proxy.subscriber.created``"""
        self._emit("proxy.subscriber.created", subscriber=subscriber, type=type, session=session, time=time)

    def subscriber_closed(self, *, subscriber: Label, time: Optional[float] = None) -> None:
        """``proxy.subscriber.closed``"""
        self._emit("proxy.subscriber.closed", subscriber=subscriber, time=time)

    def command_received(self, *, type: Label, time: Optional[float] = None) -> None:
        """``proxy.command.received``"""
        self._emit("proxy.command.received", type=type, time=time)

    def payload_received(self, *, type: Label, time: Optional[float] = None) -> None:
        """``proxy.payload.received``"""
        self._emit("proxy.payload.received", type=type, time=time)

    def token_rejected(self, *, reason: Label, time: Optional[float] = None) -> None:
        """``proxy.token.rejected``"""
        self._emit("proxy.token.rejected", reason=reason, time=time)

    def load_changed(self, *, load: float, time: Optional[float] = None) -> None:
        """``proxy.load.changed``"""
        self._emit("proxy.load.changed", load=load, time=time)


class Edumeet:
    """edumeet and mediasoup"""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def server_started(self, *, time: Optional[float] = None) -> None:
        """``edumeet.server_started``"""
        self._emit("edumeet.server_started", time=time)

    def room_opened(self, *, room_id: Label, time: Optional[float] = None) -> None:
        """``edumeet.room.opened``"""
        self._emit("edumeet.room.opened", room_id=room_id, time=time)

    def room_closed(self, *, room_id: Label, time: Optional[float] = None) -> None:
        """``edumeet.room.closed``"""
        self._emit("edumeet.room.closed", room_id=room_id, time=time)

    def peer_joined(self, *, peer_id: Label, room_id: Label, display_name: Optional[Label] = None, user_agent: Optional[Label] = None, time: Optional[float] = None) -> None:
        """``edumeet.peer.joined``"""
        self._emit("edumeet.peer.joined", peer_id=peer_id, room_id=room_id, display_name=display_name, user_agent=user_agent, time=time)

    def peer_left(self, *, peer_id: Label, time: Optional[float] = None) -> None:
        """``edumeet.peer.left``"""
        self._emit("edumeet.peer.left", peer_id=peer_id, time=time)

    def transport_connected(self, *, transport_id: Label, pid: Label, proto: Label, local_addr: Label, remote_addr: Label, peer_id: Label, time: Optional[float] = None) -> None:
        """``edumeet.transport.connected``"""
        self._emit("edumeet.transport.connected", transport_id=transport_id, pid=pid, proto=proto, local_addr=local_addr, remote_addr=remote_addr, peer_id=peer_id, time=time)

    def transport_closed(self, *, transport_id: Label, time: Optional[float] = None) -> None:
        """``edumeet.transport.closed``"""
        self._emit("edumeet.transport.closed", transport_id=transport_id, time=time)

    def producer_created(self, *, id: Label, kind: Label, codec: Label, transport_id: Label, time: Optional[float] = None) -> None:
        """``edumeet.producer.created``"""
        self._emit("edumeet.producer.created", id=id, kind=kind, codec=codec, transport_id=transport_id, time=time)

    def producer_closed(self, *, id: Label, time: Optional[float] = None) -> None:
        """``edumeet.producer.closed``"""
        self._emit("edumeet.producer.closed", id=id, time=time)

    def producer_stats(self, *, id: Label, type: Label, byte_count: float, score: float, time: Optional[float] = None) -> None:
        """``edumeet.producer.stats``"""
        self._emit("edumeet.producer.stats", id=id, type=type, byte_count=byte_count, score=score, time=time)

    def consumer_created(self, *, id: Label, kind: Label, codec: Label, transport_id: Label, time: Optional[float] = None) -> None:
        """``edumeet.consumer.created``"""
        self._emit("edumeet.consumer.created", id=id, kind=kind, codec=codec, transport_id=transport_id, time=time)

    def consumer_closed(self, *, id: Label, time: Optional[float] = None) -> None:
        """``edumeet.consumer.closed``"""
        self._emit("edumeet.consumer.closed", id=id, time=time)

    def consumer_stats(self, *, id: Label, type: Label, byte_count: float, score: float, time: Optional[float] = None) -> None:
        """``edumeet.consumer.stats``"""
        self._emit("edumeet.consumer.stats", id=id, type=type, byte_count=byte_count, score=score, time=time)


class Vlog:
    """vlog video platform"""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def server_started(self, *, version: Label, time: Optional[float] = None) -> None:
        """``vlog.server_started``"""
        self._emit("vlog.server_started", version=version, time=time)

    def http_request_started(self, *, request: Label, api: Label, time: Optional[float] = None) -> None:
        """``vlog.http.request_started``"""
        self._emit("vlog.http.request_started", request=request, api=api, time=time)

    def http_request_finished(self, *, request: Label, method: Label, endpoint: Label, status_code: Label, duration: Optional[float] = None, time: Optional[float] = None) -> None:
        """``vlog.http.request_finished``"""
        self._emit("vlog.http.request_finished", request=request, method=method, endpoint=endpoint, status_code=status_code, duration=duration, time=time)

    def http_request(self, *, method: Label, endpoint: Label, status_code: Label, api: Label, duration: Optional[float] = None, time: Optional[float] = None) -> None:
        """``vlog.http.request``"""
        self._emit("vlog.http.request", method=method, endpoint=endpoint, status_code=status_code, api=api, duration=duration, time=time)

    def video_added(self, *, video: Label, status: Label, time: Optional[float] = None) -> None:
        """``vlog.video.added``"""
        self._emit("vlog.video.added", video=video, status=status, time=time)

    def video_status_changed(self, *, status: Label, video: Label, time: Optional[float] = None) -> None:
        """``vlog.video.status_changed``"""
        self._emit("vlog.video.status_changed", status=status, video=video, time=time)

    def video_removed(self, *, video: Label, time: Optional[float] = None) -> None:
        """``vlog.video.removed``"""
        self._emit("vlog.video.removed", video=video, time=time)

    def video_uploaded(self, *, result: Label, time: Optional[float] = None) -> None:
        """``vlog.video.uploaded``"""
        self._emit("vlog.video.uploaded", result=result, time=time)

    def video_viewed(self, *, time: Optional[float] = None) -> None:
        """``vlog.video.viewed``"""
        self._emit("vlog.video.viewed", time=time)

    def playback_started(self, *, session: Label, time: Optional[float] = None) -> None:
        """``vlog.playback.started``"""
        self._emit("vlog.playback.started", session=session, time=time)

    def playback_ended(self, *, session: Label, time: Optional[float] = None) -> None:
        """``vlog.playback.ended``"""
        self._emit("vlog.playback.ended", session=session, time=time)

    def playback_watched(self, *, seconds: float, time: Optional[float] = None) -> None:
        """``vlog.playback.watched``"""
        self._emit("vlog.playback.watched", seconds=seconds, time=time)

    def job_started(self, *, job: Label, time: Optional[float] = None) -> None:
        """``vlog.job.started``"""
        self._emit("vlog.job.started", job=job, time=time)

    def job_completed(self, *, job: Label, worker_name: Label, time: Optional[float] = None) -> None:
        """``vlog.job.completed``"""
        self._emit("vlog.job.completed", job=job, worker_name=worker_name, time=time)

    def job_failed(self, *, job: Label, time: Optional[float] = None) -> None:
        """``vlog.job.failed``"""
        self._emit("vlog.job.failed", job=job, time=time)

    def job_retried(self, *, job: Label, time: Optional[float] = None) -> None:
        """``vlog.job.retried``"""
        self._emit("vlog.job.retried", job=job, time=time)

    def job_quality_finished(self, *, quality: Label, duration: float, time: Optional[float] = None) -> None:
        """``vlog.job.quality_finished``"""
        self._emit("vlog.job.quality_finished", quality=quality, duration=duration, time=time)

    def queue_changed(self, *, size: float, time: Optional[float] = None) -> None:
        """``vlog.queue.changed``"""
        self._emit("vlog.queue.changed", size=size, time=time)

    def worker_registered(self, *, worker_id: Label, worker_name: Label, status: Label, time: Optional[float] = None) -> None:
        """``vlog.worker.registered``"""
        self._emit("vlog.worker.registered", worker_id=worker_id, worker_name=worker_name, status=status, time=time)

    def worker_status_changed(self, *, status: Label, worker_id: Label, worker_name: Optional[Label] = None, time: Optional[float] = None) -> None:
        """``vlog.worker.status_changed``"""
        self._emit("vlog.worker.status_changed", status=status, worker_id=worker_id, worker_name=worker_name, time=time)

    def worker_heartbeat(self, *, worker_id: Label, result: Label, worker_name: Optional[Label] = None, status: Optional[Label] = None, time: Optional[float] = None) -> None:
        """``vlog.worker.heartbeat``"""
        self._emit("vlog.worker.heartbeat", worker_id=worker_id, result=result, worker_name=worker_name, status=status, time=time)

    def worker_heartbeat_failed(self, *, worker_id: Label, time: Optional[float] = None) -> None:
        """``vlog.worker.heartbeat_failed``"""
        self._emit("vlog.worker.heartbeat_failed", worker_id=worker_id, time=time)

    def worker_removed(self, *, worker_id: Label, time: Optional[float] = None) -> None:
        """``vlog.worker.removed``"""
        self._emit("vlog.worker.removed", worker_id=worker_id, time=time)

    def reencode_queue_changed(self, *, status: Label, size: float, time: Optional[float] = None) -> None:
        """``vlog.reencode.queue_changed``"""
        self._emit("vlog.reencode.queue_changed", status=status, size=size, time=time)

    def reencode_finished(self, *, status: Label, time: Optional[float] = None) -> None:
        """``vlog.reencode.finished``"""
        self._emit("vlog.reencode.finished", status=status, time=time)

    def db_connections(self, *, connections: float, time: Optional[float] = None) -> None:
        """``vlog.db.connections``"""
        self._emit("vlog.db.connections", connections=connections, time=time)

    def db_retried(self, *, time: Optional[float] = None) -> None:
        """``vlog.db.retried``"""
        self._emit("vlog.db.retried", time=time)

    def db_query(self, *, operation: Label, duration: float, time: Optional[float] = None) -> None:
        """``vlog.db.query``"""
        self._emit("vlog.db.query", operation=operation, duration=duration, time=time)

    def redis_operation(self, *, operation: Label, result: Label, time: Optional[float] = None) -> None:
        """``vlog.redis.operation``"""
        self._emit("vlog.redis.operation", operation=operation, result=result, time=time)

    def redis_circuit(self, *, state: float, time: Optional[float] = None) -> None:
        """``vlog.redis.circuit``"""
        self._emit("vlog.redis.circuit", state=state, time=time)

    def storage_operation(self, *, operation: Label, result: Label, time: Optional[float] = None) -> None:
        """``vlog.storage.operation``"""
        self._emit("vlog.storage.operation", operation=operation, result=result, time=time)

    def storage_written(self, *, bytes: float, time: Optional[float] = None) -> None:
        """``vlog.storage.written``"""
        self._emit("vlog.storage.written", bytes=bytes, time=time)

    def storage_removed(self, *, bytes: float, time: Optional[float] = None) -> None:
        """``vlog.storage.removed``"""
        self._emit("vlog.storage.removed", bytes=bytes, time=time)

    def storage_reconciled(self, *, status: float, bytes: Optional[float] = None, time: Optional[float] = None) -> None:
        """``vlog.storage.reconciled``"""
        self._emit("vlog.storage.reconciled", status=status, bytes=bytes, time=time)

    def task_succeeded(self, *, task_name: Label, duration: float, time: Optional[float] = None) -> None:
        """``vlog.task.succeeded``"""
        self._emit("vlog.task.succeeded", task_name=task_name, duration=duration, time=time)

    def task_failed(self, *, task_name: Label, duration: float, time: Optional[float] = None) -> None:
        """``vlog.task.failed``"""
        self._emit("vlog.task.failed", task_name=task_name, duration=duration, time=time)


class Systems:
    """The built-in systems, each with its events."""

    def __init__(self, emit: Emit) -> None:
        #: Nextcloud Talk recording server
        self.recording = Recording(emit)
        #: Nextcloud signaling server
        self.signaling = Signaling(emit)
        #: Nextcloud signaling proxy
        self.proxy = Proxy(emit)
        #: edumeet and mediasoup
        self.edumeet = Edumeet(emit)
        #: vlog video platform
        self.vlog = Vlog(emit)
