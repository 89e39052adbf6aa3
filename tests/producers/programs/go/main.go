// Emits as many events as told, closes, and prints how long that took.
package main

import (
	"context"
	"encoding/json"
	"os"
	"strconv"
	"time"

	"lifecycleexporter/lifecycle"
)

func main() {
	count, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	client := lifecycle.New(context.Background(), lifecycle.Options{Producer: "emit.go", Buffer: count})
	began := time.Now()
	for number := 0; number < count; number++ {
		client.Signaling.MessageReceived("offer")
	}
	emitted := time.Since(began).Seconds()
	complete := client.Close(context.Background()) == nil
	all := time.Since(began).Seconds()
	stats := client.Stats()
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"complete":          complete,
		"stats":             map[string]any{"emitted": stats.Emitted, "acknowledged": stats.Acknowledged, "dropped": stats.Dropped, "rejected": stats.Rejected},
		"emit_seconds":      emitted / float64(count),
		"events_per_second": float64(count) / all,
	})
}
