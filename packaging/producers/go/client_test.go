package lifecycle_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	lifecycle "lifecycleexporter/lifecycle"
)

// An exporter that acknowledges everything and keeps the lines of each connection.
type exporter struct {
	path     string
	mutex    sync.Mutex
	sessions [][]map[string]any
}

func listen(t *testing.T) *exporter {
	t.Helper()
	directory, err := os.MkdirTemp("", "events")
	if err != nil {
		t.Fatal(err)
	}
	e := &exporter{path: filepath.Join(directory, "events.sock")}
	listener, err := net.Listen("unix", e.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		listener.Close()
		os.RemoveAll(directory)
	})
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			e.mutex.Lock()
			e.sessions = append(e.sessions, nil)
			number := len(e.sessions) - 1
			e.mutex.Unlock()
			go e.serve(connection, number)
		}
	}()
	return e
}

func (e *exporter) serve(connection net.Conn, session int) {
	defer connection.Close()
	lines := bufio.NewScanner(connection)
	for number := 0; lines.Scan(); number++ {
		var line map[string]any
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			return
		}
		e.mutex.Lock()
		e.sessions[session] = append(e.sessions[session], line)
		e.mutex.Unlock()
		if line["bye"] == true {
			return
		}
		fmt.Fprintf(connection, "{\"ack\":%d}\n", number)
	}
}

func (e *exporter) lines(session int) []map[string]any {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	return e.sessions[session]
}

func closeInTime(t *testing.T, client *lifecycle.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := client.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestEventsOfManyGoroutinesArriveOnce(t *testing.T) {
	e := listen(t)
	client := lifecycle.New(context.Background(), lifecycle.Options{Socket: e.path, Producer: "p"})
	var all sync.WaitGroup
	for g := 0; g < 8; g++ {
		all.Add(1)
		go func(g int) {
			defer all.Done()
			for i := 0; i < 500; i++ {
				client.Signaling.SessionJoined(fmt.Sprint(g, "-", i), "b", "client")
				client.Stats()
			}
		}(g)
	}
	all.Wait()
	closeInTime(t, client)
	seen := map[any]bool{}
	for _, line := range e.lines(0) {
		if line["event"] == "signaling.session.joined" {
			seen[line["session"]] = true
		}
	}
	if stats := client.Stats(); len(seen) != 4000 || stats.Acknowledged != 4000 || stats.Dropped != 0 {
		t.Fatalf("%d sessions, %+v", len(seen), stats)
	}
}

func TestHelpersSayWhatTheyAreCalled(t *testing.T) {
	e := listen(t)
	client := lifecycle.New(context.Background(), lifecycle.Options{Socket: e.path})
	client.Signaling.BackendRequestFinished("b", 0.25, lifecycle.WithError("timeout"), lifecycle.At(time.UnixMilli(1500)))
	client.Proxy.PublisherCreated("p1", "video", "s1", lifecycle.At(time.Unix(2, 0)))
	client.Proxy.ServerStarted(lifecycle.At(time.Unix(3, 0)))
	closeInTime(t, client)
	var said []string
	for _, line := range e.lines(0)[1:] {
		text, _ := json.Marshal(line)
		said = append(said, string(text))
	}
	expected := []string{
		`{"backend":"b","duration":0.25,"error":"timeout","event":"signaling.backend_request.finished","time":1.5}`,
		`{"event":"proxy.publisher.created","publisher":"p1","session":"s1","time":2,"type":"video"}`,
		`{"event":"proxy.server_started","time":3}`,
		`{"bye":true}`,
	}
	if strings.Join(said, "\n") != strings.Join(expected, "\n") {
		t.Fatalf("%s", strings.Join(said, "\n"))
	}
}

func TestWhatIsNoJSONIsDroppedAndTold(t *testing.T) {
	e := listen(t)
	var said []string
	client := lifecycle.New(context.Background(), lifecycle.Options{
		Socket: e.path,
		Logf:   func(format string, arguments ...any) { said = append(said, fmt.Sprintf(format, arguments...)) },
	})
	client.Emit("a.nan", lifecycle.Number("value", math.NaN()))
	client.Emit("a.inf", lifecycle.Number("value", math.Inf(-1)))
	client.Emit("a.text", lifecycle.Text("value", "broken \xff\x00 text"))
	closeInTime(t, client)
	if lines := e.lines(0); len(lines) != 3 || lines[1]["value"] != "broken \ufffd\x00 text" {
		t.Fatalf("%v", lines)
	}
	if stats := client.Stats(); stats.Dropped != 2 || len(said) != 1 || said[0] != "lifecycle: 1 events were no JSON, the latest: a.nan: value is not a finite number" {
		t.Fatalf("%+v %q", stats, said)
	}
}

func TestNamesAreNotCutAndALineThatIsTooLongIsTold(t *testing.T) {
	e := listen(t)
	var said []string
	client := lifecycle.New(context.Background(), lifecycle.Options{
		Socket: e.path,
		Logf:   func(format string, arguments ...any) { said = append(said, fmt.Sprintf(format, arguments...)) },
	})
	name := strings.Repeat("n", 5000)
	fields := []lifecycle.Field{lifecycle.Text("\xff", "replaced")}
	for i := 0; i < 16; i++ {
		fields = append(fields, lifecycle.Text(fmt.Sprint("f", i), strings.Repeat("a", 5000)))
	}
	client.Emit(name, fields...)
	client.Emit("a.long", lifecycle.Bool(strings.Repeat("n", 70000), true), lifecycle.At(time.Unix(1, 0)))
	closeInTime(t, client)
	line := e.lines(0)[1]
	if line["event"] != name || line["\ufffd"] != "replaced" || line["f0"] != strings.Repeat("a", 1097)+"…" {
		t.Fatalf("%v", line)
	}
	expected := "lifecycle: 1 events were no JSON, the latest: a.long: the line has 70035 bytes, and may have 65000"
	if client.Stats().Dropped != 1 || len(said) != 1 || said[0] != expected {
		t.Fatalf("%q", said)
	}
}

// rejecting makes a client whose one event an exporter has just rejected, and returns the exporter's side of the connection, too.
func rejecting(t *testing.T, options lifecycle.Options) (*lifecycle.Client, net.Conn, *bufio.Reader) {
	t.Helper()
	options.Socket = filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", options.Socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	client := lifecycle.New(context.Background(), options)
	client.Emit("a.one")
	connection, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	lines := bufio.NewReader(connection)
	lines.ReadString('\n')
	fmt.Fprintln(connection, `{"ack":0}`)
	lines.ReadString('\n')
	fmt.Fprintln(connection, `{"rejected":1,"reason":"not_open","detail":""}`)
	return client, connection, lines
}

func TestACallbackThatPanicsHarmsNobody(t *testing.T) {
	client, connection, lines := rejecting(t, lifecycle.Options{
		OnRejected: func(lifecycle.Rejection) { panic("no") },
		Logf:       func(string, ...any) {},
	})
	fmt.Fprintln(connection, `{"ack":1}`)
	done := make(chan error, 1)
	go func() { done <- client.Close(context.Background()) }()
	if line, _ := lines.ReadString('\n'); line != "{\"bye\":true}\n" {
		t.Fatalf("read %s", line)
	}
	connection.Close()
	if err := <-done; err != nil || client.Stats().Rejected != 1 {
		t.Fatalf("%v %+v", err, client.Stats())
	}
}

func TestTheEndOfTheContextIsTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	client := lifecycle.New(ctx, lifecycle.Options{Socket: "/nowhere/events.sock", Logf: func(string, ...any) {}})
	client.Emit("a.one")
	cancel()
	if err := client.Close(context.Background()); err == nil || !strings.Contains(err.Error(), "1 events were not acknowledged") {
		t.Fatal(err)
	}
	client.Emit("a.two")
	if stats := client.Stats(); stats.Dropped != 1 || stats.Pending != 1 {
		t.Fatalf("%+v", stats)
	}
}

