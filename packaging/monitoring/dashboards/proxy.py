"""Nextcloud signaling proxies."""

from .panels import FIRST, Dashboard, abandoned, bars, bars_of, down, firing, lines, now, ranking, silence, stat

PROXY = Dashboard(
    "lifecycle-proxy",
    "Nextcloud signaling proxy",
    "Sessions, streams and load of Nextcloud signaling proxies.",
    "signaling_proxy_sessions",
    "Proxy.*",
    [
        (FIRST, [
            firing("Proxy.*", 3),
            down("proxy", 3),
            silence("proxy", 3),
            stat("Sessions of servers", "Sessions of signaling servers now, not of people. 0: no signaling server uses these proxies.", "sum(signaling_proxy_sessions{}) or vector(0)", least="AT_LEAST", width=3),
            now("Publishers", "Publishers of media now. None during calls: see whether signaling servers are connected.", "sum(signaling_proxy_publishers{}) or vector(0)"),
            now("Subscribers", "Subscribers of media now. Each costs the proxy bandwidth.", "sum(signaling_proxy_subscribers{}) or vector(0)"),
            stat("Bad tokens, 10 min", "Sessions refused for their token within the latest ten minutes. See whether the signaling server's key is the one that the proxy knows, and both clocks.", "round(sum(increase(signaling_proxy_token_errors_total{}[10m]))) or vector(0)", limit="TOKEN_ERRORS_TEN_MINUTES", width=3),
            abandoned("proxy", 3),
        ]),
        ("How is the load spread?", [
            ranking("Load now", "Load of each proxy in its own measure, the ten highest. One full while others idle: see whether those are configured at the signaling servers.", "topk(10, signaling_proxy_load{})", "{{site}} {{instance}}"),
            lines("Load", "Load of each proxy in its own measure, the ten highest. Add a proxy when all are high.", "topk(10, signaling_proxy_load{})", "{{site}} {{instance}}"),
            lines("Sessions", "Sessions of each proxy, the ten with fewest. A line that falls to 0: signaling servers do not reach that proxy.", "bottomk(10, signaling_proxy_sessions{})", "{{site}} {{instance}}"),
        ]),
        ("In detail", [
            bars("Bad tokens", "Sessions refused for their token, by reason. expired: a clock is wrong; auth: a key is.", "signaling_proxy_token_errors_total{}", "reason", interval="10m", limit="TOKEN_ERRORS_TEN_MINUTES"),
            bars("Sessions begun", "Sessions of signaling servers begun. Many: connections break.", "signaling_proxy_sessions_total{}"),
            bars("Sessions resumed", "Sessions that came back after their connection had broken. Many: look at the network between signaling servers and proxies.", "signaling_proxy_sessions_resumed_total{}"),
            lines("Publishers", "Publishers, by what they send. A sudden fall to 0: see whether Janus runs.", "sum by (type) (signaling_proxy_publishers{})", "{{type}}", stacked=True),
            lines("Subscribers", "Subscribers, by what they receive. A sudden fall to 0: see whether Janus runs.", "sum by (type) (signaling_proxy_subscribers{})", "{{type}}", stacked=True),
            bars_of("Created", "Publishers and subscribers created, by what they send or receive. Many, while their numbers stay: connections break and are made anew.", [("signaling_proxy_publishers_total{}", "type", "publishers"), ("signaling_proxy_subscribers_total{}", "type", "subscribers")]),
            lines("Commands", "Command messages a second, by type. Many that create, and few that delete: streams stay open.", "sum by (type) (rate(signaling_proxy_command_messages_total{}[$__rate_interval]))", "{{type}}", "ops", width=12),
            lines("Payloads", "Payload messages a second, by type. Many offers, and few answers: people cannot connect.", "sum by (type) (rate(signaling_proxy_payload_messages_total{}[$__rate_interval]))", "{{type}}", "ops", width=12),
        ]),
    ],
)
