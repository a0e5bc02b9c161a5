package vaultserver

import (
	"fmt"
	"time"
)

// Poll calls attempt until it returns nil, and returns its last error if it does not within the limit.
func Poll(limit time.Duration, attempt func() error) error {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := attempt()
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-deadline.C:
			return fmt.Errorf("waited %s: %w", limit, err)
		}
	}
}
