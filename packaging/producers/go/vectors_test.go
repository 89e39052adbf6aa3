package lifecycle_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	lifecycle "lifecycleexporter/lifecycle"
)

const patience = 20 * time.Second

// The transcripts that all clients share; what their steps mean is told beside them.
const vectors = "../../../tests/producers/vectors"

func TestVectors(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(vectors, "*.ndjson"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts in %s: %v", vectors, err)
	}
	for _, file := range files {
		file := file
		t.Run(strings.TrimSuffix(filepath.Base(file), ".ndjson"), func(t *testing.T) {
			t.Parallel()
			play(t, file)
		})
	}
}

type step map[string]json.RawMessage

// A player is both sides of one scene.
type player struct {
	t          *testing.T
	where      string
	path       string
	client     *lifecycle.Client
	rejections chan lifecycle.Rejection
	listener   net.Listener
	connection net.Conn
	lines      *bufio.Reader
	closing    chan error
}

func play(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	directory, err := os.MkdirTemp("", "events")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(directory)
	p := &player{t: t, path: filepath.Join(directory, "events.sock"), rejections: make(chan lifecycle.Rejection, 100)}
	for number, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		p.where = fmt.Sprintf("%s:%d %s", filepath.Base(file), number+1, line)
		var next step
		p.decode([]byte(line), &next)
		if number == 0 {
			p.begin(next["client"])
			defer p.finish()
			continue
		}
		p.do(next)
	}
}

func (p *player) decode(text []byte, into any) {
	if err := json.Unmarshal(text, into); err != nil {
		p.t.Fatalf("%s: %v", p.where, err)
	}
}

func (p *player) begin(text json.RawMessage) {
	wanted := struct {
		Away     bool
		Producer string
		Instance string
		Owner    bool
		Buffer   int
		Overflow string
	}{Producer: "p", Instance: "i", Owner: true}
	p.decode(text, &wanted)
	options := lifecycle.Options{
		Socket:       p.path,
		Producer:     wanted.Producer,
		Instance:     wanted.Instance,
		Ownerless:    !wanted.Owner,
		Buffer:       wanted.Buffer,
		OnRejected:   func(rejection lifecycle.Rejection) { p.rejections <- rejection },
		Logf:         func(string, ...any) {},
		ReconnectMin: 10 * time.Millisecond,
		ReconnectMax: 50 * time.Millisecond,
		Clock:        func() time.Time { return time.UnixMilli(1000500) },
	}
	if wanted.Overflow == "newest" {
		options.Overflow = lifecycle.DropNewest
	}
	if !wanted.Away {
		p.listen()
	}
	p.client = lifecycle.New(context.Background(), options)
}

func (p *player) listen() {
	listener, err := net.Listen("unix", p.path)
	if err != nil {
		p.t.Fatalf("%s: %v", p.where, err)
	}
	p.listener = listener
}

func (p *player) do(next step) {
	for verb, value := range next {
		switch verb {
		case "listen":
			if string(value) == "true" {
				p.listen()
			} else {
				p.listener.Close()
			}
		case "emit":
			times := 1
			if text, more := next["times"]; more {
				p.decode(text, &times)
			}
			for ; times > 0; times-- {
				p.emit(value)
			}
		case "accept":
			p.listener.(*net.UnixListener).SetDeadline(time.Now().Add(patience))
			connection, err := p.listener.Accept()
			if err != nil {
				p.t.Fatalf("%s: %v", p.where, err)
			}
			connection.SetDeadline(time.Now().Add(patience))
			p.connection, p.lines = connection, bufio.NewReader(connection)
		case "read":
			var expected, actual any
			line := p.line()
			p.decode(value, &expected)
			p.decode([]byte(line), &actual)
			if !reflect.DeepEqual(actual, writtenOut(expected)) {
				p.t.Fatalf("%s: read %s", p.where, line)
			}
		case "read_lines":
			var count int
			for p.decode(value, &count); count > 0; count-- {
				p.line()
			}
		case "write":
			p.write(string(value) + "\n")
		case "write_text":
			var text string
			p.decode(value, &text)
			p.write(text)
		case "cut":
			p.connection.Close()
		case "end":
			if rest, _ := io.ReadAll(p.lines); len(rest) > 0 {
				p.t.Fatalf("%s: read %s", p.where, rest)
			}
			p.connection.Close()
		case "until":
			p.until(value)
		case "rejection":
			p.rejection(value)
		case "close":
			var seconds float64
			p.decode(value, &seconds)
			p.closing = make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds*float64(time.Second)))
				defer cancel()
				p.closing <- p.client.Close(ctx)
			}()
		case "closed":
			if err := <-p.closing; (err == nil) != (string(value) == "true") {
				p.t.Fatalf("%s: %v", p.where, err)
			}
		case "times":
		default:
			p.t.Fatalf("%s: unknown step", p.where)
		}
	}
}

