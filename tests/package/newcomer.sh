# Sourced by guest.sh, whose functions it uses: an operator with an unmodified signaling server follows the README, from
# installation to sessions on the page.

sessions='signaling_hub_sessions{backend="cloud",clienttype="internal"}'

# The server as its package brings it. The operator has set what it needs to run.
run_signaling_server() {
  cat >/etc/nextcloud-spreed-signaling/server.conf <<'CONF'
[http]
listen = 127.0.0.1:8080
[sessions]
hashkey = 0123456789abcdef0123456789abcdef
blockkey = 0123456789abcdef0123456789abcdef
[clients]
internalsecret = secret
[backend]
backends = cloud
[cloud]
url = http://cloud.example/
secret = secret
[nats]
url = :loopback:
CONF
  chmod 644 /etc/nextcloud-spreed-signaling/server.conf
  systemctl restart nextcloud-spreed-signaling.service
  listens() { curl -sS --fail http://127.0.0.1:8080/api/v1/welcome >/dev/null; }
  until_true 60 listens
}

# A recorder joins, with a WebSocket of its own. It stays until `client` is closed.
join() {
  local line random=0123456789abcdef0123456789abcdef
  # HMAC-SHA256 of the random text with the internal secret.
  local token=4048002ec5ff2ec0ea0d5a8cc577d5542744d62cdfb71f677645c382ec3373f8
  local hello='{"id":"1","type":"hello","hello":{"version":"1.0","auth":{"type":"internal","params":{"random":"'$random'","token":"'$token'","backend":"http://cloud.example/"}}}}'
  exec {client}<>/dev/tcp/127.0.0.1/8080
  printf '%s\r\n' 'GET /spreed HTTP/1.1' 'Host: localhost' 'Upgrade: websocket' 'Connection: Upgrade' \
    'Sec-WebSocket-Key: bGlmZWN5Y2xlLWV4cG9ydA==' 'Sec-WebSocket-Version: 13' '' >&"$client"
  while IFS= read -r line <&"$client" && [[ $line != $'\r' ]]; do :; done
  # One text frame of 242 bytes, masked with zeros.
  ((${#hello} == 242))
  printf '\x81\xfe\x00\xf2\0\0\0\0%s' "$hello" >&"$client"
}

follow_the_readme() {
  step "an unmodified signaling server, and the README's four commands"
  run_signaling_server
  sudo() { "$@"; }
  local began=$SECONDS command
  cat /root/commands
  while IFS= read -r command <&3; do
    echo "\$ $command"
    eval "$command" </dev/null
  done 3</root/commands
  is_followed() { journalctl -u lifecycle-follow@signaling -o cat | grep -F "connected as follow:signaling"; }
  until_true 60 is_followed
  join
  until_true 60 expect "$sessions" 1
  curl -sS --fail http://127.0.0.1:10048/ | grep -F 'signaling' >/dev/null
  echo "from installation to a session: $((SECONDS - began)) s"
  ((SECONDS - began < 300))
  exec {client}>&-
  # The server keeps the session for a while, since its client may come back.
  expect "$sessions" 1
  until_true 90 expect "$sessions" 0
  systemctl disable --now lifecycle-follow@signaling
}
