package pool

import (
	"errors"
	"time"

	"github.com/awaitd/awaitd/internal/fault"
)

var errNotStarted = errors.New("the new worker ended before it was ready")

func startTimeout(target string, limit time.Duration) error { return fault.StartTimeout(target, limit) }
