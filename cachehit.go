package tursoopt

import (
	"context"
	"database/sql/driver"
	"unsafe"

	"github.com/turso-opt/turso-opt/internal/cache"
	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/sqltext"
)

// quickArgs is how many arguments a call may have to be answered by hit.
const quickArgs = 4

// A lastText is what a connection was asked last and may have a kept result: most
// programs ask for the same again, and finding a text takes a part of what a hit does.
type lastText struct {
	query string
	text  *sqltext.Text
}

// maxLast is the longest query that is remembered, since one that is takes memory for
// each connection.
const maxLast = 4 << 10

func (c *conn) remember(query string, text *sqltext.Text) {
	if c.connector.reads != nil && len(query) <= maxLast && keepable(text) {
		c.last = lastText{query, text}
	}
}

// is gives the text of a query that is not only equal to the last, but the same
// string.
func (l *lastText) is(query string) *sqltext.Text {
	if len(query) == len(l.query) && unsafe.StringData(query) == unsafe.StringData(l.query) {
		return l.text
	}
	return nil
}

// hit answers a query with what is kept, nil if it has to go the way of all calls,
// which finds out why. Most calls that the cache answers are answered here, without
// what a call needs that is to be sent: a hit costs little more than database/sql
// itself.
func (c *conn) hit(ctx context.Context, text *sqltext.Text, args []driver.NamedValue) *rows {
	rc := c.connector.reads
	if rc == nil || !c.session.open() || !keepable(text) || len(args) > quickArgs || c.connector.compression != nil || c.connector.cfg.Tracer != nil {
		return nil
	}
	var values [quickArgs]exec.Value
	for i := range args {
		if args[i].Name != "" || args[i].Ordinal != i+1 {
			return nil
		}
		var err error
		if values[i], err = toValue(args[i].Value); err != nil {
			return nil
		}
	}
	if len(args) != len(text.Params) || ctx.Err() != nil || c.connector.closed.Load() {
		return nil
	}
	k := cache.Key{SQL: text.Stmts[0].SQL, Args: values[:len(args)]}
	res, ok := rc.cache.Hit(&k, cacheOptions(ctx)).(*exec.Result)
	if !ok {
		return nil
	}
	c.use.begin(c.connector)
	c.session.held = true
	r := &rows{ctx: ctx, conn: c, text: text, kept: true}
	r.only[0].Result = res
	r.sets = r.only[:]
	r.open(res)
	return r
}