// writtenOut is the value with its repeated texts in full.
func writtenOut(value any) any {
	fields, is := value.(map[string]any)
	if !is {
		return value
	}
	if text, is := fields["repeat"].(string); is {
		if fields["broken"] == true {
			text = strings.ReplaceAll(text, "?", "\xff")
		}
		end, _ := fields["end"].(string)
		return strings.Repeat(text, int(fields["times"].(float64))) + end
	}
	for name, each := range fields {
		fields[name] = writtenOut(each)
	}
	return fields
}

func (p *player) emit(value json.RawMessage) {
	// In the order of the text: a map would lose it.
	decoder := json.NewDecoder(strings.NewReader(string(value)))
	decoder.Token()
	var event string
	var fields []lifecycle.Field
	for decoder.More() {
		name, _ := decoder.Token()
		var content any
		if err := decoder.Decode(&content); err != nil {
			p.t.Fatalf("%s: %v", p.where, err)
		}
		switch content := writtenOut(content).(type) {
		case string:
			if name == "event" {
				event = content
				continue
			}
			fields = append(fields, lifecycle.Text(name.(string), content))
		case float64:
			fields = append(fields, lifecycle.Number(name.(string), content))
		case bool:
			fields = append(fields, lifecycle.Bool(name.(string), content))
		}
	}
	p.client.Emit(event, fields...)
}

func (p *player) line() string {
	line, err := p.lines.ReadString('\n')
	if err != nil {
		p.t.Fatalf("%s: %v after %q", p.where, err, line)
	}
	return line
}

func (p *player) write(text string) {
	if _, err := p.connection.Write([]byte(text)); err != nil {
		p.t.Fatalf("%s: %v", p.where, err)
	}
}

func (p *player) until(value json.RawMessage) {
	var expected map[string]any
	p.decode(value, &expected)
	deadline := time.Now().Add(patience)
	for {
		stats := p.client.Stats()
		now := map[string]any{
			"emitted": float64(stats.Emitted), "acknowledged": float64(stats.Acknowledged), "pending": float64(stats.Pending),
			"in_flight": float64(stats.InFlight), "dropped": float64(stats.Dropped), "rejected": float64(stats.Rejected), "connected": stats.Connected,
		}
		same := true
		for key, wanted := range expected {
			same = same && now[key] == wanted
		}
		if same {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s: %v", p.where, now)
		}
		time.Sleep(time.Millisecond)
	}
}

func (p *player) rejection(value json.RawMessage) {
	var expected struct {
		Event          any
		Reason, Detail string
	}
	p.decode(value, &expected)
	select {
	case rejection := <-p.rejections:
		var event any
		p.decode(rejection.Event, &event)
		if !reflect.DeepEqual(event, writtenOut(expected.Event)) || rejection.Reason != expected.Reason || rejection.Detail != expected.Detail {
			p.t.Fatalf("%s: %s %s %s", p.where, rejection.Event, rejection.Reason, rejection.Detail)
		}
	case <-time.After(patience):
		p.t.Fatalf("%s: none came", p.where)
	}
}

func (p *player) finish() {
	ended, end := context.WithCancel(context.Background())
	end()
	p.client.Close(ended)
	if p.connection != nil {
		p.connection.Close()
	}
	if p.listener != nil {
		p.listener.Close()
	}
	if stats := p.client.Stats(); stats.Emitted != stats.Acknowledged+uint64(stats.Pending)+stats.Dropped {
		p.t.Fatalf("%+v", stats)
	}
}
