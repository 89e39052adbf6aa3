// Package lifecycle reports lifecycle events to lifecycle-exporter.
//
//	events := lifecycle.New(context.Background(), lifecycle.Options{Producer: "signaling"})
//	defer events.Close(context.Background())
//	events.Signaling.SessionJoined("s1", "https://cloud.example.com/", "client", lifecycle.WithCountry("DE"))
//	events.Emit("myapp.thing.happened", lifecycle.Text("colour", "red"))
//
// An event is put into a bounded buffer, and a goroutine brings it to the exporter by a reliable session: it counts exactly once, over
// any number of restarts of the exporter. Nothing here blocks the caller or panics in it.
//
// $LIFECYCLE_EVENTS_SOCKET is the path of the exporter's socket; without it the client takes that of the exporter's package, DefaultSocket,
// else that of an exporter that this user runs.
//
// What a client opens is its own: when the client is closed or its process ends, the exporter abandons what is still open, and a recording
// or a job becomes a failed one. A script that opens something and exits, such as a job of cron, says that it owns nothing:
//
//	events := lifecycle.New(ctx, lifecycle.Options{Producer: "nightly-encode", Ownerless: true})
//	defer events.Close(ctx)
//	events.Vlog.JobStarted("42") // a worker reports its end; without Ownerless it would fail here
//
// A program that ends without Close, as by os.Exit or a signal, may lose the last events: call Close before, and after
// signal.NotifyContext has told of SIGTERM, with a context of its own.
package lifecycle

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// DefaultSocket is where the package of the exporter has its socket; $LIFECYCLE_EVENTS_SOCKET says otherwise.
const DefaultSocket = "/run/lifecycle-exporter/events.sock"

// DefaultCloseTimeout is how long Close waits where its context has no deadline.
const DefaultCloseTimeout = 5 * time.Second

// The exporter takes no longer name of a producer.
const nameBytesMax = 200

// What has been told to end gets as much time more.
const lastMoment = 200 * time.Millisecond

// DefaultBuffer is the number of events kept while the exporter is away.
const DefaultBuffer = 10000

// Overflow is which event gives way when the buffer is full.
type Overflow int

const (
	// DropOldest drops the oldest event that was not sent yet.
	DropOldest Overflow = iota
	// DropNewest drops the event that comes.
	DropNewest
)

// Options of a client. The zero value is a good one.
type Options struct {
	// Socket is the exporter's. Default: $LIFECYCLE_EVENTS_SOCKET, else DefaultSocket, else that of an exporter that this user runs.
	Socket string
	// Producer is the producer's name, stable over restarts. Processes of one program share it (an old and a new one during an update):
	// each is a run of its own, and so is each client. A name belongs to one user of the machine. Default: the name of the program's file.
	Producer string
	// Instance is this run of the producer, unique. Default: random.
	Instance string
	// Ownerless says that the exporter does not abandon what this client has opened, and what is still open, when the client is closed or
	// its process is gone. It is for a script that opens something and exits, such as a job of cron.
	Ownerless bool
	// Buffer is the number of events kept while the exporter is away. Default: DefaultBuffer.
	Buffer int
	// Overflow is which event gives way when the buffer is full. Default: DropOldest.
	Overflow Overflow
	// OnRejected is called, in the sender's goroutine, for each event that the exporter did not take. Default: they are logged.
	OnRejected func(Rejection)
	// Logf takes a line about what goes wrong. Default: log.Printf.
	Logf func(format string, arguments ...any)
	// ReconnectMin and ReconnectMax are the first and the longest pause between two attempts to connect. Keep the longest well below the
	// grace time of the exporter (30 s by default), which gives up what a producer has open if it has not come back by then. Default:
	// 100 ms and 5 s.
	ReconnectMin, ReconnectMax time.Duration
	// Clock is the time of an event that says none. Default: time.Now.
	Clock func() time.Time
}

// A Rejection is an event that the exporter did not take.
type Rejection struct {
	// Event is the line as it was sent, without its end.
	Event []byte
	// Reason is the exporter's word for it: not_open, unknown_event, …
	Reason string
	// Detail is a sentence for a person.
	Detail string
}

// Stats tell what became of the events: Emitted = Acknowledged + Pending + Dropped.
type Stats struct {
	// Emitted events of the host.
	Emitted uint64
	// Acknowledged events, which the exporter has applied or rejected for good.
	Acknowledged uint64
	// Pending events wait or are on their way.
	Pending int
	// InFlight events are on their way: sent, not yet acknowledged.
	InFlight int
	// Dropped events were lost here: the buffer was full, they are no JSON, or came after Close.
	Dropped uint64
	// Rejected events were not taken by the exporter; they are acknowledged, too.
	Rejected uint64
	// Connected tells whether a session is established now.
	Connected bool
}

