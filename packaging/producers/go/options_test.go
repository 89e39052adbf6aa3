package lifecycle

import (
	"context"
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
