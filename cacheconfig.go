package tursoopt

import (
	"errors"
	"slices"
	"time"
)

// validateCache is part of Config.validate.
func (c *Config) validateCache() error {
	if len(c.CacheTables) > 0 {
		return errors.New("turso-opt: CacheTables: is for Wrap only; the other bases tell their schema")
	}
	if err := c.validateCacheFields(); err != nil || c.Cache == 0 {
		return err
	}
	if c.isFile() && c.inMemory() {
		return errors.New("turso-opt: cache: a database in memory has none, each connection may have one of its own")
	}
	return nil
}

// validateWrappedCache is for Wrap.
func (c *Config) validateWrappedCache() error {
	if err := c.validateCacheFields(); err != nil || c.Cache == 0 {
		return err
	}
	if c.Shared != nil {
		return errSharedBase
	}
	for name, more := range c.CacheTables {
		if name == "" || slices.Contains(more, "") {
			return errors.New("turso-opt: CacheTables: a table has no name")
		}
	}
	return nil
}

// validateCacheFields is about what has the same meaning on all bases.
func (c *Config) validateCacheFields() error {
	if err := validateTableTTL(c.CacheTableTTL); err != nil {
		return err
	}
	switch {
	case c.Cache == 0:
		return nil
	case c.Cache < MinCache:
		return errors.New("turso-opt: cache: want off, or at least 64KiB")
	case c.CacheLease < 0 || c.CacheTTL < 0 || c.StaleWhileRevalidate < 0:
		return errors.New("turso-opt: cache_lease, cache_ttl, stale_while_revalidate: want no negative durations")
	}
	return nil
}

func (c *Config) cacheLease() time.Duration {
	if c.CacheLease == 0 {
		return DefaultCacheLease
	}
	return c.CacheLease
}

func (c *Config) cacheTTL() time.Duration {
	if c.CacheTTL == 0 {
		return DefaultCacheTTL
	}
	return c.CacheTTL
}