// A Client brings events to the exporter. Its methods may be called from any goroutine.
type Client struct {
	systems
	options Options
	hello   []byte
	outbox  outbox
	// wake holds at most one token: there is something to send, or closing has begun.
	wake      chan struct{}
	closing   chan struct{}
	closeOnce sync.Once
	done      chan struct{}
	stop      context.CancelFunc
	drops     complaint
	refusals  complaint
	unfit     complaint
}

// New makes a client. It connects with the first event, and stays until ctx ends or Close is called. When ctx ends, what is pending stays
// unsent.
func New(ctx context.Context, options Options) *Client {
	if options.Socket == "" {
		options.Socket = os.Getenv("LIFECYCLE_EVENTS_SOCKET")
	}
	if options.Producer == "" {
		options.Producer = cut(filepath.Base(os.Args[0]), nameBytesMax)
	}
	if options.Instance == "" {
		var random [8]byte
		if _, err := rand.Read(random[:]); err != nil {
			copy(random[:], fmt.Sprintf("%08x", time.Now().UnixNano()))
		}
		options.Instance = hex.EncodeToString(random[:])
	}
	if options.Buffer <= 0 {
		options.Buffer = DefaultBuffer
	}
	if options.Logf == nil {
		options.Logf = log.Printf
	}
	hostLogf := options.Logf
	options.Logf = func(format string, arguments ...any) {
		defer func() { _ = recover() }()
		hostLogf(format, arguments...)
	}
	if options.ReconnectMin <= 0 {
		options.ReconnectMin = 100 * time.Millisecond
	}
	if options.ReconnectMax < options.ReconnectMin {
		options.ReconnectMax = 5 * time.Second
	}
	if options.Clock == nil {
		options.Clock = time.Now
	}
	ctx, stop := context.WithCancel(ctx)
	client := &Client{
		options: options,
		outbox:  outbox{capacity: options.Buffer, overflow: options.Overflow},
		wake:    make(chan struct{}, 1),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
		stop:    stop,
	}
	client.hello = helloLine(&options)
	client.systems = newSystems(client)
	go client.run(ctx)
	return client
}

// Emit reports an event, of whichever catalog. It never blocks, and never panics in the caller.
func (c *Client) Emit(event string, fields ...Field) {
	// The clock is the host's.
	defer func() { _ = recover() }()
	line, err := lineOf(event, fields, c.options.Clock())
	if err != nil {
		if count := c.unfit.count(); count > 0 {
			c.options.Logf("lifecycle: %d events were no JSON, the latest: %s: %v", count, event, err)
		}
	}
	if c.outbox.offer(line) && err == nil {
		if count := c.drops.count(); count > 0 {
			c.options.Logf("lifecycle: lost %d events for lack of room, since the exporter is away or slow", count)
		}
	}
	c.rouse()
}

// Stats tells what became of the events so far.
func (c *Client) Stats() Stats {
	return c.outbox.stats()
}

// Close takes no more events, waits until all are acknowledged or ctx ends, and says goodbye. The error tells how many were left.
// A context without a deadline gets DefaultCloseTimeout.
func (c *Client) Close(ctx context.Context) error {
	c.outbox.close()
	c.closeOnce.Do(func() { close(c.closing) })
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, DefaultCloseTimeout)
		defer cancel()
	}
	select {
	case <-c.done:
	case <-ctx.Done():
	}
	c.stop()
	// It ends at once, unless it is in the host's OnRejected.
	select {
	case <-c.done:
	case <-time.After(lastMoment):
	}
	if pending := c.Stats().Pending; pending > 0 {
		return fmt.Errorf("lifecycle: %d events were not acknowledged in time", pending)
	}
	return nil
}

func (c *Client) rouse() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *Client) isClosing() bool {
	select {
	case <-c.closing:
		return true
	default:
		return false
	}
}

// A complaint is told at once the first time, and after that once a minute.
type complaint struct {
	mutex sync.Mutex
	since int
	next  time.Time
}

// count returns how often it has happened since it was last told, or 0 if it is not to be told now.
func (c *complaint) count() int {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.since++
	now := time.Now()
	if now.Before(c.next) {
		return 0
	}
	count := c.since
	c.since, c.next = 0, now.Add(time.Minute)
	return count
}
