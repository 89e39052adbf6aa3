package lifecycle

import "sync"

// windowLines may be on their way without an acknowledgement; the exporter acknowledges at least as often.
const windowLines = 1024

// An outbox holds the lines that are not acknowledged yet: those that wait, and those that are on their way. It knows nothing of sockets.
// The sender numbers lines by their place here, so a line that was sent stays until it is acknowledged, whatever happens to the connection.
type outbox struct {
	mutex        sync.Mutex
	capacity     int
	overflow     Overflow
	waiting      queue
	sent         queue
	lastAck      uint64
	closed       bool
	emitted      uint64
	acknowledged uint64
	dropped      uint64
	rejected     uint64
	connected    bool
}

// offer takes a line; nil is one that could not be made. It tells whether a line was lost, this one or the oldest that waits.
func (o *outbox) offer(line []byte) (lost bool) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.emitted++
	if line != nil && !o.closed && o.pending() < o.capacity {
		o.waiting.push(line)
		return false
	}
	o.dropped++
	if line != nil && !o.closed && o.overflow == DropOldest && o.waiting.len() > 0 {
		o.waiting.shift(1)
		o.waiting.push(line)
	}
	return true
}

func (o *outbox) pending() int {
	return o.waiting.len() + o.sent.len()
}

// close makes it take no more.
func (o *outbox) close() {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.closed = true
}

// take returns the lines to send next, as many as the window allows.
func (o *outbox) take() [][]byte {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	count := windowLines - o.sent.len()
	if count > o.waiting.len() {
		count = o.waiting.len()
	}
	lines := o.waiting.shift(count)
	for _, line := range lines {
		o.sent.push(line)
	}
	return lines
}

// hasNext tells whether there is something to send that the window allows.
func (o *outbox) hasNext() bool {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.waiting.len() > 0 && o.sent.len() < windowLines
}

// resume begins a session with this acknowledgement. It returns the lines on their way that have to be sent again.
func (o *outbox) resume(ack uint64) [][]byte {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	// An exporter that has lost its memory acknowledges less than before: what it once had is not sent again.
	if ack > o.lastAck {
		count := o.sent.len()
		if ack-o.lastAck < uint64(count) {
			count = int(ack - o.lastAck)
		}
		o.forget(count)
	}
	o.lastAck = ack
	o.connected = true
	return append([][]byte(nil), o.sent.items[o.sent.first:]...)
}

// acknowledge takes every line up to this number as done. It fails if no such line was sent.
func (o *outbox) acknowledge(ack uint64) bool {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if ack < o.lastAck || ack-o.lastAck > uint64(o.sent.len()) {
		return false
	}
	o.forget(int(ack - o.lastAck))
	o.lastAck = ack
	return true
}

func (o *outbox) forget(count int) {
	o.sent.shift(count)
	o.acknowledged += uint64(count)
}

// reject returns the line of this number, or nil if no such line is on its way.
func (o *outbox) reject(number uint64) []byte {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if number <= o.lastAck || number-o.lastAck > uint64(o.sent.len()) {
		return nil
	}
	o.rejected++
	return o.sent.items[o.sent.first+int(number-o.lastAck)-1]
}

func (o *outbox) disconnect() {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.connected = false
}

func (o *outbox) isEmpty() bool {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.pending() == 0
}

func (o *outbox) stats() Stats {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return Stats{
		Emitted:      o.emitted,
		Acknowledged: o.acknowledged,
		Pending:      o.pending(),
		InFlight:     o.sent.len(),
		Dropped:      o.dropped,
		Rejected:     o.rejected,
		Connected:    o.connected,
	}
}

// A queue is first in, first out, in constant time.
type queue struct {
	items [][]byte
	first int
}

func (q *queue) len() int {
	return len(q.items) - q.first
}

func (q *queue) push(line []byte) {
	q.items = append(q.items, line)
}

// shift takes as many from the front.
func (q *queue) shift(count int) [][]byte {
	taken := append([][]byte(nil), q.items[q.first:q.first+count]...)
	for i := q.first; i < q.first+count; i++ {
		q.items[i] = nil
	}
	q.first += count
	if q.first > windowLines && q.first*2 > len(q.items) {
		q.items = append([][]byte(nil), q.items[q.first:]...)
		q.first = 0
	}
	return taken
}
