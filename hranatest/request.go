package hranatest

import (
	"context"
	"fmt"

	"github.com/turso-opt/turso-opt/internal/exec"
	"github.com/turso-opt/turso-opt/internal/hrana"
)

// Limits of store_sql, sqld's own.
const (
	maxStored     = 50
	maxStoredSize = 5000
)

// A call is one HTTP request, and the stream that it has acquired.
type call struct {
	*Server
	ctx      context.Context
	stream   *stream
	version  int
	readOnly bool // by its token
}

// serve answers one request of a pipeline. Its error ends the pipeline.
func (c *call) serve(req *hrana.StreamReq) (hrana.StreamResult, error) {
	res := hrana.StreamResult{Type: req.Type}
	err := c.try(req, &res)
	if r, ok := err.(*refusal); ok {
		return hrana.StreamResult{Type: req.Type, Err: c.opts.Profile.refusal(r)}, nil
	}
	return res, err
}

func (c *call) try(req *hrana.StreamReq, res *hrana.StreamResult) error {
	st := c.stream
	switch req.Type {
	case hrana.Close:
		c.streams.closeConn(st)
		return nil
	case hrana.StoreSQL:
		return st.store(req.SQLID, req.SQL, c.opts.Profile.replacesStored())
	case hrana.CloseSQL:
		delete(st.sqls, req.SQLID)
		return nil
	case hrana.GetAutocommit:
		if c.version < 3 {
			return misuse("The `get_autocommit` request is only supported in protocol version hrana3 and higher")
		}
	case hrana.Execute, hrana.BatchRequest, hrana.Sequence, hrana.Describe:
	default:
		return misuse("StreamRequest type not recognized")
	}
	conn := st.conn
	if conn == nil {
		return errStreamClosed
	}
	switch req.Type {
	case hrana.GetAutocommit:
		conn.mu.Lock()
		defer conn.mu.Unlock()
		res.IsAutocommit = conn.db.GetAutocommit()
		return nil
	case hrana.Execute:
		// The text is looked at before the transaction is found to be gone.
		q, err := c.query(&req.Stmt, conn.lost())
		if err != nil {
			return err
		}
		res.Stmt, err = c.execute(q)
		return err
	case hrana.BatchRequest:
		p, err := c.program(&req.Batch)
		if err != nil {
			return err
		}
		res.Batch, err = c.batch(p)
		return err
	}
	sql, err := st.text(req.SQL, req.SQLID, req.HasSQLID)
	if err != nil {
		return err
	}
	if req.Type == hrana.Sequence {
		return c.sequence(sql)
	}
	res.Describe, err = conn.describe(sql)
	return err
}

// text is the SQL of a request: its own, or a stored one.
func (st *stream) text(sql string, id int32, stored bool) (string, error) {
	if !stored {
		return sql, nil
	}
	sql, ok := st.sqls[id]
	if !ok {
		return "", misuse(fmt.Sprintf("SQL text %d not found", id))
	}
	return sql, nil
}

func (st *stream) store(id int32, sql string, replace bool) error {
	_, exists := st.sqls[id]
	if exists && !replace {
		return misuse(fmt.Sprintf("SQL text %d already exists", id))
	}
	if !exists && len(st.sqls) >= maxStored {
		return refuse("SQL_STORE_TOO_MANY",
			fmt.Sprintf("The server already stores %d SQL texts, it cannot store more", len(st.sqls)))
	}
	if len(sql) > maxStoredSize {
		return refuse("SQL_STORE_TOO_LARGE",
			fmt.Sprintf("The statement is too large to be stored: %s/5.0 KB", kilobytes(len(sql))))
	}
	if st.sqls == nil {
		st.sqls = make(map[int32]string)
	}
	st.sqls[id] = sql
	return nil
}

