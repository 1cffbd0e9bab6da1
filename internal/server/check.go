package server

import (
	"context"
	"io"

	"github.com/awaitd/awaitd/internal/config"
)

// Check does all that can be done without serving: it finds the interpreter, starts one worker, which imports the application and
// runs its lifespan startup, and ends it again. No address is bound.
func Check(_ context.Context, cfg *config.Config, out Output) error {
	only := *cfg
	only.Workers, only.Reactors, only.AccessLog = 1, 1, false
	s, err := prepare(&only, Output{Access: io.Discard, Log: out.Log})
	if err != nil {
		return err
	}
	defer s.close()
	s.manager.Seal()
	for _, st := range s.stations {
		s.running.Go(st.reactor.Run) // ends by close
	}
	err = s.pool.Start()
	s.pool.Stop(0)
	return err
}
