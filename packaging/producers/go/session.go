package lifecycle

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"net"
	"time"
)

// A connection that lasted as long was a good one: the next attempt comes soon.
const goodConnection = 5 * time.Second

// After a batch the sender rests, so that the next one is worth its wake-up.
const rest = 5 * time.Millisecond

// A reply is shorter; what is not comes from no exporter.
const replyBytesMax = 64 * 1024

// A reply of the exporter.
type reply struct {
	Ack      *uint64 `json:"ack"`
	Rejected *uint64 `json:"rejected"`
	Reason   string  `json:"reason"`
	Detail   string  `json:"detail"`
}

func helloLine(options *Options) []byte {
	hello := map[string]any{"hello": options.Producer, "instance": options.Instance}
	if options.Ownerless {
		hello["owner"] = false
	}
	// A map of text and a boolean can always be marshalled.
	line, _ := json.Marshal(hello)
	return append(line, '\n')
}

// run brings events to the exporter until everything is done after Close, or ctx ends.
func (c *Client) run(ctx context.Context) {
	defer close(c.done)
	select {
	case <-c.wake:
		c.rouse()
	case <-c.closing:
	case <-ctx.Done():
	}
	delay := c.options.ReconnectMin
	told := false
	for !c.isClosing() || !c.outbox.isEmpty() {
		// Closing that begins from here on is worth another attempt at once.
		closing := c.closing
		if c.isClosing() {
			// There is little time left: it is tried without long pauses.
			closing, delay = nil, c.options.ReconnectMin
		}
		began := time.Now()
		// An exporter may start later than this program.
		path := c.options.Socket
		if path == "" {
			path = findSocket()
		}
		err := c.connect(ctx, path)
		c.outbox.disconnect()
		if ctx.Err() != nil || (err == nil && c.isClosing()) {
			return
		}
		if time.Since(began) > goodConnection {
			delay, told = c.options.ReconnectMin, false
		}
		if !told {
			c.options.Logf("lifecycle: the exporter at %s cannot be reached, will try again: %v", path, err)
			told = true
		}
		if !c.pause(ctx, closing, time.Duration((0.5+rand.Float64()/2)*float64(delay))) {
			return
		}
		if delay *= 2; delay > c.options.ReconnectMax {
			delay = c.options.ReconnectMax
		}
	}
}

// pause waits, but no longer than until closing begins. It tells whether there is anything left to do.
func (c *Client) pause(ctx context.Context, closing <-chan struct{}, delay time.Duration) bool {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-closing:
		return !c.outbox.isEmpty()
	case <-ctx.Done():
		return false
	}
}

// connect holds one connection to its end. The error is nil after a goodbye.
func (c *Client) connect(ctx context.Context, path string) error {
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	// Room for all that the lines on their way can be answered with, so that reading never waits for writing.
	replies := make(chan reply, 4*windowLines)
	failed := make(chan error, 1)
	go func() {
		failed <- read(ctx, connection, replies)
		close(replies)
	}()
	go func() {
		<-ctx.Done()
		connection.Close()
	}()
	err = c.converse(connection, replies, failed)
	cancel()
	connection.Close()
	return err
}

// read passes the replies on until the connection ends.
func read(ctx context.Context, connection net.Conn, replies chan<- reply) error {
	lines := bufio.NewScanner(connection)
	lines.Buffer(make([]byte, 0, 4096), replyBytesMax)
	for lines.Scan() {
		var next reply
		err := json.Unmarshal(lines.Bytes(), &next)
		if err != nil || (next.Ack == nil && next.Rejected == nil) {
			return fmt.Errorf("%.80q is no reply of a lifecycle-exporter", lines.Bytes())
		}
		select {
		case replies <- next:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errors.New("the exporter has closed the connection")
}

// converse says hello, sends, and hears.
func (c *Client) converse(connection net.Conn, replies <-chan reply, failed <-chan error) error {
	if _, err := connection.Write(c.hello); err != nil {
		return err
	}
	first, open := <-replies
	if !open {
		return <-failed
	}
	if first.Ack == nil {
		return fmt.Errorf("the hello was not taken: %s", first.Detail)
	}
	if err := send(connection, c.outbox.resume(*first.Ack)); err != nil {
		return c.lastWord(err, replies)
	}
	parting := false
	closing := c.closing
	resting := time.NewTimer(0)
	defer resting.Stop()
	wake := (<-chan struct{})(nil)
	for {
		select {
		case <-wake:
			// At once after a silence; what comes then is sent together.
			wake = nil
			resting.Reset(0)
		case <-resting.C:
			lines := c.outbox.take()
			if err := send(connection, lines); err != nil {
				return c.lastWord(err, replies)
			}
			if len(lines) > 0 {
				resting.Reset(rest)
			} else {
				wake = c.wake
			}
		case <-closing:
			closing = nil
			wake = nil
			resting.Reset(0)
		case next, open := <-replies:
			if !open && parting {
				return nil
			}
			if !open {
				return <-failed
			}
			if err := c.hear(next); err != nil {
				return err
			}
			if c.outbox.hasNext() {
				wake = nil
				resting.Reset(0)
			}
		}
		if closing == nil && !parting && c.outbox.isEmpty() {
			parting = true
			if err := send(connection, [][]byte{[]byte("{\"bye\":true}\n")}); err != nil {
				return c.lastWord(err, replies)
			}
		}
	}
}

// lastWord hears what the exporter has said before it closed, after writing to it has failed.
func (c *Client) lastWord(failure error, replies <-chan reply) error {
	for next := range replies {
		if err := c.hear(next); err != nil {
			return err
		}
	}
	return failure
}

func send(connection net.Conn, lines [][]byte) error {
	if len(lines) == 0 {
		return nil
	}
	_, err := connection.Write(bytes.Join(lines, nil))
	return err
}

func (c *Client) hear(next reply) error {
	if next.Ack != nil {
		if !c.outbox.acknowledge(*next.Ack) {
			return fmt.Errorf("line %d was acknowledged, and never sent", *next.Ack)
		}
		return nil
	}
	line := c.outbox.reject(*next.Rejected)
	if line == nil {
		return fmt.Errorf("line %d was rejected: %s", *next.Rejected, next.Detail)
	}
	rejection := Rejection{Event: append([]byte(nil), bytes.TrimSuffix(line, []byte("\n"))...), Reason: next.Reason, Detail: next.Detail}
	if c.options.OnRejected != nil {
		c.tell(rejection)
	} else if count := c.refusals.count(); count > 0 {
		c.options.Logf("lifecycle: %d events were rejected, the latest: %s: %s: %s", count, next.Reason, next.Detail, rejection.Event)
	}
	return nil
}

// tell calls the host, which may panic for itself.
func (c *Client) tell(rejection Rejection) {
	defer func() {
		if cause := recover(); cause != nil {
			c.options.Logf("lifecycle: OnRejected panicked: %v", cause)
		}
	}()
	c.options.OnRejected(rejection)
}