// kilobytes is a size above 1000 bytes as Rust's bytesize writes it.
func kilobytes(n int) string {
	if n < 1_000_000 {
		return fmt.Sprintf("%.1f KB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// query reads a statement. If strict, a text that is not SQL is an error now and
// not when it is executed.
func (c *call) query(stmt *hrana.Stmt, strict bool) (*query, error) {
	sql, err := c.stream.text(stmt.SQL, stmt.SQLID, stmt.HasSQLID)
	if err != nil {
		return nil, err
	}
	text := c.parser.read(sql, strict)
	if len(text.commands) == 0 {
		if text.err != nil {
			return nil, text.err
		}
		return nil, errNoStmt
	}
	if len(text.commands) > 1 || text.err != nil {
		return nil, errManyStmts
	}
	first := &text.commands[0]
	if len(stmt.Args) > 0 && len(stmt.Named) > 0 {
		return nil, errBothArgs
	}
	return &query{
		command: *first,
		args:    stmt.Args, named: stmt.Named,
		wantRows: stmt.WantRows || !c.opts.Profile.honoursWantRows(),
	}, nil
}

// program reads a batch.
func (c *call) program(b *hrana.Batch) (*program, error) {
	p := &program{steps: make([]step, len(b.Steps))}
	for i := range b.Steps {
		q, err := c.query(&b.Steps[i].Stmt, c.opts.Profile.readsAhead())
		if err != nil {
			return nil, err
		}
		p.steps[i] = step{cond: b.Steps[i].Cond, query: *q}
		if p.steps[i].cond != nil {
			if err := checkCond(p.steps[i].cond, i, c.version); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// run executes a program, if the token is good enough for all of its steps.
func (c *call) run(conn *conn, p *program, l listener) error {
	if c.readOnly {
		for i := range p.steps {
			if p.steps[i].query.writes {
				return errReadOnlyToken
			}
		}
	}
	return conn.run(c.ctx, p, l, c.opts.Profile.failsSkipped())
}

func (c *call) execute(q *query) (*exec.Result, error) {
	l := collector{limit: c.opts.MaxResponse}
	p := program{steps: []step{{query: *q}}}
	if err := c.run(c.stream.conn, &p, &l); err != nil {
		return nil, err
	}
	if r := l.errors[0]; r != nil {
		return nil, r
	}
	l.results[0].ReplicationIndex = c.replicationIndex()
	return l.results[0], nil
}

func (c *call) batch(p *program) (*hrana.BatchResult, error) {
	l := collector{limit: c.opts.MaxResponse}
	if err := c.run(c.stream.conn, p, &l); err != nil {
		return nil, err
	}
	errors := make([]*hrana.Error, len(l.errors))
	for i, r := range l.errors {
		errors[i] = c.opts.Profile.refusal(r)
	}
	return &hrana.BatchResult{Steps: l.results, Errors: errors, ReplicationIndex: c.replicationIndex()}, nil
}

// sequence runs the statements of a script until the first error. It is a batch
// whose steps need each the one before.
func (c *call) sequence(sql string) error {
	text := c.parser.read(sql, true)
	if text.err != nil {
		return text.err
	}
	p := program{steps: make([]step, len(text.commands))}
	for i := range text.commands {
		p.steps[i].query = query{command: text.commands[i]}
		if i > 0 {
			p.steps[i].cond = &hrana.Cond{Type: hrana.CondOK, Step: uint32(i - 1)}
		}
	}
	var l collector
	if err := c.run(c.stream.conn, &p, &l); err != nil {
		return err
	}
	for _, r := range l.errors {
		if r != nil {
			return r
		}
	}
	return nil
}

// describe compiles a text that sqld does not read first: what it refuses to
// execute it describes.
func (c *conn) describe(sql string) (*hrana.DescribeInfo, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.db.SetInterrupt(c.engine.lifetime)
	stmt, _, err := c.db.Prepare(sql)
	if err != nil {
		return nil, sqliteRefusal(err, sql)
	}
	info := &hrana.DescribeInfo{IsReadonly: true}
	if stmt == nil {
		return info, nil
	}
	defer stmt.Close()
	for i := range stmt.BindCount() {
		info.Params = append(info.Params, stmt.BindName(i+1))
	}
	info.Cols = columns(stmt)
	info.IsReadonly = stmt.ReadOnly()
	info.IsExplain = explains(sql)
	return info, nil
}
