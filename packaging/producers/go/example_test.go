package lifecycle_test

import (
	"context"

	lifecycle "lifecycleexporter/lifecycle"
)

func Example() {
	events := lifecycle.New(context.Background(), lifecycle.Options{Producer: "signaling"})
	defer events.Close(context.Background())
	events.Signaling.SessionJoined("s1", "https://cloud.example.com/", "client", lifecycle.WithCountry("DE"))
	events.Emit("myapp.thing.happened", lifecycle.Text("colour", "red"))
}

// A script that opens something and exits, such as a job of cron, owns nothing: else what it has opened fails when it ends.
func ExampleOptions_ownerless() {
	events := lifecycle.New(context.Background(), lifecycle.Options{Producer: "nightly-encode", Ownerless: true})
	defer events.Close(context.Background())
	events.Vlog.JobStarted("42")
}
