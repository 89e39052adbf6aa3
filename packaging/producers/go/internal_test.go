package lifecycle

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPausesGrowTo5SecondsByDefault(t *testing.T) {
	client := New(context.Background(), Options{})
	defer client.Close(context.Background())
	if client.options.ReconnectMin != 100*time.Millisecond || client.options.ReconnectMax != 5*time.Second {
		t.Fatalf("%v to %v", client.options.ReconnectMin, client.options.ReconnectMax)
	}
}

func TestAProducerWithoutANameIsTheProgram(t *testing.T) {
	arguments := os.Args
	defer func() { os.Args = arguments }()
	for program, name := range map[string]string{
		"/usr/bin/signaling":               "signaling",
		"./signaling":                      "signaling",
		"/opt/" + strings.Repeat("n", 201): strings.Repeat("n", 197) + "…",
	} {
		os.Args = []string{program}
		one, two := New(context.Background(), Options{}), New(context.Background(), Options{})
		defer one.Close(context.Background())
		defer two.Close(context.Background())
		if one.options.Producer != name || two.options.Producer != name || one.options.Instance == two.options.Instance {
			t.Fatalf("%+v %+v", one.options, two.options)
		}
	}
}

func TestCloseRightBeforeALongPauseDoesNotSleepItOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	var client *Client
	closed := make(chan error, 1)
	made := make(chan struct{})
	client = New(context.Background(), Options{
		Socket: path, ReconnectMin: time.Hour, ReconnectMax: time.Hour,
		// Told between an attempt and the pause after it.
		Logf: func(string, ...any) {
			<-made
			go acknowledge(t, path, closed, client)
			<-client.closing
		},
	})
	close(made)
	client.Emit("a.one")
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
}

// acknowledge is an exporter that comes while a client is closed, and takes its one event.
func acknowledge(t *testing.T, path string, closed chan<- error, client *Client) {
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Error(err)
		return
	}
	defer listener.Close()
	go func() { closed <- client.Close(context.Background()) }()
	connection, err := listener.Accept()
	if err != nil {
		t.Error(err)
		return
	}
	defer connection.Close()
	lines := bufio.NewReader(connection)
	for number := 0; number < 2; number++ {
		lines.ReadString('\n')
		fmt.Fprintf(connection, "{\"ack\":%d}\n", number)
	}
	lines.ReadString('\n')
}
