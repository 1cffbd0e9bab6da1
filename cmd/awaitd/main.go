// Command awaitd serves Python web applications.
package main

import (
	"context"
	"os"

	"github.com/awaitd/awaitd/internal/cli"
	"github.com/awaitd/awaitd/internal/config"
	"github.com/awaitd/awaitd/internal/server"
)

func main() {
	env := cli.OS()
	out := server.Output{Access: os.Stdout, Log: os.Stderr}
	env.Serve = func(ctx context.Context, c *config.Config) error { return server.Run(ctx, c, out) }
	env.Check = func(ctx context.Context, c *config.Config) error { return server.Check(ctx, c, out) }
	env.Sidecar = func() error { return server.Sidecar(os.Stderr) }
	os.Exit(cli.Main(os.Args[1:], env))
}