func TestCloseKeepsItsTimeWhateverTheHostDoes(t *testing.T) {
	ended, end := context.WithCancel(context.Background())
	end()
	clients := make(chan *lifecycle.Client, 1)
	inCallback := make(chan error, 1)
	client, _, _ := rejecting(t, lifecycle.Options{
		OnRejected: func(lifecycle.Rejection) { inCallback <- (<-clients).Close(ended) },
		Logf:       func(string, ...any) { panic("no") },
	})
	clients <- client
	if err := <-inCallback; err == nil {
		t.Fatal("the event was not acknowledged")
	}
	client.Emit("a.nan", lifecycle.Number("value", math.NaN()))
}

func TestCloseDoesNotSleepOutALongPause(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	said := make(chan string, 10)
	client := lifecycle.New(context.Background(), lifecycle.Options{
		Socket: path, ReconnectMin: time.Hour, ReconnectMax: time.Hour,
		Logf: func(format string, _ ...any) { said <- format },
	})
	client.Emit("a.one")
	<-said
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		defer connection.Close()
		lines := bufio.NewReader(connection)
		lines.ReadString('\n')
		fmt.Fprintln(connection, `{"ack":0}`)
		lines.ReadString('\n')
		fmt.Fprintln(connection, `{"ack":1}`)
		lines.ReadString('\n')
	}()
	closeInTime(t, client)
}

func TestCloseWithoutAnEventConnectsNowhere(t *testing.T) {
	client := lifecycle.New(context.Background(), lifecycle.Options{
		Socket: "/nowhere/events.sock",
		Logf:   func(format string, arguments ...any) { t.Errorf(format, arguments...) },
	})
	closeInTime(t, client)
	closeInTime(t, client)
}

func BenchmarkEmit(b *testing.B) {
	client := lifecycle.New(context.Background(), lifecycle.Options{Socket: "/nowhere/events.sock", Buffer: b.N + 1, Logf: func(string, ...any) {}})
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		client.Recording.Started("https://cloud.example.com/", "r1")
	}
}
