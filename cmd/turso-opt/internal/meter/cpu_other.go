//go:build !unix && !windows

package meter

import "time"

func cpu() (time.Duration, bool) { return 0, false }
