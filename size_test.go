package tursoopt_test

import (
	"strings"
	"testing"

	tursoopt "github.com/turso-opt/turso-opt"
)

func TestSizesInDSN(t *testing.T) {
	for value, want := range map[string]int64{
		"off": 0, "0": 0, "64KiB": 64 << 10, "1MiB": 1 << 20, "1536KiB": 1536 << 10, "2GiB": 2 << 30, "1048577B": 1<<20 + 1,
	} {
		cfg, err := tursoopt.ParseDSN("libsql://h?cache=" + value)
		if err != nil || cfg.Cache != want {
			t.Errorf("cache=%s: %v, want %d", value, err, want)
			continue
		}
		again, err := tursoopt.ParseDSN(cfg.FormatDSN())
		if err != nil || again.Cache != want {
			t.Errorf("cache=%s comes back as %d, %v", value, again.Cache, err)
		}
	}
	for _, value := range []string{"", "64", "-1MiB", "1.5MiB", "1MB", "MiB", "63KiB", "9999999999GiB"} {
		if _, err := tursoopt.ParseDSN("libsql://h?cache=" + value); err == nil || !strings.Contains(err.Error(), "cache") {
			t.Errorf("cache=%s: %v", value, err)
		}
	}
	for _, param := range []string{"cache_lease=0", "cache_lease=-1s", "cache_ttl=x", "stale_while_revalidate=-1s"} {
		if _, err := tursoopt.ParseDSN("libsql://h?" + param); err == nil {
			t.Errorf("%s is accepted", param)
		}
	}
}
