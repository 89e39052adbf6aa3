package lifecycle

import (
	"context"
	"os"
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
